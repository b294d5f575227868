"""SSH's transport layer for people: keys, and then packets."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from wirekit._errors import BusyError, Error, LocalProtocolError
from wirekit.protocols.ssh import Algorithms, Codec, DisconnectReason
from wirekit.sockets import as_socket

from ._connection import Connection
from ._errors import DisconnectError, SSHError, connection_error
from ._host_keys import HostKeyVerification, host_and_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from wirekit.protocols._buffer import Buffer
    from wirekit.protocols.ssh import (
        HostKey,
        Identification,
        Identified,
        KexInit,
        KeyExchanged,
        Message,
        NegotiatedAlgorithms,
    )
    from wirekit.sockets import Socket, SocketLike

    from ._host_keys import KnownHostsArgument, PublicKeyArgument, VerifyHostKey
    from ._inbox import Received

__all__ = ["SSHTransport"]


class SSHTransport:
    """The packets of SSH's transport layer (RFC 4253) on a socket, from a client's side.

    ``async with`` identifies us, exchanges keys and verifies the server's host key. Then
    `send_packet` and ``async for`` carry what is above: authentication, channels, or what else two
    ends agree on. Keys are exchanged again by themselves.

    What was received waits until it is taken, and the server with it once it is 256 KiB: whoever
    sends should also receive.

    Args:
        socket: any that carries bytes (see `wirekit.sockets.as_socket`).
        host: whose host key it should be; by default the host in the socket's address.
        port: its port, which is part of the name in known_hosts.
        known_hosts: see `HostKeyVerification`, as for the next four.
        fingerprints: of host keys to accept.
        certificate_authorities: whose host certificates to accept.
        verify_host_key: says of a host and its key whether to accept it.
        dangerously_accept_any_host_key: verify nothing.
        algorithms: what to offer; among host keys those that are known come first.
        identification: what we say we are.
        extensions: what to tell in SSH_MSG_EXT_INFO.
        rekey_bytes: exchange keys again after so many bytes in one direction.
        rekey_packets: and after so many packets.
        rekey_interval: and after so many seconds; None for never.
        timeout: seconds for each key exchange, and in which a server that takes no bytes has to
            take some.
        maximum_packet_size: the largest packet that we take, and the largest payload of one that
            is compressed, in bytes.

    Raises:
        AddressError: what is said of host keys does not go together.
        ValueError: an option is out of bounds.
    """

    def __init__(
        self,
        socket: SocketLike,
        *,
        host: str | None = None,
        port: int | None = None,
        known_hosts: KnownHostsArgument = (),
        fingerprints: str | Sequence[str] = (),
        certificate_authorities: PublicKeyArgument | Sequence[PublicKeyArgument] = (),
        verify_host_key: VerifyHostKey | None = None,
        dangerously_accept_any_host_key: bool = False,
        algorithms: Algorithms | None = None,
        identification: str = "SSH-2.0-wirekit",
        extensions: dict[str, bytes] | None = None,
        rekey_bytes: int = 2**30,
        rekey_packets: int = 2**31,
        rekey_interval: float | None = 3600.0,
        timeout: float = 30.0,
        maximum_packet_size: int = 256 * 1024,
    ) -> None:
        self._verification = HostKeyVerification(
            known_hosts=known_hosts,
            fingerprints=fingerprints,
            certificate_authorities=certificate_authorities,
            verify_host_key=verify_host_key,
            dangerously_accept_any_host_key=dangerously_accept_any_host_key,
        )
        self._algorithms = Algorithms() if algorithms is None else algorithms
        self._make_codec = partial(
            Codec,
            "client",
            random=os.urandom,
            identification=identification,
            extensions=extensions,
            maximum_packet_size=maximum_packet_size,
            rekey_bytes=rekey_bytes,
            rekey_packets=rekey_packets,
        )
        self._make_codec(algorithms=self._algorithms)  # which looks at the options
        if timeout <= 0 or (rekey_interval is not None and rekey_interval <= 0):
            raise ValueError("timeout and rekey_interval must be more than 0 seconds")
        self._rekey_interval = rekey_interval
        self._timeout = timeout
        self._socket: Socket = as_socket(socket)
        self._name = host_and_port(self._socket.remote_address, host, port)
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        """Exchange keys.

        Raises:
            HostKeyError: the server's key is not one that is trusted.
            SSHTimeoutError: that took too long.
            SSHError: something else went wrong; it is one of wirekit's errors as well.
        """
        if self._connection is not None:
            raise connection_error(BusyError("an SSHTransport is opened once"))
        try:
            await self._socket.opened
            connection = self._connection = self._connect()
            await connection.ready()
        except Error as error:
            if self._connection is not None:
                await self._connection.closed()  # the server learns why
            elif not isinstance(error, BusyError):
                self._socket.abort()
            raise connection_error(error) from error.__cause__
        except BaseException:
            self._abort()
            raise
        return self

    def _connect(self) -> Connection:
        host, port = self._name
        names = self._algorithms.server_host_key_algorithms
        ordered = self._verification.order(names, host, port)
        algorithms = replace(self._algorithms, server_host_key_algorithms=ordered)
        return Connection(
            self._socket,
            self._make_codec(algorithms=algorithms),
            verify=partial(self._verification.verify, host, port),
            timeout=self._timeout,
            rekey_interval=self._rekey_interval,
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def disconnect(
        self, reason: int = DisconnectReason.BY_APPLICATION, text: str = ""
    ) -> None:
        """Say good-bye with a reason of RFC 4253 §11.1, and close.

        The server has a second to take it. Whoever waits for packets gets `SocketClosed`.
        """
        if self._connection is None:
            await self._socket.close()
        else:
            await self._connection.close(reason, text)

    async def aclose(self) -> None:
        """Say good-bye and close; may be called again."""
        await self.disconnect()

    def _abort(self) -> None:
        if self._connection is None:
            self._socket.abort()
        else:
            self._connection.abort()

    def __repr__(self) -> str:
        connection = self._connection
        if connection is None:
            state = "not open"
        elif connection.error is not None:
            state = "closed"
        else:
            state = "open" if connection.exchanged is not None else "opening"
        return f"<SSHTransport {self._socket.remote_address} {state}>"

    # Packets

    async def send_packet(self, *packets: Message | Buffer) -> None:
        """Send messages, or payloads with their number in front, in this order.

        Waits while keys are exchanged, and while the server takes bytes more slowly than they are
        sent. If it is cancelled, nothing of them was sent.

        Raises:
            LocalProtocolError: one of them is not ours to send; nothing was sent.
            SSHError: the connection is over.
        """
        await self._opened().send(*packets)

    async def receive_packet(self) -> Received:
        """Wait for the next packet; cancelling that loses none.

        Payloads for the layers above come as `Packet`, the other messages as themselves. What
        there is no use for (SSH_MSG_IGNORE) or what is answered by itself (SSH2_MSG_PING) does not
        come, nor do key exchanges and SSH_MSG_EXT_INFO, see `extensions`.

        Raises:
            DisconnectError: the server has disconnected.
            SSHError: the connection is over for another reason.
            BusyError: another task waits for packets.
        """
        return await self._opened().receive()

    def __aiter__(self) -> Self:
        """Iterate over the packets until the server disconnects in peace."""
        return self

    async def __anext__(self) -> Received:
        try:
            return await self.receive_packet()
        except DisconnectError as error:
            if error.reason_code == DisconnectReason.BY_APPLICATION:
                raise StopAsyncIteration from None
            raise

    async def rekey(self, algorithms: Algorithms | None = None) -> None:
        """Exchange keys, or wait for the end of the key exchange that is going on.

        Args:
            algorithms: what to offer from now on, by default the same as before.

        Raises:
            SSHError: the connection is over.
        """
        await self._opened().rekey(algorithms)

    # What is known

    @property
    def algorithms(self) -> NegotiatedAlgorithms:
        """The algorithms in force."""
        return self._exchanged().algorithms

    @property
    def host_key(self) -> HostKey:
        """The server's key or certificate."""
        return self._exchanged().host_key

    @property
    def session_id(self) -> bytes:
        """What names the connection (RFC 4253 §7.2)."""
        return self._exchanged().session_id

    @property
    def peer_identification(self) -> Identification:
        """What the server says it is."""
        return self._identified().identification

    @property
    def lines(self) -> tuple[bytes, ...]:
        """What the server said before that, line by line."""
        return self._identified().lines

    @property
    def peer_kexinit(self) -> KexInit:
        """The server's latest SSH_MSG_KEXINIT: all that it can do."""
        kexinit = self._opened().kexinit
        if kexinit is None:
            raise _not_open()
        return kexinit

    @property
    def extensions(self) -> Mapping[str, bytes]:
        """What the server told in SSH_MSG_EXT_INFO (RFC 8308), such as ``server-sig-algs``."""
        return self._opened().extensions

    def _opened(self) -> Connection:
        if self._connection is None:
            raise _not_open()
        return self._connection

    def _exchanged(self) -> KeyExchanged:
        exchanged = self._opened().exchanged
        if exchanged is None:
            raise _not_open()
        return exchanged

    def _identified(self) -> Identified:
        identified = self._opened().identified
        if identified is None:
            raise _not_open()
        return identified


def _not_open() -> SSHError:
    return connection_error(LocalProtocolError("not open: use async with"))
