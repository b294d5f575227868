"""What a Postgres participant does; for most of the libraries it is a loop around their calls."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from benchmarks._model import Participant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.postgres._data import Selection, Table

__all__ = ["POOL_SIZE", "PostgresParticipant", "Rows", "Tally"]

POOL_SIZE = 10


class Rows(Protocol):
    """A result: each library has types of its own, and all of them are checked by value."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


class Tally:
    """Counts what a COPY sends out."""

    def __init__(self) -> None:
        self.length = 0
        self.lines = 0

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Count ``data``."""
        self.length += len(data)
        self.lines += (bytes(data) if isinstance(data, memoryview) else data).count(b"\n")


class PostgresParticipant(Participant):
    """The work of the Postgres rows. A library runs each by the fastest of its public calls.

    ``no_stream`` says why it has no COPY of a stream, where it has none.
    """

    no_stream: ClassVar[str] = ""

    @abstractmethod
    async def sequential(self, count: int) -> list[Any]:
        """Run SELECT_ONE ``count`` times, each after the answer to the one before."""

    @abstractmethod
    async def tasks(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        """Run one task for each argument, which runs SELECT_ARGUMENT ``each`` times in a row.

        A library with a pool gives each task a connection until it ends.
        """

    @abstractmethod
    async def tasks_sharing(self, arguments: Sequence[int], each: int) -> list[list[Any]]:
        """As `tasks`, but a library with a pool takes a connection out of it for each query."""

    @abstractmethod
    async def pipeline(self, arguments: Sequence[int]) -> list[Any]:
        """Run SELECT_ARGUMENT with every argument in one explicit pipeline."""

    @abstractmethod
    async def fetch(self, selection: Selection) -> Rows:
        """Fetch all rows of a query at once."""

    @abstractmethod
    async def copy_records(
        self, table: Table, records: Sequence[tuple[Any, ...]], share: int
    ) -> None:
        """COPY Python values into ``table``; the server keeps one in ``share`` of them."""

    @abstractmethod
    async def insert_many(self, table: Table, records: Sequence[tuple[Any, ...]]) -> None:
        """INSERT each of ``records`` into ``table`` by a statement of its own, all as one call."""

    async def copy_in(self, chunks: Iterable[bytes]) -> int:
        """COPY text into LINES_TABLE under LINES_WHERE; return how many lines were stored."""
        raise NotImplementedError

    async def copy_out(self, count: int, tally: Tally) -> None:
        """COPY ``count`` lines as text into ``tally``."""
        raise NotImplementedError
