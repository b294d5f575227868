"""The queue's rules against a plain model of them, and what tasks see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.interop.waiting import eventually, turns
from wirekit import (
    AddressError,
    BusyError,
    ConnectionLost,
    Error,
    ReadTimeout,
    SocketClosed,
)
from wirekit.adapters.mqtt._errors import MqttError
from wirekit.adapters.mqtt._messages import Callback, Messages, Overflow
from wirekit.protocols.mqtt import Properties, Publish

OVERFLOWS: list[Overflow] = ["drop-oldest", "drop-newest", "error", "wait"]


def message(name: object, qos: int = 0, size: int = 0) -> Publish:
    return Publish(f"{name}", bytes(size), qos, packet_id=1 if qos else None)


def publishes(*names: object, qos: int = 0) -> list[Publish]:
    return [message(name, qos) for name in names]


def at_once(awaitable: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of what waits for nothing, though it may let others run."""
    try:
        while awaitable.send(None) is None:
            pass
    except StopIteration as result:
        return result.value
    awaitable.close()
    raise AssertionError("it waits")


def take(messages: Messages) -> Publish:
    found: Publish = at_once(messages.__anext__())
    return found


def names(messages: Messages) -> list[str]:
    """Take all messages that are there."""
    return [take(messages).topic for _ in range(len(messages))]


def waiters(messages: Messages) -> int:
    return len(messages._waiters)  # pyright: ignore[reportPrivateUsage]


def end(messages: Messages) -> None:
    messages.end(None)


# The rules.


class Model:
    """What `Messages` says of itself, in the plainest way."""

    def __init__(self, overflow: Overflow, queue_size: int, queue_bytes: int) -> None:
        self.overflow = overflow
        self.queue_size = queue_size
        self.queue_bytes = queue_bytes
        self.queue: list[Publish] = []
        self.dropped = 0
        self.full = False
        self.overflowed = False

    def count(self) -> int:
        return sum(1 for found in self.queue if not found.qos)

    def size(self, *, kept: bool) -> int:
        return sum(
            len(found.topic) + len(found.payload) for found in self.queue if bool(found.qos) == kept
        )

    def put(self, new: list[Publish]) -> None:
        for found in new:
            if found.qos or self.overflow == "wait" or self.fits(found) or not self.count():
                self.queue.append(found)
                continue
            if self.overflow == "drop-oldest":
                while self.count() and not self.fits(found):
                    self.queue.remove(next(old for old in self.queue if not old.qos))
                    self.dropped += 1
                self.queue.append(found)
            else:
                self.dropped += 1
                self.overflowed |= self.overflow == "error"
        self.full |= self.size(kept=True) > self.queue_bytes or (
            self.overflow == "wait"
            and (self.count() >= self.queue_size or self.size(kept=False) >= self.queue_bytes)
        )

    def fits(self, new: Publish) -> bool:
        size = len(new.topic) + len(new.payload)
        return self.count() < self.queue_size and self.size(kept=False) + size <= self.queue_bytes

    def taken(self) -> Publish:
        found = self.queue.pop(0)
        self.full = self.full and (
            self.count() > self.queue_size // 2
            or self.size(kept=True) > self.queue_bytes // 2
            or self.size(kept=False) > self.queue_bytes // 2
        )
        return found


class Rules(RuleBasedStateMachine):
    """Puts to and takes from the queue and its model."""

    @initialize(
        overflow=st.sampled_from(OVERFLOWS),
        queue_size=st.integers(1, 6),
        queue_bytes=st.integers(1, 40),
    )
    def start(self, overflow: Overflow, queue_size: int, queue_bytes: int) -> None:
        self.acknowledged: list[Publish] = []
        self.full: list[bool] = []
        self.messages = Messages(
            queue_size=queue_size,
            queue_bytes=queue_bytes,
            overflow=overflow,
            on_taken=self.acknowledged.append,
            on_full=self.full.append,
        )
        self.model = Model(overflow, queue_size, queue_bytes)
        self.taken: list[Publish] = []
        self.made = 0

    @rule(new=st.lists(st.tuples(st.sampled_from([0, 0, 1, 2]), st.integers(0, 20)), max_size=12))
    def put(self, new: list[tuple[int, int]]) -> None:
        made = [
            message(self.made + index, qos, size) for index, (qos, size) in enumerate(new, start=1)
        ]
        self.made += len(made)
        self.messages.put(made)
        self.model.put(made)

    @precondition(lambda self: len(self.messages) > 0)
    @rule()
    def take(self) -> None:
        found = take(self.messages)
        assert found is self.model.taken()
        if found.qos:
            self.taken.append(found)

    @precondition(lambda self: self.model.overflowed and not len(self.messages))
    @rule()
    def learn_of_the_overflow(self) -> None:
        with pytest.raises(BusyError):
            take(self.messages)
        self.model.overflowed = False

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "model"):
            assert len(self.messages) == len(self.model.queue)
            assert self.messages.dropped == self.model.dropped
            assert self.acknowledged == self.taken
            assert self.full == [index % 2 == 0 for index in range(len(self.full))]
            assert (len(self.full) % 2 == 1) == self.model.full


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=60)


