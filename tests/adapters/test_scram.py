from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import threading
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wirekit
from wirekit.adapters._scram import Scram

NONCE = "rOprNGfwEbeRWgbNEkqO"
SALT = base64.b64encode(b"0123456789abcdef").decode()


def scram(
    password: bytes = b"pencil",
    *,
    mechanism: str = "SCRAM-SHA-256",
    binding: bytes | None = None,
    iterations: tuple[int, int] = (4096, 1_000_000),
    username: str = "*",
    nonce: str | None = NONCE,
) -> Scram:
    async def ask() -> bytes:
        return password

    return Scram(mechanism, ask, binding, iterations=iterations, username=username, nonce=nonce)


@pytest.mark.parametrize(
    ("mechanism", "nonce", "server_first", "proof", "signature"),
    [
        pytest.param(
            "SCRAM-SHA-1",
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            id="RFC 5802 §5",
        ),
        pytest.param(
            "SCRAM-SHA-256",
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            id="RFC 7677 §3",
        ),
    ],
)
async def test_vectors(
    mechanism: str, nonce: str, server_first: str, proof: str, signature: str
) -> None:
    exchange = scram(mechanism=mechanism, username="user", nonce=nonce)
    assert await exchange.start() == f"n,,n=user,r={nonce}".encode()
    whole_nonce = server_first[: server_first.index(",")]
    final = await exchange.respond(server_first.encode())
    assert final == f"c=biws,{whole_nonce},p={proof}".encode()
    assert not exchange.complete
    exchange.finish(f"v={signature}".encode())
    assert exchange.complete


@pytest.mark.parametrize(
    ("mechanism", "binding", "header"),
    [
        ("SCRAM-SHA-256", None, b"n,,"),
        ("SCRAM-SHA-256", b"hash", b"y,,"),
        ("SCRAM-SHA-256-PLUS", b"hash", b"p=tls-server-end-point,,"),
    ],
)
async def test_channel_binding(mechanism: str, binding: bytes | None, header: bytes) -> None:
    exchange = scram(mechanism=mechanism, binding=binding)
    assert await exchange.start() == header + f"n=*,r={NONCE}".encode()
    final = await exchange.respond(f"r={NONCE}more,s={SALT},i=4096".encode())
    bound = header + b"hash" if header.startswith(b"p") else header
    assert final.startswith(b"c=" + base64.b64encode(bound) + b",r=")


def reference(password: bytes, iterations: int, extension: str = "") -> tuple[str, str, str]:
    """RFC 5802 §3 once more, by the standard library."""
    server_first = f"r={NONCE}more,s={SALT},i={iterations}{extension}"
    without_proof = f"c=biws,r={NONCE}more"
    message = f"n=*,r={NONCE},{server_first},{without_proof}".encode()
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(SALT), iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    final = f"{without_proof},p={base64.b64encode(proof).decode()}"
    return server_first, final, base64.b64encode(server).decode()


@pytest.mark.parametrize("password", [b"pencil", b"", b"bell\x07", "Ⅸ".encode(), b"\xff"])
async def test_passwords_are_taken_as_they_are(password: bytes) -> None:
    server_first, final, signature = reference(password, 4096)
    exchange = scram(password)
    await exchange.start()
    assert (await exchange.respond(server_first.encode())).decode() == final
    exchange.finish(f"v={signature}".encode())


async def test_user_names_are_prepared_and_escaped() -> None:
    assert await scram(username="a,b=\u2168").start() == f"n,,n=a=2Cb=3DIX,r={NONCE}".encode()


@pytest.mark.parametrize("username", ["", "bell\x07", "\u0627\u0031"])
def test_forbidden_user_names(username: str) -> None:
    with pytest.raises(ValueError, match="user name"):
        scram(username=username)


@pytest.mark.parametrize("extension", ["", ",x=i=7", ",z=i"])
@pytest.mark.parametrize("iterations", [1, 7, 4095, 4096, 10_000, 10_001])
async def test_iterations(iterations: int, extension: str) -> None:
    server_first, final, signature = reference(b"pencil", iterations, extension)
    exchange = scram(iterations=(1, 20_000))
    await exchange.start()
    assert (await exchange.respond(server_first.encode())).decode() == final
    exchange.finish(f"v={signature}".encode())


@pytest.mark.parametrize(
    ("iterations", "text"),
    [
        ("4095", "asks for 4095 SCRAM iterations, min_iterations is 4096"),
        ("1", "min_iterations"),
        ("1000001", "asks for 1000001 SCRAM iterations, max_iterations is 1000000"),
        ("9" * 10_000, r"asks for 9{20}\.\.\. SCRAM iterations, max"),
        ("0", "malformed"),
        ("04096", "malformed"),
        ("+4096", "malformed"),
        ("-1", "malformed"),
        ("4_096", "malformed"),
        ("٤٠٩٦", "malformed"),
        ("", "malformed"),
    ],
)
async def test_iterations_out_of_bounds(iterations: str, text: str) -> None:
    exchange = scram()
    await exchange.start()
    with pytest.raises(wirekit.RemoteProtocolError, match=text):
        await exchange.respond(f"r={NONCE}more,s={SALT},i={iterations}".encode())


