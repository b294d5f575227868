from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from wirekit import TLSError
from wirekit.adapters.postgres._hosts import HostSpec, make_attempts
from wirekit.adapters.postgres._tls import TLSPlan, demands_tls, make_tls_plan
from wirekit.adapters.postgres.exceptions import ClientConfigurationError
from wirekit.sockets import TLSOptions
from wirekit.sockets._tls import make_context, server_hostname

(TCP,) = make_attempts([HostSpec("db.internal", 5432)])
(UNIX,) = make_attempts([HostSpec("/run/pg", 5432)])


class Files:
    """A certificate authority, a client's certificate and the home directory that may have them."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.dot = self.home / ".postgresql"
        self.dot.mkdir(parents=True)
        self.authority = trustme.CA()
        self.root = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.root)
        client = self.authority.issue_cert("app")
        self.certificate, self.key, self.both = (str(folder / name) for name in ("c", "k", "ck"))
        client.cert_chain_pems[0].write_to_path(self.certificate)
        client.private_key_pem.write_to_path(self.key)
        client.private_key_and_cert_chain_pem.write_to_path(self.both)
        private_key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
        self.encrypted_key = str(folder / "encrypted")
        Path(self.encrypted_key).write_bytes(
            private_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"hunter2"),
            )
        )
        self.revocations = str(folder / "crl.pem")
        Path(self.revocations).write_bytes(self._crl())

    def _crl(self) -> bytes:
        root = x509.load_pem_x509_certificate(self.authority.cert_pem.bytes())
        key = serialization.load_pem_private_key(self.authority.private_key_pem.bytes(), None)
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(root.subject)
        builder = builder.last_update(now).next_update(now + datetime.timedelta(days=1))
        signed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - trustme's are elliptic
        return signed.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    found = Files(tmp_path)
    monkeypatch.setenv("HOME", str(found.home))
    return found


def context_of(**parameters: str) -> ssl.SSLContext:
    context = make_tls_plan(parameters).context
    assert context is not None
    return context


@pytest.mark.parametrize(
    ("sslmode", "steps", "demanded", "refusal_is_accepted"),
    [
        ("disable", ("plain",), False, False),
        ("allow", ("plain", "tls"), False, False),
        ("prefer", ("tls", "plain"), False, True),
        ("require", ("tls",), True, False),
        ("verify-ca", ("tls",), True, False),
        ("verify-full", ("tls",), True, False),
    ],
)
def test_modes(
    files: Files, sslmode: str, steps: tuple[str, ...], demanded: bool, refusal_is_accepted: bool
) -> None:
    plan = make_tls_plan({"sslmode": sslmode, "sslrootcert": files.root})
    assert plan.sslmode == sslmode
    assert plan.steps(TCP) == steps
    assert plan.steps(UNIX) == ("plain",)
    assert plan.demanded is demanded is demands_tls({"sslmode": sslmode})
    assert plan.refusal_is_accepted is refusal_is_accepted
    assert plan.verifies_certificate is demanded  # there is a root certificate
    assert plan.verifies_host_name is (sslmode == "verify-full")
    assert (plan.context is None) is (sslmode == "disable")


def test_prefer_is_the_default_and_underscores_are_known(files: Files) -> None:
    assert make_tls_plan({}).sslmode == "prefer"
    plan = make_tls_plan({"sslmode": "verify_ca", "sslrootcert": files.root})
    assert plan.sslmode == "verify-ca"


def test_require_verifies_if_there_is_a_root_certificate(files: Files) -> None:
    assert not make_tls_plan({"sslmode": "require"}).verifies_certificate
    (files.dot / "root.crt").write_bytes(files.authority.cert_pem.bytes())
    plan = make_tls_plan({"sslmode": "require"})
    assert plan.verifies_certificate
    assert not plan.verifies_host_name
    assert context_of(sslmode="require").get_ca_certs()
    assert not make_tls_plan({"sslmode": "prefer"}).verifies_certificate


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_verifying_needs_a_root_certificate(files: Files, sslmode: str) -> None:
    with pytest.raises(ClientConfigurationError, match="needs a root certificate"):
        make_tls_plan({"sslmode": sslmode})
    (files.dot / "root.crt").write_bytes(files.authority.cert_pem.bytes())
    assert context_of(sslmode=sslmode).verify_mode == ssl.CERT_REQUIRED


def test_the_authorities_that_the_system_trusts(files: Files) -> None:
    plan = make_tls_plan({"sslrootcert": "system"})
    assert (plan.sslmode, plan.verifies_host_name) == ("verify-full", True)
    default = ssl.create_default_context()
    assert plan.context is not None
    assert plan.context.verify_flags == default.verify_flags
    assert len(plan.context.get_ca_certs()) == len(default.get_ca_certs())
    for sslmode in ("prefer", "require", "verify-ca"):
        with pytest.raises(ClientConfigurationError, match="system needs sslmode=verify-full"):
            make_tls_plan({"sslrootcert": "system", "sslmode": sslmode})


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_a_root_certificate_that_is_named_has_to_be_there(
    files: Files, tmp_path: Path, sslmode: str
) -> None:
    absent = str(tmp_path / "absent")
    with pytest.raises(ClientConfigurationError, match=r"sslrootcert .*No such file") as caught:
        make_tls_plan({"sslmode": sslmode, "sslrootcert": absent})
    assert absent in str(caught.value)
    with pytest.raises(ClientConfigurationError, match="sslrootcert cannot be used"):
        make_tls_plan({"sslmode": sslmode, "sslrootcert": files.key})


def test_client_certificates(files: Files, tmp_path: Path) -> None:
    def load(**parameters: str) -> None:
        context_of(sslmode="prefer", **parameters)

    load(sslcert=files.certificate, sslkey=files.key)
    load(sslcert=files.both)
    load(sslcert=files.certificate, sslkey=files.encrypted_key, sslpassword="hunter2")
    with pytest.raises(ClientConfigurationError, match="sslcert or sslkey cannot be used"):
        load(sslcert=files.certificate)
    with pytest.raises(ClientConfigurationError, match="No such file"):
        load(sslcert=str(tmp_path / "absent"))
    for password in ({}, {"sslpassword": "hunter3"}):
        with pytest.raises(ClientConfigurationError) as caught:
            load(sslcert=files.certificate, sslkey=files.encrypted_key, **password)
        assert "hunter" not in str(caught.value)


def test_the_client_certificate_of_the_home_directory(files: Files) -> None:
    (files.dot / "postgresql.crt").write_text("no certificate")
    with pytest.raises(ClientConfigurationError, match=r"postgresql\.crt"):
        make_tls_plan({})
    make_tls_plan({"sslcertmode": "disable"})
    (files.dot / "postgresql.crt").write_bytes(Path(files.certificate).read_bytes())
    (files.dot / "postgresql.key").write_bytes(Path(files.key).read_bytes())
    make_tls_plan({})


def test_revocations(files: Files, tmp_path: Path) -> None:
    verifying = {"sslmode": "verify-ca", "sslrootcert": files.root}
    assert not context_of(**verifying).verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN
    by_file = context_of(**verifying, sslcrl=files.revocations)
    by_folder = context_of(**verifying, sslcrldir=str(tmp_path))
    (files.dot / "root.crl").write_bytes(Path(files.revocations).read_bytes())
    by_default = context_of(**verifying)
    for context in (by_file, by_folder, by_default):
        assert context.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN
    assert by_file.cert_store_stats()["crl"] == by_default.cert_store_stats()["crl"] == 1
    # Where nothing is verified, there is nothing to revoke.
    assert not context_of(sslmode="require").verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN
    with pytest.raises(ClientConfigurationError, match="sslcrl cannot be used"):
        context_of(**verifying, sslcrl=str(tmp_path / "absent"))


def test_tls_versions(files: Files) -> None:
    assert context_of().minimum_version == ssl.TLSVersion.TLSv1_2
    context = context_of(ssl_min_protocol_version="TLSv1.3", ssl_max_protocol_version="tlsv1.3")
    assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3
    with pytest.raises(ClientConfigurationError, match="below ssl_min_protocol_version"):
        context_of(ssl_max_protocol_version="TLSv1.1")
    for text in ("SSLv3", "TLSv1.4", "MINIMUM_SUPPORTED"):
        with pytest.raises(ClientConfigurationError, match="ssl_min_protocol_version must be"):
            context_of(ssl_min_protocol_version=text)


def test_the_key_log(files: Files, tmp_path: Path) -> None:
    log = tmp_path / "keys"
    assert context_of(sslkeylogfile=str(log)).keylog_filename == str(log)
    assert log.exists()
    with pytest.raises(ClientConfigurationError, match="sslkeylogfile cannot be used"):
        context_of(sslkeylogfile=str(tmp_path))


def test_direct_tls_has_to_be_demanded(files: Files) -> None:
    for parameters in ({}, {"sslmode": "disable"}, {"sslmode": "allow"}, {"sslmode": "prefer"}):
        with pytest.raises(ClientConfigurationError, match="direct TLS"):
            make_tls_plan({**parameters, "sslnegotiation": "direct"})
    plan = make_tls_plan({"sslmode": "require", "sslnegotiation": "direct"})
    assert plan.negotiation == "direct"
    own = ssl.create_default_context()
    assert make_tls_plan({"sslnegotiation": "direct"}, context=own).negotiation == "direct"


def test_channel_binding_demands_tls(files: Files) -> None:
    for sslmode in ({}, {"sslmode": "allow"}, {"sslmode": "prefer"}):
        plan = make_tls_plan({**sslmode, "channel_binding": "require"})
        assert plan.sslmode == "require"
        assert plan.steps(TCP) == ("tls",)
    with pytest.raises(ClientConfigurationError, match="channel_binding=require needs TLS"):
        make_tls_plan({"sslmode": "disable", "channel_binding": "require"})


@pytest.mark.parametrize("name", ["sslmode", "sslnegotiation"])
def test_wrong_words_are_not_shown(name: str) -> None:
    with pytest.raises(ClientConfigurationError, match=f"{name} must be one of: ") as caught:
        make_tls_plan({name: "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_context_of_the_callers_own() -> None:
    own = ssl.create_default_context()
    plan = make_tls_plan({"sslmode": "disable", "sslrootcert": "/absent"}, context=own)
    assert plan.context is own
    assert plan.steps(TCP) == ("tls",)
    assert plan.verifies_host_name


def test_a_plan_does_without_showing_its_context(files: Files) -> None:
    assert repr(make_tls_plan({})) == "TLSPlan(sslmode='prefer', negotiation='postgres')"


@pytest.mark.parametrize(("negotiation", "secure"), [("postgres", "starttls"), ("direct", "on")])
def test_options_of_the_socket(files: Files, negotiation: str, secure: str) -> None:
    plan = make_tls_plan({"sslmode": "require", "sslnegotiation": negotiation})
    assert plan.context is not None
    options = plan.socket_options("tls", TCP)
    assert options == {
        "secure_transport": secure,
        "ssl_context": plan.context,
        "server_hostname": "db.internal",
    }
    assert plan.socket_options("plain", UNIX) == {"secure_transport": "off"}
    # The sockets take them as they are.
    tls = TLSOptions(ssl_context=plan.context, server_hostname=TCP.host)
    assert make_context(tls) is plan.context
    assert server_hostname(plan.context, tls, "10.0.0.1:5432") == "db.internal"


def test_plaintext_options() -> None:
    assert TLSPlan().socket_options("plain", TCP) == {"secure_transport": "off"}
    with pytest.raises(ValueError, match="no TLS"):
        TLSPlan().socket_options("tls", TCP)


def test_alpn() -> None:
    asking, direct = TLSPlan("require"), TLSPlan("require", "direct")
    for plan in (asking, direct):
        plan.check_alpn("postgresql")
        with pytest.raises(TLSError, match=r"'http/1\.1' and not 'postgresql'"):
            plan.check_alpn("http/1.1")
    asking.check_alpn(None)
    with pytest.raises(TLSError, match="PostgreSQL 17"):
        direct.check_alpn(None)


def test_the_handshake_offers_alpn_and_verifies(files: Files) -> None:
    """Over memory, against a server with a certificate of the authority."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate: Any = files.authority.issue_cert("db.internal")
    certificate.configure_cert(server)
    server.set_alpn_protocols(["postgresql"])
    context = context_of(sslmode="verify-full", sslrootcert=files.root)

    def shake(name: str) -> str | None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = context.wrap_bio(to_client, to_server, server_hostname=name)
        theirs = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (ours, theirs, ours, theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return ours.selected_alpn_protocol()

    assert shake("db.internal") == "postgresql"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake("other.internal")
