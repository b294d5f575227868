"""From a raw reply to what redis-py's users expect of the command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from redis._parsers.response_callbacks import get_response_callbacks

from wirekit.protocols.resp import Argument, VerbatimString

from ._blocking import word_of
from ._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Kind", "Plan", "Plans", "plain", "refuse"]


class Kind(Enum):
    """How a command may be sent."""

    PLAIN = "plain"
    BLOCKING = "blocking"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a command by its name.

    Attributes:
        words: the words of the name if there are several; else nothing, it is sent as it is.
        kind: how it may be sent.
        advice: for a refused one, what to do instead.
        inner_sets: whether sets may stand inside the reply.
        callback: makes the reply what redis-py's users expect.
        custom: whether it is the user's own.
    """

    words: tuple[bytes, ...]
    kind: Kind
    advice: str
    inner_sets: bool
    callback: Callable[..., Any] | None
    custom: bool = False


_BLOCKING = frozenset(
    "BLPOP BRPOP BLMPOP BZPOPMIN BZPOPMAX BZMPOP BLMOVE BRPOPLPUSH "
    "WAIT WAITAOF XREAD XREADGROUP".split()
)
_INNER_SETS = frozenset(
    [
        "ACL GETUSER",
        "CLIENT TRACKINGINFO",
        "COMMAND",
        "COMMAND DOCS",
        "COMMAND GETKEYSANDFLAGS",
        "COMMAND INFO",
        "FUNCTION LIST",
        *("EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO"),
    ]
)
_PUBSUB = "use client.pubsub()"
_TRANSACTION = "use client.pipeline() or client.transaction()"
_FIXED = "it would change the connection for all its callers; say it when you make the client"
_REFUSED = {
    "SUBSCRIBE": _PUBSUB,
    "PSUBSCRIBE": _PUBSUB,
    "SSUBSCRIBE": _PUBSUB,
    "UNSUBSCRIBE": _PUBSUB,
    "PUNSUBSCRIBE": _PUBSUB,
    "SUNSUBSCRIBE": _PUBSUB,
    "MULTI": _TRANSACTION,
    "EXEC": _TRANSACTION,
    "DISCARD": _TRANSACTION,
    "WATCH": _TRANSACTION,
    "UNWATCH": _TRANSACTION,
    "MONITOR": "use client.monitor()",
    "SELECT": _FIXED + " (db=…)",
    "HELLO": _FIXED + " (protocol=…)",
    "CLIENT REPLY": "a command without a reply would be waited for in vain",
    "RESET": _FIXED,
    "QUIT": "use client.aclose()",
    "AUTH": _FIXED + " (username=…, password=…, credentials=…)",
    "CLIENT TRACKING": _FIXED + " (cache=…)",
    "CLIENT CACHING": _FIXED + " (cache=…)",
    "ASKING": _FIXED,
    "REPLCONF": "a command without a reply would be waited for in vain",
    "SYNC": "replication is not a command with a reply",
    "PSYNC": "replication is not a command with a reply",
}


class _Known(dict[Argument, Plan]):
    """Plans by name; one that is missing is made. No code of ours runs for one that is there."""

    def __init__(self, make: Callable[[Argument], Plan]) -> None:
        self._make = make

    def __missing__(self, name: Argument) -> Plan:
        return self._make(name)


class Plans:
    """The plans of all commands, each made when the command is first used."""

    def __init__(self, protocol: Literal[2, 3] | None, *, legacy_responses: bool) -> None:
        table = get_response_callbacks(protocol, legacy_responses)
        self._callbacks = {str(name).upper(): callback for name, callback in table.items()}
        self._custom: set[str] = set()
        self._plans = _Known(self._make)
        # From a command's name, for example "CONFIG GET", to its plan.
        self.of: Callable[[Argument], Plan] = self._plans.__getitem__
        self._spellings: dict[str, list[Argument]] = {}

    def set_callback(self, name: str, callback: Callable[..., Any]) -> None:
        """Use another callback for the command."""
        self._callbacks[name.upper()] = callback
        self._custom.add(name.upper())
        for spelling in self._spellings.pop(name.upper(), ()):
            del self._plans[spelling]

    def _make(self, name: Argument) -> Plan:
        if isinstance(name, str):
            text = name.upper()
        elif isinstance(name, bytes):
            text = name.decode("utf-8", "replace").upper()
        else:
            raise DataError(f"a command's name is str or bytes, not {type(name).__name__}")
        words = text.split(" ")
        kind, advice = Kind.PLAIN, _REFUSED.get(text, "")
        if advice:
            kind = Kind.REFUSED
        elif text in _BLOCKING:
            kind = Kind.BLOCKING
        elif text == "CLIENT":
            # execute("CLIENT", "REPLY", …) has the rest of its name in the next argument.
            kind = Kind.REFUSED
        plan = Plan(
            tuple(word.encode() for word in words) if len(words) > 1 else (),
            kind,
            advice,
            text in _INNER_SETS,
            self._callbacks.get(text),
            text in self._custom,
        )
        if len(self._plans) < 10_000:  # names come from the caller, but perhaps from a user's text
            self._plans[name] = plan
            self._spellings.setdefault(text, []).append(name)
        return plan


def plain(reply: Any) -> Any:
    """Return a reply of the types that redis-py knows: sets are lists, all strings bytes."""
    value: list[Any] | set[Any] | frozenset[Any] | tuple[Any, ...] | dict[Any, Any] | None = reply
    if isinstance(value, tuple) and all(type(item) is tuple and len(item) == 2 for item in value):
        # The codec made it hashable, in a set. It could have been an array of pairs, but what the
        # server sends in sets are words and maps (COMMAND).
        value = dict(value)
    if isinstance(value, list | set | frozenset | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return bytes(reply) if isinstance(reply, VerbatimString) else reply


def refuse(plan: Plan, command: tuple[Argument, ...]) -> None:
    """Raise if the command must not be sent on a connection that others share.

    Raises:
        DataError: it must not; the text says what to do instead.
    """
    name = " ".join(word_of(argument) for argument in command[:2])
    if plan.advice:
        name = name if plan.words else word_of(command[0])
        raise DataError(f"{name} cannot be sent here: {plan.advice}")
    if name in _REFUSED:
        raise DataError(f"{name} cannot be sent here: {_REFUSED[name]}")
