from __future__ import annotations

import asyncio
import copy
import json
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wirekit
from wirekit.adapters.postgres._oauth import Bearer, OAuthTokenRejected
from wirekit.adapters.postgres.exceptions import InterfaceError

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


async def ask() -> str:
    return TOKEN


async def rejected(answer: object) -> Bearer:
    exchange = Bearer(ask)
    await exchange.start()
    assert exchange.complete
    assert await exchange.respond(json.dumps(answer).encode()) == b"\x01"
    assert not exchange.complete
    return exchange


async def test_initial_response() -> None:
    # RFC 7628 §3.1, without host and port, which are optional
    assert await Bearer(ask).start() == b"n,,\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


async def test_rejection() -> None:
    # RFC 7628 §4.3
    exchange = await rejected(
        {
            "status": "invalid_token",
            "scope": "example_scope",
            "openid-configuration": "https://example.com/.well-known/openid-configuration",
        }
    )
    error = exchange.rejection
    assert isinstance(error, OAuthTokenRejected)
    assert isinstance(error, InterfaceError)
    assert error.status == "invalid_token"
    assert error.scope == "example_scope"
    assert error.openid_configuration == "https://example.com/.well-known/openid-configuration"
    for text in (error.status, error.scope, error.openid_configuration):
        assert text in str(error)
    with pytest.raises(wirekit.RemoteProtocolError, match="goes on"):
        await exchange.respond(b'{"status": "invalid_token"}')


async def test_rejection_with_a_status_alone() -> None:
    error = (await rejected({"status": "insufficient_scope"})).rejection
    assert error is not None
    assert (error.status, error.scope, error.openid_configuration) == (
        "insufficient_scope",
        None,
        None,
    )
    assert str(error) == "the server rejected the OAuth token: 'insufficient_scope'"


async def test_a_server_that_echoes_the_token() -> None:
    exchange = await rejected({"status": f"bad {TOKEN}", "scope": TOKEN})
    error = exchange.rejection
    assert error is not None
    assert error.status == "bad [token]"
    assert TOKEN not in repr((error, vars(error), vars(exchange)))


async def test_a_long_or_unprintable_text_is_shown_short_and_escaped() -> None:
    error = (await rejected({"status": "\x1b[2J" + "x" * 100_000})).rejection
    assert error is not None
    assert len(str(error)) < 1000
    assert "\x1b" not in str(error)


async def test_the_error_can_be_copied() -> None:
    error = (await rejected({"status": "s", "scope": "t"})).rejection
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(twin, OAuthTokenRejected)
        assert str(twin) == str(error)
        assert twin.scope == "t"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"invalid_token"',
        b"{}",
        b'{"status": 1}',
        b'{"status": null}',
        b'{"status": "s", "scope": []}',
        b'{"status": "s", "openid-configuration": {}}',
        b'{"status": "\xff"}',
        b"[" * 100_000,
        b"9" * 5000,
    ],
)
async def test_malformed_rejection(data: bytes) -> None:
    exchange = Bearer(ask)
    await exchange.start()
    with pytest.raises(wirekit.RemoteProtocolError, match="OAuth error"):
        await exchange.respond(data)


async def test_there_is_no_final_message() -> None:
    exchange = Bearer(ask)
    await exchange.start()
    with pytest.raises(wirekit.RemoteProtocolError, match="AuthenticationSASLFinal"):
        exchange.finish(b"")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["status", "scope"]), inner),
)


@given(st.binary() | JSON.map(json.dumps).map(str.encode))
@example(b'{"status": "\\ud800"}')
def test_only_a_protocol_error_by_any_rejection(data: bytes) -> None:
    async def go() -> None:
        exchange = Bearer(ask)
        await exchange.start()
        try:
            assert await exchange.respond(data) == b"\x01"
        except wirekit.RemoteProtocolError:
            return
        assert isinstance(json.loads(data)["status"], str)

    asyncio.run(go())
