"""Certificates for servers on this host and for their clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class CertificateFiles:
    """Where a `CertificateAuthority` was written to, as PEM."""

    authority: Path
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path


class CertificateAuthority:
    """A throw-away authority, with a certificate for servers on this host and one for clients.

    ``authority`` is the `trustme.CA`, for tests that need other certificates as well.
    """

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.server = self.authority.issue_cert("localhost", "127.0.0.1", "::1")
        # Postgres takes the common name for the name of a user.
        self.client = self.authority.issue_cert("client@wirekit.example", common_name="cert_user")

    def server_context(self, *, require_client_certificate: bool = False) -> ssl.SSLContext:
        """Return a new context for the server's side."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        _present(self.server, context)
        if require_client_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            self._trust(context)
        return context

    def client_context(self, *, with_certificate: bool = False) -> ssl.SSLContext:
        """Return a new context that trusts this authority, for the client's side."""
        context = ssl.create_default_context()
        self._trust(context)
        if with_certificate:
            _present(self.client, context)
        return context

    def write(self, directory: Path) -> CertificateFiles:
        """Write everything as PEM files, as servers and command lines want it."""
        files = CertificateFiles(
            authority=directory / "authority.pem",
            server_certificate=directory / "server.pem",
            server_key=directory / "server.key",
            client_certificate=directory / "client.pem",
            client_key=directory / "client.key",
        )
        self.authority.cert_pem.write_to_path(files.authority)
        for certificate, chain, key in (
            (self.server, files.server_certificate, files.server_key),
            (self.client, files.client_certificate, files.client_key),
        ):
            chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
            certificate.private_key_pem.write_to_path(key)
            key.chmod(0o600)  # Postgres and its clients refuse a key that others could read
        return files

    def _trust(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(cadata=self.authority.cert_pem.bytes().decode())


def _present(certificate: trustme.LeafCert, context: ssl.SSLContext) -> None:
    with certificate.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
