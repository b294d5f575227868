"""The rows: how many mails, how large, how far away, and the goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks._model import Goal, Row, Scale, Timed, Workload
from benchmarks._text import grouped
from benchmarks.smtp._data import mails_of
from benchmarks.smtp._delay import ROUND_TRIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.smtp._client import SMTPParticipant

__all__ = ["workloads"]

SMALL, MEDIUM, LARGE = 200, 20 * 1024, 5 * 1024 * 1024
SIZES = {SMALL: "200 bytes", MEDIUM: "20 KiB", LARGE: "5 MiB"}


def workloads(scale: Scale) -> Sequence[Workload[Any]]:
    """Return the workloads at ``scale``, in the order in which they are run and shown."""
    many, far = scale.mails, scale.delayed_mails
    return [
        _kept(scale, many, Goal(2.5, "smtplib")),
        _session(scale, SMALL, many, Goal(3, "aiosmtplib")),
        *[_session(scale, SMALL, count) for count in (10, 1)],
        *[_session(scale, MEDIUM, count) for count in (many, 10, 1)],
        *[_session(scale, LARGE, count) for count in (10, 1)],
        *[_session(scale, SMALL, count, delayed=True) for count in (far, 10, 1)],
        _session(scale, MEDIUM, 10, delayed=True),
        _session(scale, LARGE, 1, delayed=True),
    ]


def _kept(scale: Scale, count: int, goal: Goal) -> Workload[SMTPParticipant]:
    async def run(client: SMTPParticipant) -> int:
        return await client.send(mails_of(SMALL, count))

    return Timed(
        Row(
            key="kept-200",
            title=f"mails of {SIZES[SMALL]} on an open connection",
            unit="mails/s",
            goal=goal,
        ),
        scale,
        operations=count,
        run=run,
        check=lambda accepted: accepted == count,
    )


def _session(
    scale: Scale, size: int, count: int, goal: Goal | None = None, *, delayed: bool = False
) -> Workload[SMTPParticipant]:
    async def run(client: SMTPParticipant) -> int:
        address = await client.delayed_address() if delayed else client.address
        return await client.session(address, mails_of(size, count))

    mails = "a mail" if count == 1 else f"{grouped(count)} mails"
    where = f", {ROUND_TRIP} ms of round trip added" if delayed else ""
    return Timed(
        Row(
            key=f"{count}-of-{size}" + ("-delayed" if delayed else ""),
            title=f"{mails} of {SIZES[size]} on a new connection{where}",
            unit="mails/s",
            goal=goal,
            growth=(f"mails of {SIZES[size]} on a new connection{where}", count),
            growth_of="mail",
        ),
        scale,
        operations=count,
        run=run,
        check=lambda accepted: accepted == count,
    )
