from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Sequence

import pytest

from wirekit import (
    AddressError,
    BlockedError,
    ConnectError,
    ConnectionLost,
    ConnectRefused,
    Error,
    ResolveError,
    TLSError,
)
from wirekit.sockets import (
    AddressLike,
    Backoff,
    DirectConnector,
    Policy,
    Socket,
    memory_pair,
    with_fallback,
    with_retry,
)

from .carriers import Workshop


class Scripted:
    """A connector that fails with each of the errors in turn, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors: Sequence[BaseException] = errors
        self.asked: list[AddressLike] = []

    async def __call__(self, address: AddressLike) -> Socket:
        number = len(self.asked)
        self.asked.append(address)
        if number < len(self.errors):
            raise self.errors[number]
        return memory_pair()[0]


NOW = Backoff(initial=0.0, maximum=0.0)


def bad_certificate() -> TLSError:
    error = TLSError("the certificate is not accepted")
    error.__cause__ = ssl.SSLCertVerificationError()
    return error


# Backoff.


def test_the_bound_of_each_delay_grows_up_to_a_maximum() -> None:
    backoff = Backoff(initial=1.0, maximum=5.0, factor=2.0, random=lambda: 1.0)
    assert list(itertools.islice(backoff.delays(), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_each_delay_is_drawn_from_the_whole_range() -> None:
    numbers = iter([0.0, 0.5, 1.0])
    backoff = Backoff(initial=1.0, maximum=10.0, factor=3.0, random=lambda: next(numbers))
    assert list(itertools.islice(backoff.delays(), 3)) == [0.0, 1.5, 9.0]
    drawn = list(itertools.islice(Backoff(initial=1.0, maximum=1.0).delays(), 200))
    assert 0 <= min(drawn) < 0.2
    assert 0.8 < max(drawn) <= 1.0


def test_delays_never_overflow() -> None:
    last = list(itertools.islice(Backoff(random=lambda: 1.0).delays(), 5000))[-1]
    assert last == 5.0


def test_each_use_begins_anew() -> None:
    backoff = Backoff(random=lambda: 1.0)
    assert next(backoff.delays()) == next(backoff.delays()) == 0.05
    assert backoff == Backoff()
    assert repr(backoff) == "Backoff(initial=0.05, maximum=5.0, factor=2.0)"


@pytest.mark.parametrize(
    "wrong", [{"initial": -1.0}, {"initial": 6.0}, {"factor": 0.5}, {"initial": float("nan")}]
)
def test_a_backoff_makes_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"initial|factor"):
        Backoff(**wrong)  # type: ignore[arg-type]


# with_retry.


async def test_retry_goes_on_until_it_succeeds() -> None:
    connector = Scripted(ConnectRefused("one"), OSError("two"))
    socket = await with_retry(connector, backoff=NOW)("db:1")
    assert socket.opened.done()
    assert connector.asked == ["db:1"] * 3
    socket.abort()
    await socket.closed


async def test_the_last_error_is_raised_with_the_earlier_ones_as_notes() -> None:
    last = ConnectRefused("three")
    connector = Scripted(ResolveError("one"), ConnectionLost("two"), last)
    with pytest.raises(ConnectRefused) as caught:
        await with_retry(connector, attempts=3, backoff=NOW)("db:1")
    assert caught.value is last
    assert last.__notes__ == ["try 1: ResolveError: one", "try 2: ConnectionLost: two"]


async def test_it_waits_between_the_tries_only() -> None:
    drawn: list[float] = []

    def draw() -> float:
        drawn.append(0.0)
        return 0.0

    connector = Scripted(*(ConnectRefused("no") for _ in range(4)))
    with pytest.raises(ConnectRefused):
        await with_retry(connector, attempts=4, backoff=Backoff(random=draw))("db:1")
    assert len(drawn) == 3


HOPELESS = [AddressError("wrong"), BlockedError("forbidden"), bad_certificate()]


@pytest.mark.parametrize("error", HOPELESS, ids=["address", "blocked", "certificate"])
async def test_what_cannot_get_better_is_not_tried_again(error: Error) -> None:
    for wrap in (with_retry, with_fallback):
        connector = Scripted(error)
        with pytest.raises(type(error)):
            await wrap(connector)("db:1")
        assert len(connector.asked) == 1
    connector = Scripted(ConnectError("first"), error)
    with pytest.raises(type(error)) as caught:
        await with_retry(connector, attempts=5, backoff=NOW)("db:1")
    assert caught.value.__notes__[-1] == "try 1: ConnectError: first"
    assert len(connector.asked) == 2


async def test_a_handshake_that_was_cut_off_is_tried_again() -> None:
    connector = Scripted(TLSError("the connection was lost during the TLS handshake"))
    socket = await with_retry(connector, backoff=NOW)("db:1")
    socket.abort()
    await socket.closed


@pytest.mark.parametrize("error", [ZeroDivisionError(), asyncio.CancelledError()])
async def test_what_is_no_failure_to_connect_is_not_tried_again(error: BaseException) -> None:
    for wrap in (with_retry, with_fallback):
        connector = Scripted(error)
        with pytest.raises(type(error)):
            await wrap(connector)("db:1")
        assert len(connector.asked) == 1


async def test_one_try_at_least() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        with_retry(Scripted(), attempts=0)
    connector = Scripted(ConnectRefused("only"))
    with pytest.raises(ConnectRefused):
        await with_retry(connector, attempts=1)("db:1")


# with_fallback.


async def test_fallback_tries_one_address_after_the_other() -> None:
    connector = Scripted(ConnectRefused("one"), ConnectRefused("two"))
    socket = await with_fallback(connector, "second:2", ("third", 3), "fourth:4")("first:1")
    assert connector.asked == ["first:1", "second:2", ("third", 3)]
    socket.abort()
    await socket.closed


async def test_fallback_raises_the_last_error_with_notes() -> None:
    connector = Scripted(ConnectRefused("one"), ResolveError("two"))
    with pytest.raises(ResolveError) as caught:
        await with_fallback(connector, "second:2")("first:1")
    assert caught.value.__notes__ == ["try 1: ConnectRefused: one"]


async def test_they_nest_over_a_real_connector(make: Workshop) -> None:
    _, server = await make.tcp()
    server.abort()
    direct = DirectConnector(policy=Policy.only("127.0.0.1:1"))
    connector = with_fallback(with_retry(direct, attempts=2, backoff=NOW), "127.0.0.1:2")
    with pytest.raises(BlockedError) as caught:
        await connector("127.0.0.1:1")
    assert [note.split(":")[1] for note in caught.value.__notes__] == [" ConnectRefused"]
