"""CancelRequest: on a socket of its own, of the same kind as the one whose query it cancels."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from wirekit._errors import ConnectionLost, ConnectTimeout
from wirekit.protocols.postgres import CancelRequest, Codec

from ._settings import request_tls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirekit.protocols.postgres import BackendKeyData
    from wirekit.sockets import Socket

__all__ = ["cancel"]


async def cancel(
    dial: Callable[[], Awaitable[Socket]],
    key: BackendKeyData,
    *,
    plain_is_accepted: bool = False,
    timeout: float = 5.0,
) -> None:
    """Ask the server to cancel what the connection with this key runs, and wait until it did.

    The server closes the socket once it has passed the request on (Canceling Requests in
    Progress); whether there was anything to cancel it does not say.

    Raises:
        ConnectError: there is no connection.
    """
    socket: Socket | None = None
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            socket = await dial()
            await socket.opened
            codec = Codec()
            if socket.secure_transport == "starttls":
                socket = await request_tls(socket, codec, plain_is_accepted=plain_is_accepted)
            message = CancelRequest(key.process_id, key.secret_key)
            await socket.write(codec.send(message))
            with suppress(ConnectionLost):  # it may end as it likes
                while await socket.read():
                    pass
    except TimeoutError:
        if limit.expired():
            raise ConnectTimeout(f"no CancelRequest within {timeout} s") from None
        raise
    finally:
        while socket is not None:
            socket.abort()
            socket = socket.successor
