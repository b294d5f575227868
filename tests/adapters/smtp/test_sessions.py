from __future__ import annotations

import asyncio

import pytest

import wirekit
from tests.interop.waiting import outcomes, turns
from wirekit.adapters.smtp import SMTPServerDisconnected
from wirekit.adapters.smtp._sessions import Sessions
from wirekit.adapters.smtp._settings import Settings
from wirekit.sockets import Socket

from ._script import PIPELINING, submit
from ._servers import Mailbox, Unreachable

SETTINGS = Settings(hostname="client.example", timeout=5)


def renewable(mailbox: Mailbox, *errors: Exception, settings: Settings = SETTINGS) -> Sessions:
    connector = Unreachable(mailbox, *errors)

    async def dial() -> Socket:
        return await connector("server")

    return Sessions(settings, socket=None, dial=dial)


async def on_socket(mailbox: Mailbox) -> Sessions:
    return Sessions(SETTINGS, socket=await mailbox.connector("server"), dial=None)


async def test_a_connection_that_is_over_is_made_anew() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = renewable(mailbox)
    first = await sessions.open()
    assert await sessions.ready() is first
    first.connection.fail(wirekit.ConnectionLost("gone"))
    assert not sessions.is_connected
    second = await sessions.ready()
    assert second is not first
    assert sessions.is_connected
    assert mailbox.connections == 2
    await sessions.aclose()


async def test_all_who_wait_share_one_attempt() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = renewable(mailbox, wirekit.ConnectRefused("no"))
    results = await outcomes(*(sessions.open() for _ in range(3)))
    assert [type(result).__name__ for result in results] == ["ConnectRefused"] * 3
    opened = await outcomes(*(sessions.open() for _ in range(3)))
    assert len(set(opened)) == 1
    assert mailbox.connections == 1
    await sessions.aclose()


async def test_one_who_stops_waiting_stops_it_for_nobody() -> None:
    sessions = renewable(Mailbox(*PIPELINING))
    first, second = asyncio.create_task(sessions.open()), asyncio.create_task(sessions.open())
    await turns(1)
    first.cancel()
    assert await second is sessions.current
    await sessions.aclose()


async def test_without_a_connector_there_is_no_second() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = await on_socket(mailbox)
    queue = await sessions.open()
    queue.connection.fail(wirekit.ConnectionLost("gone"))
    with pytest.raises(SMTPServerDisconnected, match="gone") as caught:
        await sessions.ready()
    assert vars(caught.value)["sent"] is False
    assert not sessions.is_renewable
    await sessions.aclose()


async def test_a_socket_that_was_used_up() -> None:
    mailbox = Mailbox(*PIPELINING)
    mailbox.answers = [("<greeting>", "554 no")]
    sessions = await on_socket(mailbox)
    with pytest.raises(wirekit.ServerError, match="554"):
        await sessions.open()
    with pytest.raises(wirekit.SocketClosed, match="used up"):
        await sessions.open()


async def test_not_open_and_closed() -> None:
    sessions = await on_socket(Mailbox(*PIPELINING))
    with pytest.raises(SMTPServerDisconnected, match="not open"):
        await sessions.ready()
    await sessions.aclose()
    for call in (sessions.open, sessions.ready):
        with pytest.raises(SMTPServerDisconnected, match="closed"):
            await call()


async def test_closed_while_it_opens() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = renewable(mailbox)
    opening = asyncio.create_task(sessions.open())
    await turns(4)
    await sessions.aclose()
    with pytest.raises(SMTPServerDisconnected, match="closed"):
        await opening
    await turns(5)
    assert mailbox.open == 0


async def test_it_says_goodbye_when_all_is_done() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = renewable(mailbox)
    queue = await sessions.open()
    mails = [submit(queue) for _ in range(3)]
    await sessions.aclose()
    assert mailbox.commands[-1] == "QUIT"
    assert len(mailbox.mails) == 3
    for mail in mails:
        await mail.result()


async def test_it_closes_although_the_server_does_not_answer() -> None:
    mailbox = Mailbox(*PIPELINING)
    sessions = renewable(mailbox, settings=Settings(hostname="client.example", timeout=0.05))
    queue = await sessions.open()
    mailbox.answers = [("QUIT", "")]
    await sessions.aclose()
    assert isinstance(queue.connection.error, wirekit.ConnectionLost | wirekit.SocketClosed)


async def test_after_so_many_mails_there_is_a_new_connection_and_never_two() -> None:
    mailbox = Mailbox(*PIPELINING)
    settings = Settings(hostname="client.example", messages_per_connection=2)
    sessions = renewable(mailbox, settings=settings)
    await sessions.open()
    for _ in range(5):
        await submit(await sessions.ready()).result()
        assert mailbox.open == 1
    assert mailbox.connections == 3
    assert mailbox.commands.count("QUIT") == 2
    await sessions.aclose()


async def test_a_full_connection_is_not_cut_off_while_a_mail_waits_for_its_reply() -> None:
    """Which may take ``data_timeout``, longer than everything else."""
    settings = Settings(
        hostname="client.example", timeout=0.05, data_timeout=5, messages_per_connection=1
    )
    mailbox = Mailbox(*PIPELINING)
    mailbox.hold = asyncio.Event()
    sessions = renewable(mailbox, settings=settings)
    mail = submit(await sessions.open())
    opening = asyncio.create_task(sessions.ready())
    await asyncio.sleep(0.12)
    assert mail.outcome is None
    mailbox.hold.set()
    assert (await mail.result()).errors == {}
    await opening
    assert mailbox.connections == 2
    await sessions.aclose()
