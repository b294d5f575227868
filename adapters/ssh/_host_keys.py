"""Whether a server's key is the right one: what is trusted, and why not."""

from __future__ import annotations

import base64
import binascii
import os
import time
from typing import TYPE_CHECKING, NamedTuple, cast

import asyncssh

from wirekit._errors import AddressError
from wirekit.protocols.ssh import (
    Algorithms,
    HostKey,
    SSHProtocolError,
    check_host_certificate,
)
from wirekit.sockets import TCPAddress, parse_address

from ._errors import HostKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    KnownHostsArgument = (
        str
        | os.PathLike[str]
        | bytes
        | asyncssh.SSHKnownHosts
        | Sequence[str | os.PathLike[str]]
        | None
    )
    PublicKeyArgument = str | bytes | asyncssh.SSHKey | HostKey
    VerifyHostKey = Callable[[str, int, HostKey], bool]

__all__ = [
    "DEFAULT_PORT",
    "HostKeyVerification",
    "host_and_port",
    "in_openssh_order",
]

DEFAULT_PORT = 22
"""Of SSH."""

DEFAULT_KNOWN_HOSTS = (
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
)
"""OpenSSH's (ssh_config(5), UserKnownHostsFile and GlobalKnownHostsFile)."""

_CERTIFICATE = "-cert-v01@openssh.com"
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


class TrustedKeys(NamedTuple):
    """What is known of a host; in the form and order of asyncssh's ``match_known_hosts``.

    Attributes:
        keys: its keys.
        authorities: the keys of those whose certificates are good for it.
        revoked: keys that are no longer good, be it a host's or an authority's.
    """

    keys: list[asyncssh.SSHKey]
    authorities: list[asyncssh.SSHKey]
    revoked: list[asyncssh.SSHKey]


