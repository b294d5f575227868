"""Connectors that try again, or elsewhere."""

from __future__ import annotations

import asyncio
import random as _random
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wirekit._errors import AddressError, BlockedError, TLSError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._address import AddressLike
    from ._connect import Connector
    from ._socket import Socket

__all__ = ["Backoff", "with_fallback", "with_retry"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before each further try: exponential, with full jitter.

    The n-th delay is drawn evenly between 0 and ``initial * factor ** n`` seconds, at most
    ``maximum``, so that clients that lost a server together do not come back together.

    Args:
        initial: upper bound of the first delay, in seconds.
        maximum: upper bound of every delay, in seconds.
        factor: by how much the bound grows each time.
        random: returns a number from 0 to 1.

    Raises:
        ValueError: not ``0 <= initial <= maximum`` or not ``factor >= 1``.
    """

    initial: float = 0.05
    maximum: float = 5.0
    factor: float = 2.0
    random: Callable[[], float] = field(default=_random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= self.maximum:
            raise ValueError(f"not 0 <= initial ({self.initial}) <= maximum ({self.maximum})")
        if not self.factor >= 1:
            raise ValueError(f"factor must be at least 1, not {self.factor}")

    def delays(self) -> Iterator[float]:
        """Yield delays in seconds, without end."""
        bound = self.initial
        while True:
            yield bound * self.random()
            bound = min(self.maximum, bound * self.factor)


def with_retry(
    connector: Connector, attempts: int = 3, backoff: Backoff | None = None
) -> Connector:
    """Return a connector that tries up to ``attempts`` times.

    It raises the last error, with the earlier ones as its notes. What cannot get better is raised
    at once: `AddressError`, `BlockedError`, and a certificate that is not accepted.

    Raises:
        ValueError: ``attempts`` is less than 1.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts}")
    waits = Backoff() if backoff is None else backoff

    async def connect_with_retry(address: AddressLike) -> Socket:
        errors: list[Exception] = []
        delays = waits.delays()
        for _ in range(attempts):
            if errors:
                await asyncio.sleep(next(delays))
            try:
                return await connector(address)
            except (TransportError, OSError) as error:
                errors.append(error)
                if _is_hopeless(error):
                    break
        raise _with_notes(errors)

    return connect_with_retry


def with_fallback(connector: Connector, *addresses: AddressLike) -> Connector:
    """Return a connector that tries the address that it is called with, then each of these.

    It raises the last error, with the earlier ones as its notes. What cannot get better is raised
    at once, as by `with_retry`: an address that is wrong or forbidden, or a server that is not who
    it should be, is for a person to look at.
    """

    async def connect_with_fallback(address: AddressLike) -> Socket:
        errors: list[Exception] = []
        for candidate in (address, *addresses):
            try:
                return await connector(candidate)
            except (TransportError, OSError) as error:
                errors.append(error)
                if _is_hopeless(error):
                    break
        raise _with_notes(errors)

    return connect_with_fallback


def _is_hopeless(error: Exception) -> bool:
    if isinstance(error, TLSError):
        return isinstance(error.__cause__, ssl.SSLCertVerificationError)
    return isinstance(error, AddressError | BlockedError)


def _with_notes(errors: Sequence[Exception]) -> Exception:
    *earlier, last = errors
    for number, error in enumerate(earlier, 1):
        last.add_note(f"try {number}: {type(error).__name__}: {error}")
    return last
