"""What a scan has found, as an object, JSON and a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ._ratings import Level, Rating

__all__ = ["Finding", "RatedAlgorithm", "Report", "ScannedHostKey"]

_TITLES = {
    "kex_algorithms": "Key exchange",
    "server_host_key_algorithms": "Host key algorithms",
    "encryption_algorithms": "Encryption",
    "mac_algorithms": "MACs",
    "compression_algorithms": "Compression",
}
_DIRECTIONS = {"client_to_server": "client to server", "server_to_client": "server to client"}


@dataclass(frozen=True, slots=True)
class RatedAlgorithm:
    """An algorithm that the server names, and what is to be thought of it."""

    name: str
    rating: Rating


@dataclass(frozen=True, slots=True)
class ScannedHostKey:
    """A host key of the server's.

    Attributes:
        key_type: such as ``ssh-ed25519``; of a certificate, that of its key.
        fingerprint: as ``ssh-keygen -l`` writes it.
        bits: the size of an RSA key; else None.
        certificate: the key_id of a certificate, if it came in one.
        rating: what is to be thought of it.
    """

    key_type: str
    fingerprint: str
    bits: int | None
    certificate: str | None
    rating: Rating


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the server as a whole."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a scan has found; ``str()`` is a table of it.

    Attributes:
        address: where the server is.
        identification: what it says it is.
        lines: what it said before that.
        algorithms: what it can do, in its order, by the field of SSH_MSG_KEXINIT (RFC 4253 §7.1).
        host_keys: its keys and certificates.
        host_keys_not_seen: why not, by the algorithm for which there must be one.
        findings: what is to be said beside that.
    """

    address: str
    identification: str
    lines: tuple[str, ...]
    algorithms: dict[str, tuple[RatedAlgorithm, ...]] = field(repr=False)
    host_keys: tuple[ScannedHostKey, ...]
    host_keys_not_seen: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst level in it."""
        rated = [*(one.rating.level for names in self.algorithms.values() for one in names)]
        rated += [key.rating.level for key in self.host_keys]
        return max([*rated, *(finding.level for finding in self.findings)], default=Level.GOOD)

    def to_json(self) -> str:
        """Return all of it as a JSON object."""
        return json.dumps(
            {
                "address": self.address,
                "level": str(self.level),
                "identification": self.identification,
                "lines": self.lines,
                "findings": [
                    {"level": str(finding.level), "text": finding.text} for finding in self.findings
                ],
                "host_keys": [
                    {
                        "type": key.key_type,
                        "fingerprint": key.fingerprint,
                        "bits": key.bits,
                        "certificate": key.certificate,
                        **_rated(key.rating),
                    }
                    for key in self.host_keys
                ],
                "host_keys_not_seen": self.host_keys_not_seen,
                "algorithms": {
                    name: [{"name": one.name, **_rated(one.rating)} for one in names]
                    for name, names in self.algorithms.items()
                },
            },
            indent=2,
        )

    def __str__(self) -> str:
        """Return a table for people."""
        keys = [(str(key.rating.level), _named(key), _why(key.rating)) for key in self.host_keys]
        keys += [("?", name, why) for name, why in self.host_keys_not_seen.items()]
        sections = [("Host keys", keys), *self._algorithm_sections()]
        parts = [f"{self.address}  {self.identification}  {self.level}", *self.lines, ""]
        parts += [f"  {finding.level!s:4}  {finding.text}" for finding in self.findings]
        for title, rows in sections:
            width = max((len(name) for _, name, why in rows if why), default=0)
            parts += ["", title]
            parts += [f"  {level:4}  {name:{width}}  {why}".rstrip() for level, name, why in rows]
        return "\n".join(map(_printable, parts))

    def _algorithm_sections(self) -> list[tuple[str, list[tuple[str, str, str]]]]:
        """Return titles and rows; both directions as one where they are the same."""
        sections: list[tuple[str, list[tuple[str, str, str]]]] = []
        for name, title in _TITLES.items():
            directed = {
                said: self.algorithms[f"{name}_{direction}"]
                for direction, said in _DIRECTIONS.items()
                if f"{name}_{direction}" in self.algorithms
            }
            if not directed:
                sections.append((title, _rows(self.algorithms.get(name, ()))))
            elif len(set(directed.values())) == 1:
                sections.append((title, _rows(next(iter(directed.values())))))
            else:
                sections += [
                    (f"{title} from {said}", _rows(names)) for said, names in directed.items()
                ]
        return sections


def _rows(names: tuple[RatedAlgorithm, ...]) -> list[tuple[str, str, str]]:
    return [(str(one.rating.level), one.name, _why(one.rating)) for one in names]


def _named(key: ScannedHostKey) -> str:
    size = "" if key.bits is None else f" {key.bits}"
    certified = "" if key.certificate is None else f" (certificate {key.certificate!r})"
    return f"{key.key_type}{size} {key.fingerprint}{certified}"


def _why(rating: Rating) -> str:
    return "; ".join(rating.reasons)


def _rated(rating: Rating) -> dict[str, Any]:
    return {"level": str(rating.level), "reasons": rating.reasons}


def _printable(text: str) -> str:
    """Return text that does nothing to a terminal."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
