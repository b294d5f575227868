"""What the tests of the sockets share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.servers import CertificateAuthority

from .carriers import Workshop, workshop


@pytest_asyncio.fixture
async def make(
    certificate_authority: CertificateAuthority, tmp_path: Path
) -> AsyncIterator[Workshop]:
    """Makes pairs of joined sockets over any carrier, and ends them after the test."""
    async with workshop(certificate_authority, tmp_path) as made:
        yield made
