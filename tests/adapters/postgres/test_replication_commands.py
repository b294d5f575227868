"""Replication commands and the reading of their answers, without a server."""

from __future__ import annotations

import pytest

from wirekit import RemoteProtocolError
from wirekit.adapters.postgres import InterfaceError
from wirekit.adapters.postgres._replication_commands import (
    CreatedSlot,
    ReplicationSlot,
    SystemIdentity,
    create_slot_command,
    drop_slot_command,
    newest_proto_version,
    publication_names,
    show_command,
    slot_query,
    start_command,
)
from wirekit.adapters.postgres.types import ServerVersion


def server(major: int) -> ServerVersion:
    return ServerVersion(major, 0, 0, "final", 0)


def test_answers() -> None:
    identity = SystemIdentity.of(("7301", "1", "16/B374D848", None))
    assert identity == (7301, 1, 0x16_B374D848, None)
    assert CreatedSlot.of(("s", "0/10", None, "pgoutput")) == ("s", 16, None, "pgoutput")
    slot = ReplicationSlot.of(("s", "logical", "pgoutput", "d", "f", "t", "0/1", None))
    assert slot == ("s", "logical", "pgoutput", "d", False, True, 1, None)


@pytest.mark.parametrize(
    "row", [(), ("1", "1", "0/1"), ("x", "1", "0/1", None), (None, "1", "0/1", None)]
)
def test_answers_that_are_none(row: tuple[str | None, ...]) -> None:
    with pytest.raises(RemoteProtocolError):
        SystemIdentity.of(row)


def test_names_are_quoted() -> None:
    assert drop_slot_command('a"b', wait=True) == 'DROP_REPLICATION_SLOT "a""b" WAIT'
    assert show_command("a.b") == 'SHOW "a"."b"'
    assert slot_query("a'b").endswith("'a''b'")
    assert publication_names(["a", "b,c"]) == '"a","b,c"'
    assert publication_names("one") == '"one"'


def test_start() -> None:
    command = start_command("s", "0/10", {"proto_version": "1", "flag": None})
    assert command == ('START_REPLICATION SLOT "s" LOGICAL 0/10 ("proto_version" \'1\', "flag")')
    assert start_command("s", 16, {}) == 'START_REPLICATION SLOT "s" LOGICAL 0/10'


def test_create() -> None:
    command = create_slot_command(
        server(15), "s", "pgoutput", temporary=True, two_phase=False, snapshot="nothing"
    )
    assert command.startswith('CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL "pgoutput"')
    with pytest.raises(InterfaceError, match="snapshot is"):
        create_slot_command(
            server(15),
            "s",
            "pgoutput",
            temporary=False,
            two_phase=False,
            snapshot="all",  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        )


@pytest.mark.parametrize(("major", "version"), [(13, 1), (14, 2), (15, 3), (16, 4), (18, 4)])
def test_newest_proto_version(major: int, version: int) -> None:
    assert newest_proto_version(server(major)) == version
