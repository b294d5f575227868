from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirekit.adapters.postgres._hosts import HostSpec, make_attempts
from wirekit.adapters.postgres._passfile import default_passfile, find_password


@pytest.fixture
def passfile(tmp_path: Path) -> Path:
    file = tmp_path / "pgpass"
    file.touch(0o600)
    return file


def find(
    file: Path, host: str = "db", port: int = 5432, database: str = "shop", user: str = "app"
) -> str | None:
    (attempt,) = make_attempts([HostSpec(host, port)])
    return find_password(file, attempt, database=database, user=user)


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("db:5432:shop:app:word", "word"),
        ("*:*:*:*:word", "word"),
        ("db:*:shop:*:word", "word"),
        ("other:5432:shop:app:word", None),
        ("db:6000:shop:app:word", None),
        ("db:5432:stock:app:word", None),
        ("db:5432:shop:web:word", None),
        ("#db:5432:shop:app:word", None),
        ("db:5432:shop:app", None),
        ("", None),
        ("db:5432:shop:app:", ""),
        # Everything after the fourth colon is the password, blanks at its end too.
        (r"db:5432:shop:app:a:b\:c\\d ", r"a:b:c\d "),
        ("db:5432:shop:app:word\\", "word\\"),
        (r"d\b:5432:sh\op:app:word", "word"),
    ],
)
def test_lines(passfile: Path, line: str, password: str | None) -> None:
    passfile.write_text(f"# comment\n\n{line}\n")
    assert find(passfile) == password
    passfile.write_bytes(line.encode() + b"\r\n")
    assert find(passfile) == password


def test_the_first_line_that_matches_counts(passfile: Path) -> None:
    passfile.write_text("other:*:*:*:no\n*:*:*:app:first\ndb:5432:shop:app:second\n")
    assert find(passfile) == "first"


def test_escapes_in_fields(passfile: Path) -> None:
    passfile.write_text("\\:\\:1:5432:a\\\\b:c\\:d:word\n")
    assert find(passfile, host="::1", database="a\\b", user="c:d") == "word"


def test_unix_sockets_are_localhost_and_their_directory(passfile: Path) -> None:
    passfile.write_text("localhost:*:*:*:word\n")
    assert find(passfile, host="/run/pg") == "word"
    passfile.write_text("/run/pg:*:*:*:word\n")
    assert find(passfile, host="/run/pg") == "word"
    assert find(passfile, host="/run/other") is None
    passfile.write_text("localhost:*:*:*:word\n")
    assert find(passfile, host="127.0.0.1") is None


def test_bytes_that_are_no_text(passfile: Path) -> None:
    passfile.write_bytes(b"# f\xfcr\n*:*:*:*:w\xfcrd\n")
    password = find(passfile)
    assert password is not None
    assert password.encode("utf-8", "surrogateescape") == b"w\xfcrd"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601])
def test_a_file_for_others_is_refused(passfile: Path, mode: int) -> None:
    passfile.write_text("*:*:*:*:hunter2\n")
    passfile.chmod(mode)
    with pytest.warns(UserWarning, match="chmod it to 0600") as caught:
        assert find(passfile) is None
    assert "hunter2" not in str(caught[0].message)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    assert find(tmp_path / "absent") is None
    (tmp_path / "file").touch()
    assert find(tmp_path / "file" / "below") is None
    with pytest.warns(UserWarning, match="not a plain file"):
        assert find(tmp_path) is None
    os.mkfifo(tmp_path / "pipe", stat.S_IRUSR | stat.S_IWUSR)
    with pytest.warns(UserWarning, match="not a plain file"):
        assert find(tmp_path / "pipe") is None


def test_a_file_that_cannot_be_read(passfile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.warns(UserWarning, match="cannot be read: Permission denied"):
        assert find(passfile) is None


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_passfile() == tmp_path / ".pgpass"


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


# Nothing that ends a line.
words = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1)


@given(database=words, user=words, password=words)
def test_whatever_is_escaped_comes_back(
    tmp_path_factory: pytest.TempPathFactory, database: str, user: str, password: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "escaped"
    file.touch(0o600)
    line = ":".join(map(escape, ("db", "5432", database, user, password)))
    file.write_text(line + "\n", "utf-8")
    assert find(file, database=database, user=user) == password
