from __future__ import annotations

from pathlib import Path

import pytest

from wirekit.adapters.postgres._service import read_service
from wirekit.adapters.postgres.exceptions import ClientConfigurationError

FILE = """\
# comment
[shop]
host=db.internal
  port = 6000
password=100%#sure
sslrootcert=

[stock]
host=stock.internal
[shop]
host=late.internal
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def servicefile(tmp_path: Path) -> Path:
    file = tmp_path / "services"
    file.write_text(FILE)
    return file


def test_a_section(servicefile: Path) -> None:
    assert read_service("shop", str(servicefile), environ={}) == {
        "host": "db.internal",
        "port": "6000",
        "password": "100%#sure",
        "sslrootcert": "",
    }
    assert read_service("stock", str(servicefile), environ={}) == {"host": "stock.internal"}


def test_the_first_setting_of_a_name_counts(servicefile: Path) -> None:
    servicefile.write_text("[shop]\nhost=a\nhost=b\n")
    assert read_service("shop", str(servicefile), environ={}) == {"host": "a"}


def test_the_users_file_then_the_systems(home: Path, tmp_path: Path) -> None:
    (home / ".pg_service.conf").write_text("[mine]\nhost=a\n")
    system = tmp_path / "etc"
    system.mkdir()
    (system / "pg_service.conf").write_text("[mine]\nhost=b\n[ours]\nhost=c\n")
    environ = {"PGSYSCONFDIR": str(system)}
    assert read_service("mine", None, environ=environ) == {"host": "a"}
    assert read_service("ours", None, environ=environ) == {"host": "c"}
    with pytest.raises(ClientConfigurationError, match="'others' is not found") as caught:
        read_service("others", None, environ=environ)
    assert str(home / ".pg_service.conf") in str(caught.value)
    assert str(system / "pg_service.conf") in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClientConfigurationError, match="does not exist"):
        read_service("shop", str(tmp_path / "absent"), environ={})
    with pytest.raises(ClientConfigurationError, match="'shop' is not found"):
        read_service("shop", None, environ={"PGSYSCONFDIR": str(tmp_path)})
    with pytest.raises(ClientConfigurationError, match="cannot be read: Is a directory"):
        read_service("shop", str(tmp_path), environ={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shop]\nhunter2\n", "line 2 of service file .* is not name=value"),
        ("[shop]\n=hunter2\n", "line 2 of service file .* is not name=value"),
        ("[shop]\nldap://hunter2/x=y\n", "LDAP"),
        ("[shop]\nservice=hunter2\n", "do not nest"),
    ],
)
def test_sections_that_are_not_well_formed(servicefile: Path, text: str, message: str) -> None:
    servicefile.write_text(text)
    with pytest.raises(ClientConfigurationError, match=message) as caught:
        read_service("shop", str(servicefile), environ={})
    assert "hunter2" not in str(caught.value)


def test_other_sections_are_not_looked_into(servicefile: Path) -> None:
    servicefile.write_text("nonsense\n[other]\nnonsense\n[shop]\nhost=a\n")
    assert read_service("shop", str(servicefile), environ={}) == {"host": "a"}


def test_bytes_that_are_no_text(servicefile: Path) -> None:
    servicefile.write_bytes(b"[shop]\npassword=hunter2\xff\n")
    with pytest.raises(ClientConfigurationError, match="not UTF-8") as caught:
        read_service("shop", str(servicefile), environ={})
    assert caught.value.__suppress_context__
