"""A scope that sockets cannot outlive, and that bounds how many there are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Unpack

from wirekit._errors import AddressError, SocketClosed

from ._connect import Connector, DirectConnector, SocketOptions, connect, open_socket

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ._address import AddressLike
    from ._policy import Policy
    from ._socket import Socket

__all__ = ["Scope"]


class Scope:
    """Makes sockets that all end with ``async with Scope() as scope:``, however it ends.

    At most ``max_sockets`` are connecting or open at once, as many as Cloudflare Workers allows by
    default. The next one waits for its turn, in the order of asking: its ``opened`` settles later,
    and its ``connect_timeout`` runs while it waits, so that nothing waits for ever. A socket that
    was upgraded by ``start_tls`` goes on in the same place.

    At the end every socket is closed: what is written is sent, for as long as the socket's
    ``close_timeout``, or not at all if the end itself is cancelled.

    Args:
        max_sockets: how many sockets may be connecting or open at once.
        policy: which addresses may be connected to; no option can widen it.

    Raises:
        ValueError: ``max_sockets`` is less than 1.
    """

    def __init__(self, max_sockets: int = 6, policy: Policy | None = None) -> None:
        if max_sockets < 1:
            raise ValueError(f"max_sockets must be at least 1, not {max_sockets}")
        self._places = asyncio.Semaphore(max_sockets)
        self._policy = policy
        self._sockets: set[Socket] = set()
        self._open = False

    def connect(self, address: AddressLike, **options: Unpack[SocketOptions]) -> Socket:
        """Return a socket at once and connect it when it is its turn; see `connect`.

        Raises:
            SocketClosed: the scope has ended, or was not entered.
            AddressError: the address or an option is wrong, or a policy stands beside the scope's.
        """
        if not self._open:
            raise SocketClosed("the scope is not open: its sockets live within 'async with'")
        if self._policy is not None:
            if "policy" in options:
                raise AddressError("the scope has a policy: no socket can have its own")
            options["policy"] = self._policy
        inner: SocketOptions = {"connect_timeout": None}
        if "policy" in options:
            inner["policy"] = options["policy"]
        connector = options.get("connector") or DirectConnector(**inner)
        options["connector"] = self._in_its_turn(connector)
        socket = connect(address, **options)
        self._keep(socket)
        return socket

    def connector(self, **options: Unpack[SocketOptions]) -> Connector:
        """Return a connector for adapters; its sockets belong to this scope."""

        async def connect_within(address: AddressLike) -> Socket:
            return await open_socket(self.connect(address, **options))

        return connect_within

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        try:
            while self._sockets:
                endings = [socket.close(exc_value) for socket in self._sockets]
                for ending in endings:
                    await ending
        finally:
            for socket in self._sockets:
                socket.abort(exc_value)

    def _in_its_turn(self, connector: Connector) -> Connector:
        async def take_place(address: AddressLike) -> Socket:
            await self._places.acquire()
            try:
                carrier = await connector(address)
            except BaseException:
                self._places.release()
                raise
            carrier.closed.add_done_callback(self._places.release)
            return carrier

        return take_place

    def _keep(self, socket: Socket) -> None:
        self._sockets.add(socket)
        socket.closed.add_done_callback(lambda: self._ended(socket))

    def _ended(self, socket: Socket) -> None:
        self._sockets.discard(socket)
        if socket.successor is not None:
            self._keep(socket.successor)
