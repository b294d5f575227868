"""Direct connections, and how the egress policy guards each step of them."""

from __future__ import annotations

import asyncio
import errno
import socket as stdlib_socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from wirekit import (
    BlockedError,
    ConnectError,
    ConnectRefused,
    ConnectTimeout,
    ResolveError,
    SocketClosed,
)
from wirekit.sockets import (
    AddressLike,
    DirectConnector,
    Policy,
    Scope,
    Socket,
    connect,
    memory_pair,
    with_fallback,
    with_retry,
)

from .carriers import below, returning, until

pytestmark = pytest.mark.both_loops

ATTEMPT_DELAY = "wirekit.sockets._direct._ATTEMPT_DELAY"
PUBLIC = "93.184.216.34"


class Resolver:
    """Stands for the event loop's getaddrinfo: a list of answers, each used once but the last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.getaddrinfo)

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
        if _is_literal(host):
            answer: Sequence[str] = [host]  # uvloop's sock_connect asks for these as well
        else:
            self.asked.append(host)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (
                stdlib_socket.AF_INET6 if ":" in ip else stdlib_socket.AF_INET,
                stdlib_socket.SOCK_STREAM,
                stdlib_socket.IPPROTO_TCP,
                "",
                (ip, port, 0, 0) if ":" in ip else (ip, port),
            )
            for ip in answer
        ]


def _is_literal(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


class Dialled:
    """Records which addresses are connected to, and may answer for them."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, scripted: dict[str, Exception | None] | None = None
    ) -> None:
        self.addresses: list[str] = []
        self._scripted = scripted or {}
        self._connect = asyncio.get_running_loop().sock_connect
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", self.sock_connect)

    async def sock_connect(self, sock: stdlib_socket.socket, address: Any) -> None:
        self.addresses.append(address[0])
        if address[0] not in self._scripted:
            await self._connect(sock, address)
        elif (answer := self._scripted[address[0]]) is not None:
            raise answer
        else:
            await asyncio.Event().wait()


@contextmanager
def listening(host: str = "127.0.0.1") -> Generator[int]:
    """The port of a listener."""
    family = stdlib_socket.AF_INET6 if ":" in host else stdlib_socket.AF_INET
    with stdlib_socket.create_server((host, 0), family=family, backlog=50) as listener:
        yield listener.getsockname()[1]


async def outcome(socket: Socket) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        await socket.opened
    await socket.close()
    return caught.value


# Failures.


async def test_nobody_listens() -> None:
    error = await outcome(connect("127.0.0.1:1"))
    assert isinstance(error, ConnectRefused)
    assert error.errno == errno.ECONNREFUSED
    assert str(error) == "cannot connect to 127.0.0.1:1: 127.0.0.1: Connection refused"


@pytest.mark.parametrize("port", [80, 443])
async def test_http_ports_come_with_a_hint(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Dialled(monkeypatch, {"127.0.0.1": ConnectionRefusedError(errno.ECONNREFUSED, "refused")})
    error = await outcome(connect(f"127.0.0.1:{port}"))
    assert "an HTTP service needs an HTTP client" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_ip_address_takes_no_thread(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(*_: object) -> None:
        raise AssertionError("a thread is asked for a name")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", no_thread)
    with listening(host) as port:
        async with connect((host, port)) as socket:
            assert socket.info.local_address is not None


async def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> object:
        raise stdlib_socket.gaierror(stdlib_socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    error = await outcome(connect("nowhere.example:5432"))
    assert isinstance(error, ResolveError)
    assert error.cause == "dns"
    assert error.errno == stdlib_socket.EAI_NONAME
    Resolver(monkeypatch, [])
    assert isinstance(await outcome(connect("nowhere.example:5432")), ResolveError)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ETIMEDOUT, ConnectTimeout),
        (errno.EHOSTUNREACH, ConnectError),
        (errno.ECONNREFUSED, ConnectRefused),
    ],
)
async def test_the_systems_error_decides_the_class(
    number: int, expected: type[ConnectError], monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(monkeypatch, ["127.0.0.2", "127.0.0.3"])
    failure = OSError(number, "failed")
    Dialled(monkeypatch, {"127.0.0.2": failure, "127.0.0.3": failure})
    error = await outcome(connect("db.example:5432"))
    assert type(error) is expected
    assert "127.0.0.2" in str(error)
    assert "127.0.0.3" in str(error)
    assert error.errno == number


async def test_unlike_errors_are_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, ["127.0.0.2", "127.0.0.3"])
    Dialled(
        monkeypatch,
        {
            "127.0.0.2": OSError(errno.ENETUNREACH, "unreachable"),
            "127.0.0.3": OSError(errno.ECONNREFUSED, "refused"),
        },
    )
    error = await outcome(connect("db.example:5432"))
    assert type(error) is ConnectError
    assert error.cause == "network"


