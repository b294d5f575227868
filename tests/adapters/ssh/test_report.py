from __future__ import annotations

import json
from dataclasses import replace

import pytest

from wirekit.adapters.ssh._ratings import GOOD, Level, Rating
from wirekit.adapters.ssh._report import Finding, RatedAlgorithm, Report, ScannedHostKey

WEAK = Rating(Level.WARN, ("weak", "old"))
BAD = Rating(Level.FAIL, ("broken",))
AES, RC4 = RatedAlgorithm("aes", GOOD), RatedAlgorithm("rc4", BAD)
KEY = ScannedHostKey("ssh-rsa", "SHA256:abc", 2048, None, WEAK)
REPORT = Report(
    address="example.com:22",
    identification="SSH-2.0-x",
    lines=("welcome",),
    algorithms={
        "kex_algorithms": (RatedAlgorithm("dh", WEAK),),
        "server_host_key_algorithms": (RatedAlgorithm("ssh-rsa", GOOD),),
        "encryption_algorithms_client_to_server": (AES,),
        "encryption_algorithms_server_to_client": (AES,),
        "mac_algorithms_client_to_server": (),
        "mac_algorithms_server_to_client": (),
        "compression_algorithms_client_to_server": (RatedAlgorithm("none", GOOD),),
        "compression_algorithms_server_to_client": (RatedAlgorithm("none", GOOD),),
    },
    host_keys=(KEY,),
    host_keys_not_seen={"ssh-dss": "not known"},
    findings=(Finding(Level.GOOD, "strict"),),
)


def test_a_table() -> None:
    assert (
        str(REPORT)
        == """\
example.com:22  SSH-2.0-x  warn
welcome

  good  strict

Host keys
  warn  ssh-rsa 2048 SHA256:abc  weak; old
  ?     ssh-dss                  not known

Key exchange
  warn  dh  weak; old

Host key algorithms
  good  ssh-rsa

Encryption
  good  aes

MACs

Compression
  good  none"""
    )


def test_directions_that_differ() -> None:
    algorithms = {**REPORT.algorithms, "encryption_algorithms_server_to_client": (RC4,)}
    text = str(replace(REPORT, algorithms=algorithms))
    assert "Encryption from client to server\n  good  aes\n" in text
    assert "Encryption from server to client\n  fail  rc4  broken\n" in text


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.WARN),
        ({"host_keys": (replace(KEY, rating=BAD),)}, Level.FAIL),
        ({"findings": (Finding(Level.FAIL, "bad"),)}, Level.FAIL),
        ({"algorithms": {"kex_algorithms": (RC4,)}}, Level.FAIL),
        ({"algorithms": {}, "host_keys": ()}, Level.GOOD),
    ],
    ids=["as it is", "key", "finding", "algorithm", "nothing"],
)
def test_level(changes: dict[str, object], level: Level) -> None:
    assert replace(REPORT, **changes).level is level  # type: ignore[arg-type]


def test_json() -> None:
    said = json.loads(REPORT.to_json())
    assert said["level"] == "warn"
    assert said["host_keys"] == [
        {
            "type": "ssh-rsa",
            "fingerprint": "SHA256:abc",
            "bits": 2048,
            "certificate": None,
            "level": "warn",
            "reasons": ["weak", "old"],
        }
    ]
    assert said["host_keys_not_seen"] == {"ssh-dss": "not known"}
    assert said["algorithms"]["kex_algorithms"] == [
        {"name": "dh", "level": "warn", "reasons": ["weak", "old"]}
    ]
    assert said["findings"] == [{"level": "good", "text": "strict"}]
    assert (said["identification"], said["lines"]) == ("SSH-2.0-x", ["welcome"])


def test_what_a_server_says_does_nothing_to_a_terminal() -> None:
    certified = replace(KEY, certificate="id\x1b[2J")
    report = replace(REPORT, lines=("\x1b[31mred\nlines\u202e",), host_keys=(certified,))
    text = str(report)
    assert "\\x1b[31mred\\nlines\\u202e" in text
    assert all(line.isprintable() for line in text.split("\n"))
