"""Having the server end what nobody waits for any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ._request import Request

__all__ = ["cancel_requests"]

_SHORTEST_PAUSE = 0.25  # seconds for a cancelled query to end, after which it is cancelled again
_LONGEST_PAUSE = 5.0
_ATTEMPTS = 6  # without anything having happened meanwhile


async def cancel_requests(
    requests: Iterable[Request],
    canceller: Callable[[], Awaitable[None]],
    unsent: Callable[[], int],
) -> bool:
    """Have the server end requests in the order in which it runs them; return whether it did.

    A CancelRequest hits what the server runs just then, and is of no effect if that has not begun:
    so there is one for each request, and again for one that does not end. Protected requests are
    waited for. Nothing else may be sent meanwhile, for it might be hit.

    Args:
        requests: those that are under way.
        canceller: sends a CancelRequest, and waits until the server has acted on it.
        unsent: gives the bytes of the requests that are still here; while they get fewer, the
            server is alive.

    Raises:
        Exception: what ``canceller`` raised, if it mattered.
    """
    for request in requests:
        attempts, pause = 0, _SHORTEST_PAUSE
        while not request.ended:
            if request.protected:
                await request.end(None)
                break
            if attempts == _ATTEMPTS:
                return False
            try:
                await canceller()
            except Exception:
                if request.ended:
                    break
                raise
            left = unsent()
            await request.end(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            attempts = attempts + 1 if unsent() == left else 0
    return True