async def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    error = await outcome(connect(tmp_path / "no.sock"))
    assert "No such file" in str(error)
    assert error.errno == errno.ENOENT


async def test_a_connection_with_oneself_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = stdlib_socket.socket()
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]

    async def to_itself(sock: stdlib_socket.socket, address: Any) -> None:
        bound.close()
        sock.bind(("127.0.0.1", port))
        sock.setblocking(True)
        sock.connect(address)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", to_itself)
    assert isinstance(await outcome(connect(("127.0.0.1", port))), ConnectRefused)


async def test_giving_up_leaves_no_socket_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, ["127.0.0.2", "127.0.0.3"])
    monkeypatch.setattr(ATTEMPT_DELAY, 0.001)
    dialled = Dialled(monkeypatch, {"127.0.0.2": None, "127.0.0.3": None})
    socket = connect("db.example:5432")
    await until(lambda: len(dialled.addresses) >= 2)
    await socket.close()  # and no ResourceWarning follows
    with pytest.raises(SocketClosed):
        await socket.opened


async def test_a_connection_that_breaks_while_it_is_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object, **__: object) -> object:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", broken)
    with listening() as port:
        error = await outcome(connect(("127.0.0.1", port)))
    assert error.errno == errno.ENOTCONN
    assert error.cause == "network"


async def test_an_error_of_the_programs_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    Dialled(monkeypatch, {"127.0.0.1": ZeroDivisionError()})
    with pytest.raises(ZeroDivisionError):
        await connect("127.0.0.1:1").opened


# The race.


async def test_a_dead_first_address_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as port:
        for dead in (OSError(errno.EHOSTUNREACH, "dead"), None):
            monkeypatch.setattr(ATTEMPT_DELAY, 0.01)
            Resolver(monkeypatch, ["127.0.0.9", "127.0.0.1"])
            dialled = Dialled(monkeypatch, {"127.0.0.9": dead})
            async with connect(("db.example", port)) as socket:
                assert socket.info.peer_address == ("127.0.0.1", port)
            assert dialled.addresses == ["127.0.0.9", "127.0.0.1"]
            monkeypatch.undo()


async def test_a_failure_starts_the_next_attempt_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ATTEMPT_DELAY, 1000)
    Resolver(monkeypatch, ["127.0.0.9", "127.0.0.1"])
    Dialled(monkeypatch, {"127.0.0.9": OSError(errno.EHOSTUNREACH, "dead")})
    with listening() as port:
        async with connect(("db.example", port)):
            pass


async def test_the_first_to_answer_wins_and_no_more_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Resolver(monkeypatch, ["127.0.0.1", "127.0.0.9"])
    dialled = Dialled(monkeypatch)
    with listening() as port:
        async with connect(("db.example", port)):
            pass
    assert dialled.addresses == ["127.0.0.1"]


async def test_the_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ["::1", "::2", "::3", "127.0.0.2", "127.0.0.3", "127.0.0.3"]
    Resolver(monkeypatch, answer)
    refused = OSError(errno.ECONNREFUSED, "refused")
    dialled = Dialled(monkeypatch, dict.fromkeys(answer, refused))
    await outcome(connect("db.example:5432"))
    assert dialled.addresses == ["::1", "127.0.0.2", "::2", "127.0.0.3", "::3"]


async def test_two_winners_leave_one_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ATTEMPT_DELAY, 0.001)
    Resolver(monkeypatch, ["127.0.0.1", "127.0.0.2"])
    gate = asyncio.Event()
    real = asyncio.get_running_loop().sock_connect
    dialled: list[str] = []

    async def together(sock: stdlib_socket.socket, address: Any) -> None:
        await real(sock, address)
        dialled.append(address[0])
        if len(dialled) == 2:
            gate.set()
        await gate.wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", together)
    with stdlib_socket.create_server(("0.0.0.0", 0)) as listener:
        async with connect(("db.example", listener.getsockname()[1])):
            assert len(dialled) == 2


async def test_a_dead_peer_is_noticed_in_the_end() -> None:
    with listening() as port:
        async with connect(("127.0.0.1", port)) as socket:
            sock = below(socket).get_extra_info("socket")
            assert sock.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE)
            assert sock.getsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY)


# The policy.


async def test_a_rebinding_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, [PUBLIC], ["127.0.0.1"])
    dialled = Dialled(monkeypatch, {PUBLIC: OSError(errno.EHOSTUNREACH, "no network here")})
    await outcome(connect("rebinding.example:5432", policy=Policy.public_only()))
    assert resolver.asked == ["rebinding.example"]
    assert dialled.addresses == [PUBLIC]


