"""Bits turned over on the way to a real broker and back.

Below TLS nobody takes what was spoilt for a message, so every promise holds; see storm.py for
that, and for the long form. On plain TCP nobody notices a bit in a payload, nor can: a message may
be lost, or be another. There the client has to stay in order, whatever it is told.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import servers
from tests.interop.mqtt.spoilt import spoilt_sessions
from tests.interop.mqtt.storm import DURABLE, storm
from tests.servers import CertificateAuthority, RunningServer

VERSIONS = pytest.mark.parametrize("version", [5, 4])
SESSIONS = 80  # on plain TCP


@pytest.fixture(scope="module")
def own_server(certificate_authority: CertificateAuthority) -> Iterator[RunningServer]:
    """A broker that may be told nonsense, and says all that it does."""
    with servers.mosquitto_server(
        websocket=False, tls=certificate_authority, config=DURABLE
    ) as server:
        yield server


@VERSIONS
async def test_below_tls(
    own_server: RunningServer, certificate_authority: CertificateAuthority, version: int
) -> None:
    # Both ends are ours here: paho leaves sockets open where the handshake is spoilt.
    tally = await storm(
        own_server,
        version=version,
        name=f"spoilt/{version}",
        seconds=0.5,
        spoilt=certificate_authority,
    )
    tally.check("wirekit")
    assert tally.faults


@VERSIONS
async def test_on_plain_tcp(own_server: RunningServer, version: int) -> None:
    assert await spoilt_sessions(own_server, version=version, seed=version, count=SESSIONS)