class HostKeyVerification:
    """Which host keys are accepted.

    Any of what is given suffices; a key that known_hosts calls revoked is always refused. When
    nothing is given, OpenSSH's own files of known hosts are looked at, those that exist.

    Args:
        known_hosts: files in OpenSSH's format, or the contents of one as bytes, or what
            ``asyncssh.read_known_hosts`` returned. They are read at each verification. Hashed
            names, ports, patterns, ``@cert-authority`` and ``@revoked`` are understood. Keys are
            looked up by the host's name only, and not by the address that it led to.
        fingerprints: of keys, as ``ssh-keygen -l`` writes them: ``SHA256:`` and base64.
        certificate_authorities: public keys of authorities whose host certificates are accepted,
            as lines of a ``.pub`` file, ``asyncssh.SSHKey`` or `HostKey`.
        verify_host_key: called with host, port and `HostKey`; says whether to accept it.
        dangerously_accept_any_host_key: verify nothing. Whoever is between here and the server can
            then read and change everything, passwords included.

    Raises:
        AddressError: one of them is not of this form, or they do not go together.
    """

    def __init__(
        self,
        *,
        known_hosts: KnownHostsArgument = (),
        fingerprints: str | Sequence[str] = (),
        certificate_authorities: PublicKeyArgument | Sequence[PublicKeyArgument] = (),
        verify_host_key: VerifyHostKey | None = None,
        dangerously_accept_any_host_key: bool = False,
    ) -> None:
        if known_hosts is None:
            raise AddressError(
                "known_hosts=None would accept any key: write known_hosts=b'' if none is known,"
                " or dangerously_accept_any_host_key=True"
            )
        named = (fingerprints,) if isinstance(fingerprints, str) else fingerprints
        self._fingerprints = frozenset(map(_fingerprint, named))
        if isinstance(certificate_authorities, str | bytes | asyncssh.SSHKey | HostKey):
            certificate_authorities = (certificate_authorities,)
        self._authorities = [_public_key(key) for key in certificate_authorities]
        self._verify_host_key = verify_host_key
        self.accepts_any = dangerously_accept_any_host_key
        says_nothing = known_hosts == () and not (
            self._fingerprints or self._authorities or verify_host_key
        )
        if self.accepts_any and not says_nothing:
            raise AddressError("dangerously_accept_any_host_key leaves nothing to be verified by")
        self._known_hosts = _listed(known_hosts)
        self._uses_default_files = says_nothing and not self.accepts_any

    def __repr__(self) -> str:
        if self.accepts_any:
            return "<HostKeyVerification: any key is accepted>"
        counts = f"{len(self._fingerprints)} fingerprints, {len(self._authorities)} authorities"
        return f"<HostKeyVerification {counts}>"

    def verify(self, host: str, port: int, key: HostKey) -> None:
        """Make sure that the key is trusted to be that host's.

        Raises:
            HostKeyError: it is not.
            AddressError: the known hosts cannot be read.
        """
        if self.accepts_any:
            return
        trusted = self.trusted_keys(host, port)
        revoked = _blobs(trusted.revoked)
        certificate = key.certificate
        if key.key_blob in revoked or (
            certificate is not None and certificate.signature_key in revoked
        ):
            raise HostKeyError(f"{_named(host, port, key)} is revoked", key=key)
        if key.key_blob in _blobs(trusted.keys) or key.fingerprint in self._fingerprints:
            return
        why = ""
        if certificate is not None:
            authorities = _blobs(trusted.authorities)
            try:
                check_host_certificate(certificate, host, authorities=authorities, time=time.time())
            except SSHProtocolError as error:
                why = f" (it came in {error})"
            else:
                return
        if self._verify_host_key is not None and self._verify_host_key(host, port, key):
            return
        raise HostKeyError(_refusal(host, port, key, trusted, why), key=key)

    def trusted_keys(self, host: str, port: int) -> TrustedKeys:
        """Return what known_hosts and ``certificate_authorities`` say of a host.

        Raises:
            AddressError: the known hosts cannot be read.
        """
        if self.accepts_any:
            return TrustedKeys([], [], [])
        keys, authorities, revoked = _match(self._read_known_hosts(), host, port)
        return TrustedKeys(keys, [*authorities, *self._authorities], revoked)

    def order(self, algorithms: Sequence[str], host: str, port: int) -> tuple[str, ...]:
        """Return host key algorithms with those first whose keys are known.

        Those of certificates are left out where no authority is known.

        Raises:
            AddressError: the known hosts cannot be read, or none of the algorithms is left.
        """
        if self.accepts_any:
            return tuple(algorithms)
        trusted = self.trusted_keys(host, port)
        known = {key.get_algorithm() for key in trusted.keys}
        certified = bool(trusted.authorities)

        def rank(algorithm: str) -> int:
            if algorithm.endswith(_CERTIFICATE):
                return 0
            return 1 if ("ssh-rsa" if algorithm in _RSA else algorithm) in known else 2

        kept = [name for name in algorithms if certified or not name.endswith(_CERTIFICATE)]
        if not kept:
            raise AddressError("only host certificates are asked for, and no authority is known")
        return tuple(sorted(kept, key=rank))

    def _read_known_hosts(self) -> asyncssh.SSHKnownHosts:
        known_hosts = self._known_hosts
        if isinstance(known_hosts, asyncssh.SSHKnownHosts):
            return known_hosts
        paths = known_hosts
        if self._uses_default_files:
            candidates = map(os.path.expanduser, DEFAULT_KNOWN_HOSTS)
            paths = [path for path in candidates if os.access(path, os.R_OK)]
        try:
            return asyncssh.read_known_hosts(paths)
        except (OSError, ValueError) as error:  # of a line, it names that
            raise AddressError(f"known_hosts cannot be read: {error}") from error


def host_and_port(remote_address: str, host: str | None, port: int | None) -> tuple[str, int]:
    """Return by which name to look a host's keys up: as given, or else as in the socket's address.

    Raises:
        AddressError: a given host is none.
    """
    try:
        address = parse_address(remote_address, default_port=DEFAULT_PORT)
    except AddressError:
        address = None  # it is in memory, say, and called something
    if host is not None:
        host = TCPAddress(host, DEFAULT_PORT).server_name
        asked = address.port if isinstance(address, TCPAddress) else DEFAULT_PORT
        return host, asked if port is None else port
    if isinstance(address, TCPAddress):
        return address.server_name, address.port if port is None else port
    return "", DEFAULT_PORT if port is None else port


