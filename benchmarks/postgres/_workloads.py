"""The rows: what is sent, how much of it, what must come back, and the goals."""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING, Any

from benchmarks._model import Address, Goal, Row, Scale, Timed, Workload, WrongReply
from benchmarks._text import grouped
from benchmarks.postgres._big_copy import BigCopy
from benchmarks.postgres._client import PostgresParticipant
from benchmarks.postgres._data import COPIED, INSERTED, MIXED, NUMBERS, Selection
from benchmarks.postgres._wire import connect, simple_query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from benchmarks.postgres._client import Rows
    from benchmarks.postgres._data import Table

__all__ = ["workloads"]

TASKS_GROWTH = "fetchval with one argument, 1 to 1 000 tasks on one client"
ROWS_GROWTH = "fetch of 5 int4 columns, results of 1 row and more"

ARGUMENTS = range(100_000, 101_000)
PIPELINED = 1000

# Of a table of records; a label is "record" and the number again.
SUMS = "count(*), sum(number), sum(product), sum(replace(label, 'record ', '')::int8)"


def workloads(scale: Scale) -> Sequence[Workload[Any]]:
    """Return the workloads at ``scale``, in the order in which they are run and shown."""
    return [
        _sequential(scale),
        _tasks(scale, 100, goal=Goal(5, "asyncpg")),
        _tasks_sharing(scale, 100),
        _pipeline(scale),
        _fetch(scale, "rows", NUMBERS, scale.rows, Goal(2, "asyncpg")),
        _fetch(scale, "mixed", MIXED, scale.rows // 10, Goal(1.6, "asyncpg")),
        _copy_records(scale, goal=Goal(1.3, "asyncpg")),
        _copy_records(scale, share=1000),
        _insert_many(scale),
        *[_tasks(scale, count) for count in (1, 10, 1000)],
        *[_rows(scale, count) for count in (1, 100, 10_000) if count < scale.most_rows],
        _rows(scale, scale.most_rows),
        BigCopy(scale),
    ]


def _sequential(scale: Scale) -> Workload[PostgresParticipant]:
    count = 100
    expected = [1] * count
    return Timed(
        Row(
            key="sequential",
            title='one fetchval("select 1") after another',
            unit="queries/s",
            goal=Goal(1.12, "asyncpg"),
        ),
        scale,
        operations=count,
        run=lambda client: client.sequential(count),
        check=lambda values: values == expected,
    )


def _tasks(scale: Scale, count: int, goal: Goal | None = None) -> Workload[PostgresParticipant]:
    arguments, each = ARGUMENTS[:count], _each(scale, count)
    expected = [[argument] * each for argument in arguments]
    tasks = f"{grouped(count)} {'task' if count == 1 else 'tasks'}"
    return Timed(
        Row(
            key=f"tasks-{count}",
            title=f"{tasks} on one client, fetchval; of a pool a connection for each task",
            unit="queries/s",
            goal=goal,
            growth=(TASKS_GROWTH, count),
        ),
        scale,
        operations=count * each,
        run=lambda client: client.tasks(arguments, each),
        check=lambda values: values == expected,
    )


def _tasks_sharing(scale: Scale, count: int) -> Workload[PostgresParticipant]:
    arguments, each = ARGUMENTS[:count], _each(scale, count)
    expected = [[argument] * each for argument in arguments]
    return Timed(
        Row(
            key=f"tasks-{count}-sharing",
            title=f"{grouped(count)} tasks as before, of a pool a connection for each query",
            unit="queries/s",
        ),
        scale,
        operations=count * each,
        run=lambda client: client.tasks_sharing(arguments, each),
        check=lambda values: values == expected,
    )


def _pipeline(scale: Scale) -> Workload[PostgresParticipant]:
    arguments = ARGUMENTS[:PIPELINED]
    expected = list(arguments)
    return Timed(
        Row(
            key="pipeline",
            title=f"explicit pipeline of {grouped(PIPELINED)} fetchval with one argument",
            unit="queries/s",
            goal=Goal(5, "psycopg"),
        ),
        scale,
        operations=PIPELINED,
        run=lambda client: client.pipeline(arguments),
        check=lambda values: values == expected,
    )


def _fetch(
    scale: Scale, key: str, table: Table, count: int, goal: Goal | None = None
) -> Timed[PostgresParticipant]:
    kinds = set(table.columns.values())
    columns = f"{len(table.columns)} {kinds.pop() if len(kinds) == 1 else 'mixed'} columns"
    rows = f"{grouped(count)} {'row' if count == 1 else 'rows'}"
    selection = Selection.of(table, count)
    growth = (ROWS_GROWTH, count) if table is NUMBERS and goal is None else None
    return Timed(
        Row(
            key=key,
            title=f"fetch of {rows}, {columns}",
            unit="rows/s",
            goal=goal,
            growth=growth,
            growth_of="row",
        ),
        scale,
        operations=count,
        run=lambda client: client.fetch(selection),
        check=lambda found: _has_rows(found, selection),
    )


def _rows(scale: Scale, count: int) -> Workload[PostgresParticipant]:
    return _fetch(scale, f"rows-{count}", NUMBERS, count)


def _has_rows(found: Rows, selection: Selection) -> bool:
    """Tell whether ``found``, of whatever type its rows are, has the values of ``selection``."""
    return len(found) == selection.count and all(map(eq, map(_plain, found), selection.rows()))


def _plain(row: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(row)


class _Stored(Timed[PostgresParticipant]):
    """Rows sent to a table, which begins empty and is looked at once the clock has stopped.

    ``sent`` is how many ``run`` sends, ``kept`` what must be there of each time.
    """

    def __init__(
        self,
        row: Row,
        scale: Scale,
        table: Table,
        sent: int,
        kept: Sequence[tuple[Any, ...]],
        run: Callable[[PostgresParticipant], Awaitable[None]],
    ) -> None:
        super().__init__(row, scale, operations=sent, run=run, check=lambda reply: reply is None)
        self._table = table
        numbers, products, _ = zip(*kept, strict=True)
        self._sums = (len(kept), sum(numbers), sum(products), sum(numbers))

    async def sample(self, participant: PostgresParticipant, address: Address) -> tuple[float, ...]:
        with connect(address) as connection:
            simple_query(connection, f"truncate {self._table.name}")
            figures = await super().sample(participant, address)
            [stored] = simple_query(connection, f"select {SUMS} from {self._table.name}")
        times = self._repetitions[participant.name]
        expected = [str(times * part) for part in self._sums]
        if stored != expected:
            raise WrongReply(f"{self._table.name} has {stored} and not {expected}")
        return figures


def _copy_records(
    scale: Scale, share: int = 1, goal: Goal | None = None
) -> Workload[PostgresParticipant]:
    records = list(COPIED.rows(scale.rows))
    # Storing costs the server more than the libraries take, so where it does not, they differ.
    kept = f", one in {grouped(share)} kept" if share > 1 else ""
    return _Stored(
        Row(
            key="copy-records" if share == 1 else "copy-records-few",
            title=f"copy_records_to_table of {grouped(len(records))} rows, int4, int8, text{kept}",
            unit="rows/s",
            goal=goal,
        ),
        scale,
        COPIED,
        len(records),
        records[::share],
        run=lambda client: client.copy_records(COPIED, records, share),
    )


def _insert_many(scale: Scale) -> Workload[PostgresParticipant]:
    records = list(INSERTED.rows(scale.rows // 10))
    return _Stored(
        Row(
            key="executemany",
            title=f"executemany, INSERT of {grouped(len(records))} rows, int4, int8, text",
            unit="rows/s",
            goal=Goal(1.3, "asyncpg"),
        ),
        scale,
        INSERTED,
        len(records),
        records,
        run=lambda client: client.insert_many(INSERTED, records),
    )


def _each(scale: Scale, tasks: int) -> int:
    """How many queries each task runs: enough that starting the tasks does not count."""
    return max(scale.calls // 500, min(scale.calls // 5, scale.calls // tasks))
