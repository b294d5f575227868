"""The outcome of a run, as it is written to JSON and read back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks._model import Goal, Role, Row
from benchmarks._statistics import Spread, paired_ratios, spread

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Comparison", "Entrant", "Environment", "Report", "Result", "Series", "ServerInfo"]

SCHEMA = 1


@dataclass(frozen=True)
class Entrant:
    """A participant as the report names it."""

    adapter: str
    name: str
    role: Role
    version: str
    note: str


@dataclass
class Series:
    """One participant's samples for one row, one for each round, or the reason why there are none.

    ``unsupported`` is a peer's limit and no fault; ``error`` is a failure of this run.
    """

    participant: str
    role: Role
    samples: list[float] = field(default_factory=list[float])
    unsupported: str = ""
    error: str = ""

    @property
    def spread(self) -> Spread | None:
        """The summary of the samples, None where there are none."""
        return spread(self.samples) if self.samples else None


@dataclass(frozen=True)
class Comparison:
    """Ours against one peer: how many times better, taken round by round."""

    peer: str
    ratio: Spread


@dataclass
class Result:
    """A row under one event loop: the participants' series, in the order they are shown."""

    adapter: str
    loop: str
    row: Row
    series: list[Series]

    @property
    def ours(self) -> Series | None:
        """Our series, None where we took no part."""
        return next((series for series in self.series if series.role == "ours"), None)

    def of(self, participant: str) -> Series | None:
        """Return the participant's series, None if it took no part."""
        return next((s for s in self.series if s.participant == participant), None)

    def compare(self, peer: str) -> Comparison | None:
        """Compare ours with ``peer``; None where either has no samples."""
        ours = self.ours
        theirs = self.of(peer)
        if ours is None or theirs is None or not ours.samples or not theirs.samples:
            return None
        ratios = paired_ratios(
            ours.samples, theirs.samples, lower_is_better=self.row.lower_is_better
        )
        return Comparison(peer, spread(ratios))

    def best_peer(self) -> str | None:
        """Name the peer with the best median, None without peers; the floor is no peer."""
        medians = {
            series.participant: series.spread.median
            for series in self.series
            if series.role == "peer" and series.spread is not None
        }
        if not medians:
            return None
        choose = min if self.row.lower_is_better else max
        return choose(medians, key=lambda name: medians[name])

    def goal_met(self) -> bool | None:
        """Tell whether the goal is met; None where there is no goal, or not both sides of it."""
        comparison = self.compare(self.row.goal.peer) if self.row.goal else None
        if self.row.goal is None or comparison is None:
            return None
        return comparison.ratio.median >= self.row.goal.factor


@dataclass(frozen=True)
class ServerInfo:
    """The server that an adapter was measured against; ``place`` says where it ran."""

    adapter: str
    version: str
    place: str


@dataclass(frozen=True)
class Environment:
    """The machine and the interpreter."""

    python: str
    kernel: str
    cpu: str
    cores: int
    memory_gibibytes: float
    load_average: float


@dataclass
class Report:
    """Everything that a run found out."""

    date: str
    rounds: int
    quick: bool
    environment: Environment
    servers: list[ServerInfo]
    entrants: list[Entrant]
    absent: dict[str, str]
    loops: dict[str, str]
    results: list[Result]

    def failures(self) -> list[str]:
        """List the errors that participants ended with, one line for each."""
        return [
            f"{result.row.title} ({result.loop}), {series.participant}: {series.error}"
            for result in self.results
            for series in result.series
            if series.error
        ]

    def to_json(self) -> str:
        """Return the report as JSON, with the spreads and ratios beside their samples."""
        document = {"schema": SCHEMA, **dataclasses.asdict(self)}
        document["results"] = [_result_document(result) for result in self.results]
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the document is of another schema.
        """
        document: dict[str, Any] = json.loads(text)
        if document.pop("schema", None) != SCHEMA:
            raise ValueError(f"not a benchmark report of schema {SCHEMA}")
        document["environment"] = Environment(**document["environment"])
        document["servers"] = [ServerInfo(**server) for server in document["servers"]]
        document["entrants"] = [Entrant(**entrant) for entrant in document["entrants"]]
        document["results"] = [_result_from(result) for result in document["results"]]
        return cls(**document)

    def write(self, path: Path) -> None:
        """Write the JSON document to ``path``."""
        path.write_text(self.to_json(), encoding="utf-8")


def _result_document(result: Result) -> dict[str, Any]:
    document = dataclasses.asdict(result)
    for series, entry in zip(result.series, document["series"], strict=True):
        entry["spread"] = dataclasses.asdict(series.spread) if series.spread else None
    comparisons = [
        comparison
        for series in result.series
        if series.role != "ours" and (comparison := result.compare(series.participant))
    ]
    document["ratios"] = {
        comparison.peer: dataclasses.asdict(comparison.ratio) for comparison in comparisons
    }
    document["best_peer"] = result.best_peer()
    document["goal_met"] = result.goal_met()
    return document


def _result_from(document: dict[str, Any]) -> Result:
    row: dict[str, Any] = document["row"]
    if row["goal"] is not None:
        row["goal"] = Goal(**row["goal"])
    if row["growth"] is not None:
        row["growth"] = tuple(row["growth"])
    series: list[dict[str, Any]] = document["series"]
    for entry in series:
        entry.pop("spread", None)  # follows from the samples
    return Result(
        adapter=document["adapter"],
        loop=document["loop"],
        row=Row(**row),
        series=[Series(**entry) for entry in series],
    )
