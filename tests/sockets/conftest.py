"""What the tests of the sockets share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.servers import CertificateAuthority, RunningServer

from .carriers import Workshop, workshop


@pytest_asyncio.fixture
async def make(
    certificate_authority: CertificateAuthority, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Workshop]:
    """Makes pairs of joined sockets over any carrier, and ends them after the test."""

    def sshd() -> RunningServer:
        """Started for those who ask for it."""
        running: RunningServer = request.getfixturevalue("sshd")
        return running

    async with workshop(certificate_authority, tmp_path, sshd) as made:
        yield made
