"""What a benchmark is made of: rows, workloads, participants, adapters.

An adapter's package (``benchmarks.redis``) offers one `Adapter`. Its workloads are run by every
participant in turn; each run yields one sample for every row of the workload.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = [
    "QUICK",
    "Adapter",
    "Address",
    "Goal",
    "Participant",
    "Role",
    "Row",
    "Scale",
    "Timed",
    "Unsupported",
    "Workload",
    "WrongReply",
]

Address = tuple[str, int]
Role = Literal["ours", "peer", "floor"]


class Unsupported(Exception):
    """The participant has no way to do this workload; the text says why."""


class WrongReply(Exception):
    """The server's reply, as the participant delivered it, is not the expected one."""


@dataclass(frozen=True)
class Goal:
    """Ours shall be at least ``factor`` times as good as ``peer``."""

    factor: float
    peer: str


@dataclass(frozen=True)
class Row:
    """One line of the result: what is measured, in which unit, and the goal set for it.

    ``growth`` names the growth chart that the row is a point of, and its place on the x axis, which
    is so many ``growth_of``.
    """

    key: str
    title: str
    unit: str
    lower_is_better: bool = False
    goal: Goal | None = None
    growth: tuple[str, int] | None = None
    growth_of: str = "task"


@dataclass(frozen=True)
class Scale:
    """How much work is done: ``seconds`` is what one timed sample should last at least.

    ``calls`` is how many GET or queries the tasks of a client share, ``list_items`` and
    ``big_mebibytes`` are the size of Redis' list and big value, ``rows`` and ``most_rows`` that of
    a big result of Postgres and of its biggest, ``copy_mebibytes`` that of its big COPY,
    ``messages`` how many small messages MQTT delivers at once, ``mails`` and ``delayed_mails`` how
    many mails SMTP sends on a connection, near and far away, ``tunnel_mebibytes`` what goes through
    an SSH tunnel at once.
    """

    seconds: float = 0.3
    calls: int = 5000
    list_items: int = 100_000
    big_mebibytes: int = 512
    rows: int = 100_000
    most_rows: int = 1_000_000
    copy_mebibytes: int = 1024
    messages: int = 2000
    mails: int = 1000
    delayed_mails: int = 50
    tunnel_mebibytes: int = 128


QUICK = Scale(
    seconds=0.03,
    list_items=10_000,
    big_mebibytes=16,
    rows=10_000,
    most_rows=100_000,
    copy_mebibytes=16,
    messages=200,
    mails=100,
    delayed_mails=20,
    tunnel_mebibytes=16,
)


class Participant(ABC):
    """A library, or a bare socket, that does the work of an adapter's workloads on one server.

    ``distributions`` are the installed packages whose versions go into the report, ``note`` says
    how the library was set up where that needs a word.
    """

    name: ClassVar[str]
    role: ClassVar[Role] = "peer"
    distributions: ClassVar[tuple[str, ...]] = ()
    note: ClassVar[str] = ""

    @abstractmethod
    async def connect(self, address: Address) -> None:
        """Open the client and make sure that it is connected."""

    @abstractmethod
    async def close(self) -> None:
        """Close whatever `connect` opened."""

    @classmethod
    def version(cls) -> str:
        """Return the versions of the libraries at work, such as ``"8.1.0, hiredis 3.5.0"``."""
        versions = [(name, importlib.metadata.version(name)) for name in cls.distributions]
        return ", ".join(
            version if place == 0 else f"{name} {version}"
            for place, (name, version) in enumerate(versions)
        )


P = TypeVar("P", bound=Participant)


class Workload(ABC, Generic[P]):
    """A piece of work that yields one figure for each of ``rows``."""

    rows: tuple[Row, ...]
    connected = True  # False: the participant is run elsewhere and needs no connection here

    async def warm_up(self, participant: P) -> None:
        """Run once, untimed, before the first round."""

    @abstractmethod
    async def sample(self, participant: P, address: Address) -> tuple[float, ...]:
        """Do the work once and return the figures, in the order of ``rows``.

        Raises:
            Unsupported: the participant cannot do this.
            WrongReply: it did, with a wrong outcome.
        """


class Timed(Workload[P]):
    """A coroutine timed over as many calls as fill ``scale.seconds``, in operations per second.

    ``operations`` is what one call of ``run`` does; ``check`` gets the replies of the last call
    after the clock has stopped.
    """

    def __init__(
        self,
        row: Row,
        scale: Scale,
        *,
        operations: int,
        run: Callable[[P], Awaitable[Any]],
        check: Callable[[Any], bool],
    ) -> None:
        self.rows = (row,)
        self._seconds = scale.seconds
        self._operations = operations
        self._run = run
        self._check = check
        self._repetitions: dict[str, int] = {}

    async def warm_up(self, participant: P) -> None:
        await self._timed(
            participant, 1
        )  # first contact: buffers, caches, lazily opened connections
        once = await self._timed(participant, 1)
        several = max(1, round(self._seconds / 10 / once))
        once = await self._timed(participant, several) / several
        self._repetitions[participant.name] = max(1, round(self._seconds / once))

    async def sample(self, participant: P, address: Address) -> tuple[float, ...]:
        repetitions = self._repetitions[participant.name]
        seconds = await self._timed(participant, repetitions)
        return (repetitions * self._operations / seconds,)

    async def _timed(self, participant: P, repetitions: int) -> float:
        run = self._run
        replies: Any = None
        start = time.perf_counter()
        for _ in range(repetitions):
            replies = await run(participant)
        seconds = time.perf_counter() - start
        if not self._check(replies):
            raise WrongReply(self.rows[0].title)
        return seconds


@dataclass(frozen=True)
class Adapter:
    """One adapter's benchmark: who takes part, what they do, and how the server is made ready.

    ``participants`` maps a name to the module whose class ``Client`` it is: a library is imported
    only where it runs, and left out where it is not installed. ``service`` is the server's name in
    ``compose.yaml``.
    """

    name: str
    service: str
    participants: dict[str, str]
    workloads: Callable[[Scale], Sequence[Workload[Any]]]
    prepare: Callable[[Address, Scale], None]
    server_version: Callable[[Address], str]

    def participant(self, name: str) -> type[Participant]:
        """Import the named participant.

        Raises:
            ModuleNotFoundError: its library is not installed.
        """
        client: type[Participant] = importlib.import_module(self.participants[name]).Client
        return client