def in_openssh_order(algorithms: Sequence[str]) -> list[str]:
    """Return host key algorithms in OpenSSH's order of preference, without those with SHA-1.

    Those that OpenSSH has not come last.
    """
    order = {name: rank for rank, name in enumerate(Algorithms().server_host_key_algorithms)}
    kept = [name for name in algorithms if name.removesuffix(_CERTIFICATE) != "ssh-rsa"]
    return sorted(kept, key=lambda name: order.get(name, len(order)))


def _listed(known_hosts: object) -> list[str] | asyncssh.SSHKnownHosts:
    """Return paths, or what is known already."""
    if isinstance(known_hosts, asyncssh.SSHKnownHosts):
        return known_hosts
    if isinstance(known_hosts, bytes):
        try:
            return asyncssh.import_known_hosts(known_hosts.decode())
        except ValueError as error:
            raise AddressError(f"known_hosts cannot be read: {error}") from error
    if isinstance(known_hosts, str | os.PathLike):
        paths: Sequence[str | os.PathLike[str]] = [cast("str", known_hosts)]
    else:
        paths = cast("Sequence[str | os.PathLike[str]]", known_hosts)
    return [os.path.expanduser(os.fspath(path)) for path in paths]


def _fingerprint(text: str) -> str:
    kind, _, digest = text.strip().partition(":")
    try:
        size = len(base64.b64decode(digest.rstrip("=") + "=", validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if kind != "SHA256" or size != 32:
        raise AddressError("a fingerprint is SHA256: and 43 characters, as ssh-keygen -l writes it")
    return f"SHA256:{digest.rstrip('=')}"


def _public_key(key: PublicKeyArgument) -> asyncssh.SSHKey:
    if isinstance(key, asyncssh.SSHKey):
        return key
    if isinstance(key, HostKey):
        key = f"{key.key_type} {base64.b64encode(key.key_blob).decode()}"
    try:
        return asyncssh.import_public_key(key)
    except asyncssh.KeyImportError as error:
        raise AddressError(f"certificate_authorities are public keys: {error}") from None


def _match(known_hosts: asyncssh.SSHKnownHosts, host: str, port: int) -> TrustedKeys:
    """Return what stands under the host's name, which other ports than 22 are part of.

    Where nothing stands under both, the name alone counts, as OpenSSH has it; but what is revoked
    under either is revoked.
    """
    if not host:
        host = "*"  # no name that is written in files; what is said of all hosts counts
    names = [host] if port == DEFAULT_PORT else [f"[{host}]:{port}", host]
    found = [known_hosts.match(name, "", None) for name in names]
    keys, authorities = next((each[:2] for each in found if each[0] or each[1]), ((), ()))
    revoked = [key for each in found for key in each[2]]
    return TrustedKeys([*keys], [*authorities], revoked)


def _blobs(keys: list[asyncssh.SSHKey]) -> set[bytes]:
    return {key.public_data for key in keys}


def _named(host: str, port: int, key: HostKey) -> str:
    server = f"{host}:{port}" if host else "the server"
    return f"the host key of {server}, {key.key_type} {key.fingerprint},"


def _refusal(host: str, port: int, key: HostKey, trusted: TrustedKeys, why: str) -> str:
    """Return what to say of a key that is not trusted."""
    text = _named(host, port, key)
    if not host:
        text += " is not trusted: say by host= whose it should be"
    elif any(known.get_algorithm() == key.key_type for known in trusted.keys):
        others = ", ".join(sorted(known.get_fingerprint() for known in trusted.keys))
        text += (
            f" is not the one that is known ({others}): it was changed, or somebody is between here"
            " and the server"
        )
    else:
        text += (
            " is not known: compare it with what ssh-keygen -l says on the server, and then"
            " add it to known_hosts or pass fingerprints="
        )
    return f"{text}{why}"