@pytest.mark.parametrize("overflow", ["drop-oldest", "drop-newest", "error"])
def test_memory_is_bounded(overflow: Overflow) -> None:
    messages = Messages(queue_size=100, queue_bytes=10_000, overflow=overflow)
    for size in range(100):
        messages.put([message(index, size=size) for index in range(10)])
        assert len(messages) <= 100
    assert len(messages) + messages.dropped == 1000


def test_more_than_any_receive_maximum_lets_reading_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._messages._MAX_KEPT", 10)
    full: list[bool] = []
    messages = Messages(on_full=full.append)
    for count in range(1, 13):
        messages.put(publishes(count, qos=1))
        assert bool(full) == (count > 10)
    for count in range(11, -1, -1):
        take(messages)
        assert full == [True, False][: 1 + (count <= 5)]


def test_properties_have_bytes_too() -> None:
    full: list[bool] = []
    messages = Messages(queue_bytes=1000, overflow="wait", on_full=full.append)
    for properties in (
        {"content_type": "x" * 1000},
        {"response_topic": "x" * 1000},
        {"correlation_data": bytes(1000)},
        {"user_property": [("x" * 500, "y" * 500)]},
        {"user_property": [("", "")] * 100},
    ):
        messages.put([Publish("t", properties=properties)])  # type: ignore[arg-type]
        names(messages)
    assert full == [True, False] * 5
    messages.put([Publish("t", properties={"subscription_identifier": [1]})])
    assert full == [True, False] * 5
    messages.put([Publish("t", properties={"subscription_identifier": [1] * 100})])
    assert full == [True, False] * 5 + [True]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"overflow": "drop"}, "overflow must be one of drop-oldest, drop-newest, error, wait"),
        ({"queue_size": 0}, "queue_size must be a whole number of at least 1"),
        ({"queue_bytes": 0}, "queue_bytes must be a whole number of at least 1"),
        ({"queue_size": "10"}, "queue_size must be a whole number of at least 1"),
        ({"queue_bytes": 1e6}, "queue_bytes must be a whole number of at least 1"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(AddressError, match=text):
        Messages(**settings)


# What expires.


class Clock:
    """A time that passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("wirekit.adapters.mqtt._messages.monotonic", lambda: self.now)


def expiring(name: str, seconds: int | None, qos: int = 0) -> Publish:
    properties: Properties = {} if seconds is None else {"message_expiry_interval": seconds}
    return Publish(name, b"", qos, packet_id=1 if qos else None, properties=properties)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_expires_while_it_waits_is_not_handed_out(
    qos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    taken: list[str] = []
    expired: list[str] = []
    messages = Messages(
        on_taken=lambda message: taken.append(message.topic),
        on_expired=lambda message: expired.append(message.topic),
    )
    messages.put([expiring("a", 5, qos), expiring("b", None, 1), expiring("c", 9, qos)])
    messages.put([expiring("d", 5, qos), expiring("e", 6, qos)])
    clock.now += 5
    assert [take(messages).topic for _ in range(3)] == ["b", "c", "e"]
    assert (len(messages), messages.expired, messages.dropped) == (0, 2, 0)
    assert taken == (["b", "c", "e"] if qos else ["b"])
    assert expired == (["a", "d"] if qos else [])


async def test_who_waits_gets_what_has_no_time_left() -> None:
    messages = Messages()
    waiting = asyncio.create_task(messages.get())
    await turns(2)
    messages.put([expiring("a", 0)])
    assert (await waiting).topic == "a"


async def test_waiting_goes_on_where_all_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    full: list[bool] = []
    messages = Messages(overflow="wait", queue_size=2, on_full=full.append)
    messages.put([expiring("a", 1), expiring("b", 1)])
    clock.now += 1
    waiting = asyncio.create_task(messages.get())
    await eventually(lambda: waiters(messages))
    assert full == [True, False]
    messages.put([expiring("c", 1)])
    assert (await waiting).topic == "c"
    assert messages.expired == 2


def test_what_another_consumer_claims() -> None:
    full: list[bool] = []
    messages = Messages(queue_bytes=10, on_full=full.append)
    messages.put([message("a", 1), message("b"), message("c", 2, 20), message("d", 1)])
    assert full == [True]
    claimed = messages.claim(lambda entry: entry.topic in ("b", "c"))
    assert [entry.topic for entry in claimed] == ["c"]  # what may be dropped stays
    assert full == [True, False]
    assert messages.claim(lambda entry: entry.topic == "c") == []
    assert names(messages) == ["a", "b", "d"]


def test_repr_shows_no_message() -> None:
    messages = Messages()
    messages.put([Publish("secret", b"secret")])
    assert repr(messages) == "<Messages: 1 waiting, 0 dropped>"
    messages.end(None)
    assert repr(messages) == "<Messages: 1 waiting, 0 dropped, ended>"


# Waiting.


async def test_messages_come_in_order() -> None:
    messages = Messages()

    async def consume() -> list[str]:
        return [new.topic async for new in messages]

    task = asyncio.create_task(consume())
    for first in range(0, 100, 10):
        messages.put(publishes(*range(first, first + 10), qos=first // 10 % 2))
        await turns(first % 3)
    await eventually(lambda: not len(messages))
    messages.end(None)
    assert await task == [str(index) for index in range(100)]


async def test_what_is_there_comes_without_suspending() -> None:
    messages = Messages()
    messages.put(publishes(*range(10)))
    await messages.get()  # the clock is asked now
    turned: list[None] = []
    asyncio.get_running_loop().call_soon(turned.append, None)
    for _ in range(9):
        await anext(messages)
    assert not turned


async def test_a_consumer_that_never_waits_lets_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wirekit.adapters.mqtt._messages._BREATH", 0)
    messages = Messages()
    messages.put(publishes(*range(1000)))

    async def consume() -> None:
        async for _ in messages:
            messages.put(publishes("another"))

    task = asyncio.create_task(consume())
    await turns(100)  # each of which comes
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(messages) == 1000


async def test_get_waits() -> None:
    messages = Messages()
    task = asyncio.create_task(messages.get())
    await turns(2)
    messages.put(publishes("a"))
    assert (await task).topic == "a"


async def test_get_waits_only_so_long() -> None:
    messages = Messages()
    for timeout in (0, 0.01):
        with pytest.raises(ReadTimeout) as caught:
            await messages.get(timeout)
        assert isinstance(caught.value, MqttError)
    messages.put(publishes("a"))
    assert (await messages.get(0)).topic == "a"
    assert not waiters(messages)


async def test_get_takes_what_arrives_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "wirekit.adapters.mqtt._messages._BREATH", 0
    )  # so that it suspends, though a message is there
    messages = Messages()
    messages.put(publishes("a"))
    assert (await messages.get(0)).topic == "a"


async def test_a_timeout_that_ended_the_connection_is_not_that_of_get() -> None:
    messages = Messages()
    messages.end(ReadTimeout("no answer to PINGREQ"))
    with pytest.raises(ReadTimeout, match="PINGREQ"):
        await messages.get(10)


async def test_one_message_wakes_one_of_many() -> None:
    messages = Messages()
    tasks = [asyncio.create_task(messages.get()) for _ in range(3)]
    await turns(2)
    messages.put(publishes("a", "b"))
    await turns(2)
    assert [task.done() for task in tasks] == [True, True, False]
    messages.put(publishes("c"))
    assert [(await task).topic for task in tasks] == ["a", "b", "c"]


async def test_who_is_woken_and_finds_nothing_waits_again() -> None:
    messages = Messages()
    task = asyncio.create_task(messages.get())
    await turns(2)
    messages.put(publishes("a"))
    assert take(messages).topic == "a"
    await turns(2)
    assert not task.done()
    messages.put(publishes("b"))
    assert (await task).topic == "b"


async def test_who_is_cancelled_while_being_woken_wakes_the_next() -> None:
    messages = Messages()
    first, second = (asyncio.create_task(messages.get()) for _ in range(2))
    await turns(2)
    messages.put(publishes("a"))
    first.cancel()
    assert (await second).topic == "a"
    assert first.cancelled()


async def test_who_is_cancelled_just_before_a_message_arrives() -> None:
    messages = Messages()
    first = asyncio.create_task(messages.get())
    await turns(2)
    first.cancel()
    messages.put(publishes("a"))  # it is passed over, and knows nothing of it yet
    await asyncio.wait([first])
    assert first.cancelled()
    assert (await messages.get()).topic == "a"


async def test_who_is_cancelled_leaves_nothing_behind() -> None:
    messages = Messages()
    for waiting in (messages.get(), messages.get(10), anext(messages)):
        task = asyncio.ensure_future(waiting)
        await turns(2)
        task.cancel()
        await asyncio.wait([task])
    assert not waiters(messages)
    messages.put(publishes("a"))
    assert names(messages) == ["a"]


STEPS = st.lists(
    st.tuples(st.just("put"), st.integers(1, 4))
    | st.tuples(st.just("cancel"), st.integers(0, 4))
    | st.tuples(st.just("turn"), st.integers(1, 3)),
    max_size=40,
)


@given(STEPS, st.booleans())
def test_cancelling_loses_nothing_and_doubles_nothing(
    steps: list[tuple[str, int]], waits_between: bool
) -> None:
    acknowledged: list[Publish] = []
    found: list[str] = []

    async def consume(messages: Messages) -> None:
        async for new in messages:
            found.append(new.topic)
            if waits_between:
                await asyncio.sleep(0)

    async def run() -> int:
        messages = Messages(on_taken=acknowledged.append)
        tasks = [asyncio.create_task(consume(messages)) for _ in range(5)]
        made = 0
        for step, number in steps:
            if step == "put":
                messages.put(publishes(*range(made, made + number), qos=1))
                made += number
            elif step == "cancel":
                tasks[number].cancel()
                tasks[number] = asyncio.create_task(consume(messages))
            else:
                await turns(number)
        await eventually(lambda: not len(messages))
        messages.end(None)
        await asyncio.gather(*tasks)
        return made

    made = asyncio.run(run())
    assert [new.topic for new in acknowledged] == found == [str(index) for index in range(made)]


# The end.


async def test_the_iteration_ends() -> None:
    messages = Messages()
    waiting = [asyncio.create_task(messages.__anext__()) for _ in range(2)]
    await turns(2)
    messages.end(None)
    for task in waiting:
        with pytest.raises(StopAsyncIteration):
            await task
    with pytest.raises(SocketClosed) as caught:
        await messages.get()
    assert isinstance(caught.value, MqttError)
    messages.end(None)
    messages.discard()
    assert [new async for new in messages] == []


async def test_an_error_comes_behind_what_was_there() -> None:
    messages = Messages()
    messages.put(publishes("a") + publishes("b", qos=1))
    messages.end(ConnectionLost("it is gone"))
    assert names(messages) == ["a", "b"]
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="it is gone") as caught:
            await anext(messages)
        assert isinstance(caught.value, MqttError)
        with pytest.raises(ConnectionLost):
            await messages.get()
    messages.put(publishes("late"))
    assert not len(messages)
    messages.end(None)  # the client was closed after that
    assert [new async for new in messages] == []


async def test_an_error_reaches_who_waits() -> None:
    messages = Messages()
    tasks = [asyncio.create_task(messages.get()) for _ in range(3)]
    await turns(2)
    messages.end(ConnectionLost("it is gone"))
    for task in tasks:
        with pytest.raises(ConnectionLost):
            await task


async def test_the_error_of_an_overflow_comes_once_and_it_goes_on() -> None:
    messages = Messages(queue_size=2, overflow="error")
    messages.put(publishes(1, 2, 3, 4) + publishes(5, qos=1))
    assert messages.dropped == 2
    assert names(messages) == ["1", "2", "5"]
    with pytest.raises(BusyError) as caught:
        await anext(messages)
    assert isinstance(caught.value, MqttError)
    messages.put(publishes(6))
    assert names(messages) == ["6"]


def test_at_the_end_only_qos_0_is_handed_out() -> None:
    acknowledged: list[Publish] = []
    messages = Messages(on_taken=acknowledged.append)
    messages.put(publishes("a") + publishes("b", qos=1) + publishes("c"))
    messages.end(None)
    assert names(messages) == ["a", "c"]
    assert not acknowledged


def test_discarded_messages_count_as_taken() -> None:
    acknowledged: list[Publish] = []
    messages = Messages(on_taken=acknowledged.append)
    messages.put(publishes("a") + publishes("b", qos=1) + publishes("c", qos=2))
    messages.discard()
    messages.discard()
    messages.put(publishes("d") + publishes("e", qos=2))
    assert [new.topic for new in acknowledged] == ["b", "c", "e"]
    assert not len(messages)


@pytest.mark.parametrize("ending", [Messages.discard, end])
def test_the_end_lets_reading_go_on(ending: Callable[[Messages], None]) -> None:
    full: list[bool] = []
    messages = Messages(queue_size=1, overflow="wait", on_full=full.append)
    messages.put(publishes(1, 2, 3))
    ending(messages)
    names(messages)
    assert full == [True, False]


def test_nobody_need_listen() -> None:
    messages = Messages(queue_size=1, overflow="wait")
    messages.put(publishes(1, 2) + publishes(3, qos=1))
    assert names(messages) == ["1", "2", "3"]
    messages.put(publishes(1, 2) + publishes(3, qos=1))
    messages.discard()


# Callbacks.


async def test_a_callback_gets_each_message_before_it_is_acknowledged() -> None:
    log: list[tuple[str, str]] = []
    callback = Callback(
        lambda new: log.append(("called", new.topic)),
        lambda new: log.append(("taken", new.topic)),
    )
    callback.put(publishes("a") + publishes("b", qos=1))
    assert log == [("called", "a"), ("called", "b"), ("taken", "b")]


async def test_a_callback_that_raises() -> None:
    contexts: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    acknowledged: list[Publish] = []

    def function(new: Publish) -> None:
        raise ValueError(len(contexts))

    new = [Publish("a", b"secret", 1, packet_id=1), Publish("b", b"secret")]
    Callback(function, acknowledged.append).put(new)
    assert [context["exception"].args for context in contexts] == [(0,), (1,)]
    assert "secret" not in repr(contexts)
    assert [found.topic for found in acknowledged] == ["a"]


@pytest.mark.parametrize(("how", "acknowledged"), [("discard", ["b", "d"]), ("end", ["b"])])
async def test_a_callback_that_ends_its_own_subscription(
    how: Literal["discard", "end"], acknowledged: list[str]
) -> None:
    called: list[str] = []
    taken: list[str] = []

    def function(new: Publish) -> None:
        called.append(new.topic)
        if new.topic == "b":
            callback.discard() if how == "discard" else callback.end(None)

    callback = Callback(function, lambda new: taken.append(new.topic))
    callback.put(publishes("a") + publishes("b", qos=1) + publishes("c") + publishes("d", qos=1))
    assert called == ["a", "b"]
    assert taken == acknowledged


def test_a_callback_without_acknowledgements() -> None:
    called: list[Publish] = []
    Callback(called.append).put(publishes("a", qos=1))
    assert len(called) == 1


def test_a_callback_is_no_coroutine_function() -> None:
    async def function(new: Publish) -> None:
        raise AssertionError

    with pytest.raises(AddressError, match="plain function"):
        Callback(function)


async def test_errors_are_of_wirekit() -> None:
    messages = Messages()
    messages.end(OSError("something else"))
    with pytest.raises(Error):
        await messages.get()


async def test_an_interruption_is_raised_once_and_in_its_place() -> None:
    messages = Messages()
    waiting = asyncio.create_task(messages.get())
    await asyncio.sleep(0)
    messages.interrupt(BusyError("a moment"))
    with pytest.raises(BusyError, match="a moment"):
        await waiting
    messages.put([Publish("a")])
    messages.interrupt(BusyError("again"))
    assert await messages.get() == Publish("a")
    with pytest.raises(BusyError, match="again"):
        await messages.get()
    messages.put([Publish("b")])
    assert await messages.get() == Publish("b")