@pytest.mark.parametrize("iterations", [4096, 10_001])
async def test_many_iterations_run_in_a_thread(
    iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    pbkdf2 = hashlib.pbkdf2_hmac

    def observed(*args: Any) -> bytes:
        threads.append(threading.current_thread())
        return pbkdf2(*args)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", observed)
    exchange = scram()
    await exchange.start()
    await exchange.respond(f"r={NONCE}more,s={SALT},i={iterations}".encode())
    assert [thread is threading.main_thread() for thread in threads] == [iterations == 4096]


@pytest.mark.parametrize(
    "server_first",
    [
        f"r={NONCE},s={SALT},i=4096",  # our nonce alone
        f"r={NONCE[:-1]},s={SALT},i=4096",
        f"r=x{NONCE},s={SALT},i=4096",  # a nonce that is not ours
        f"r={NONCE} more,s={SALT},i=4096",
        f"r={NONCE}mäh,s={SALT},i=4096",
        f"r={NONCE}more,s=%%%%,i=4096",
        f"r={NONCE}more,s=ä,i=4096",
        f"r={NONCE}more,s={SALT[:-1]},i=4096",
        f"r={NONCE}more,s=,i=4096",
        f"r={NONCE}more,i=4096,s={SALT}",
        f"s={SALT},r={NONCE}more,i=4096",
        f"r={NONCE}more,s={SALT}",
        f"r={NONCE}more,s={SALT},i=4096,",
        f"r={NONCE}more,s={SALT},i=4096,i=5000",
        f"m=x,r={NONCE}more,s={SALT},i=4096",  # RFC 5802 §5.1: "m" has to end the exchange
        f"r={NONCE}more,s={SALT},i=4096,m=x",
        f"r={NONCE}more,s={SALT},i=4096\0",
        "e=unknown-user",
        "",
        ",",
    ],
)
async def test_malformed_server_first(server_first: str) -> None:
    exchange = scram(iterations=(1, 1_000_000))
    await exchange.start()
    with pytest.raises(wirekit.RemoteProtocolError):
        await exchange.respond(server_first.encode())


async def answered() -> tuple[Scram, str]:
    server_first, _, signature = reference(b"pencil", 4096)
    exchange = scram()
    await exchange.start()
    await exchange.respond(server_first.encode())
    return exchange, signature


@pytest.mark.parametrize(
    "server_final",
    [
        f"v={base64.b64encode(bytes(32)).decode()}",
        "v=AAAA",
        "v=%",
        "v=",
        "e=invalid-proof",
        "e=whatever",
        "e",
        "",
        "\xff",
    ],
)
async def test_a_server_that_does_not_prove_itself(server_final: str) -> None:
    exchange, _ = await answered()
    with pytest.raises(wirekit.RemoteProtocolError, match="SCRAM"):
        exchange.finish(server_final.encode("latin-1"))
    assert not exchange.complete


async def test_messages_out_of_order() -> None:
    exchange = scram()
    await exchange.start()
    with pytest.raises(wirekit.RemoteProtocolError, match="not due"):
        exchange.finish(b"v=AAAA")
    exchange, signature = await answered()
    with pytest.raises(wirekit.RemoteProtocolError, match="second"):
        await exchange.respond(f"r={NONCE}more,s={SALT},i=4096".encode())
    exchange.finish(f"v={signature}".encode())
    with pytest.raises(wirekit.RemoteProtocolError, match="not due"):
        exchange.finish(f"v={signature}".encode())


async def test_the_password_is_asked_for_once_and_late_and_not_kept() -> None:
    asked = 0

    async def ask() -> bytes:
        nonlocal asked
        asked += 1
        return b"pencil-of-graphite"

    def new() -> Scram:
        iterations = (4096, 4096)
        return Scram("SCRAM-SHA-256", ask, None, iterations=iterations, username="*", nonce=NONCE)

    exchange = new()
    await exchange.start()
    with pytest.raises(wirekit.RemoteProtocolError):
        await exchange.respond(b"r=other,s=AAAA,i=4096")
    assert asked == 0
    exchange = new()
    await exchange.start()
    await exchange.respond(f"r={NONCE}more,s={SALT},i=4096".encode())
    assert asked == 1
    held = cast("dict[str, Any]", vars(vars(exchange)["_client"]))
    assert held["password"] == b""
    assert not any("graphite" in repr(value) for value in held.values())


async def test_a_random_nonce() -> None:
    firsts = {await scram(nonce=None).start() for _ in range(8)}
    assert len(firsts) == 8
    assert all(len(first) >= len(b"n,,n=*,r=") + 24 for first in firsts)


PIECES = [
    b"r=",
    NONCE.encode(),
    b",",
    b"s=",
    SALT.encode(),
    b"i=",
    b"4096",
    b"1",
    b"=",
    b"\0",
    b"e=",
]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
@example(f"r={NONCE}more,s={SALT},i=4096".encode())
def test_only_a_protocol_error_by_any_server_first(data: bytes) -> None:
    async def go() -> None:
        exchange = scram(iterations=(1, 5000))
        await exchange.start()
        try:
            final = await exchange.respond(data)
        except wirekit.RemoteProtocolError:
            return
        assert data.startswith(f"r={NONCE}".encode())
        assert final.startswith(f"c=biws,r={NONCE}".encode())

    asyncio.run(go())


@given(st.binary() | st.binary().map(lambda data: b"v=" + base64.b64encode(data)))
def test_only_a_protocol_error_by_any_server_final(data: bytes) -> None:
    async def go() -> None:
        exchange, _ = await answered()
        with pytest.raises(wirekit.RemoteProtocolError):
            exchange.finish(data)

    asyncio.run(go())