async def test_reconnecting_checks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch, [PUBLIC], ["127.0.0.1"])
    dialled = Dialled(monkeypatch, {PUBLIC: OSError(errno.EHOSTUNREACH, "no network here")})
    connector = DirectConnector(policy=Policy.public_only())
    with pytest.raises(ConnectError):
        await connector("rebinding.example:5432")
    with pytest.raises(BlockedError, match=r"127\.0\.0\.1"):
        await connector("rebinding.example:5432")
    assert len(resolver.asked) == 2
    assert dialled.addresses == [PUBLIC]


@pytest.mark.parametrize(
    "answer",
    [
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        [PUBLIC, "::ffff:127.0.0.1"],
        [PUBLIC, "::1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
    ],
)
async def test_one_forbidden_address_refuses_the_name(
    answer: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(monkeypatch, answer)
    dialled = Dialled(monkeypatch)
    error = await outcome(connect("mixed.example:5432", policy=Policy.public_only()))
    assert isinstance(error, BlockedError)
    assert error.cause == "blocked"
    assert dialled.addresses == []


async def test_first_allowed_never_touches_a_forbidden_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ATTEMPT_DELAY, 0.001)
    with listening() as port:
        policy = Policy(deny=["127.0.0.0/30"], first_allowed=True)
        Resolver(monkeypatch, ["127.0.0.2", "127.0.0.9", "127.0.0.1", "127.0.0.8"])
        dialled = Dialled(monkeypatch, {"127.0.0.9": None, "127.0.0.8": None})
        socket = connect(("mixed.example", port), policy=policy, connect_timeout=0.05)
        assert isinstance(await outcome(socket), ConnectTimeout)
        assert dialled.addresses == ["127.0.0.9", "127.0.0.8"]


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:1", "[::]:1", "127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "localhost:1", "/x"],
)
async def test_what_is_not_public_is_refused_before_anything_is_tried(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(monkeypatch, [PUBLIC])
    dialled = Dialled(monkeypatch)
    error = await outcome(connect(address, policy=Policy.public_only()))
    assert isinstance(error, BlockedError)
    assert resolver.asked == dialled.addresses == []


async def test_a_peer_other_than_the_checked_one_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0.0.0.0 leads to 127.0.0.1: what was checked is not what was reached.
    with stdlib_socket.create_server(("127.0.0.1", 0)) as listener:
        socket = connect(("0.0.0.0", listener.getsockname()[1]))
        error = await outcome(socket)
        assert isinstance(error, BlockedError)
        assert "127.0.0.1" in str(error)
        with listener.accept()[0] as peer:
            assert peer.recv(1) == b""  # closed, and nothing was sent


async def test_only_is_a_capability() -> None:
    with listening() as port:
        policy = Policy.only(f"127.0.0.1:{port}")
        async with connect(("127.0.0.1", port), policy=policy):
            pass
        assert isinstance(await outcome(connect("127.0.0.1:1", policy=policy)), BlockedError)
        assert isinstance(await outcome(connect("localhost:1", policy=policy)), BlockedError)


async def test_with_a_connector_names_and_literals_are_checked_and_nothing_is_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(monkeypatch, ["127.0.0.1"])
    carrier, other = memory_pair()
    asked: list[AddressLike] = []

    async def tunnel(address: AddressLike) -> Socket:
        asked.append(address)
        return await returning(carrier)(address)

    policy = Policy.public_only()
    for forbidden in ("localhost:1", "10.0.0.1:1", "/run/db.sock"):
        socket = connect(forbidden, policy=policy, connector=tunnel)
        assert isinstance(await outcome(socket), BlockedError)
    assert asked == []
    async with connect("internal.example:5432", policy=policy, connector=tunnel) as socket:
        await socket.write(b"x")
        assert await other.read() == b"x"
    assert [str(address) for address in asked] == ["internal.example:5432"]
    assert resolver.asked == []


@pytest.mark.parametrize(
    "connector",
    [DirectConnector(), with_retry(DirectConnector()), with_fallback(DirectConnector(), "h:1")],
    ids=["direct", "retry", "fallback"],
)
async def test_a_policy_holds_for_the_direct_connections_of_a_connector(
    connector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(monkeypatch, ["127.0.0.1"])
    dialled = Dialled(monkeypatch, {})
    policy = Policy.public_only()
    with listening() as port:
        address = ("evil.example", port)
        refused = await outcome(connect(address, policy=policy, connector=connector))
        assert isinstance(refused, BlockedError)
        async with Scope(policy=policy) as scope:
            refused = await outcome(scope.connect(address, connector=connector))
            assert isinstance(refused, BlockedError)
    assert dialled.addresses == []
