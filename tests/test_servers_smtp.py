"""The mail servers of tests/servers, spoken to by smtplib."""

from __future__ import annotations

import base64
import os
import smtplib
import socket
import time
from typing import TYPE_CHECKING, Literal

import pytest

from tests import servers

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority, DeliveredMail, MailServer, RunningServer

Port = Literal["port", "submission_port", "tls_port"]

# A header, a dot at the start of a line, the end of DATA but for its CRLF, 8 bit, no end of line.
CONTENT = (
    b"Subject: all of it\r\nBcc: kept@x.example\r\n\r\n.dot\r\n..\r\n.\r\n\r\n\xc3\xa4\xff end\r\n"
)


def opened(
    server: MailServer, authority: CertificateAuthority, port: Port = "port"
) -> smtplib.SMTP:
    number = getattr(server, port)
    assert number is not None
    context = authority.client_context()
    if port == "tls_port":
        client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", number, context=context, timeout=10)
    else:
        client = smtplib.SMTP(server.host, number, timeout=10)
    client.ehlo()
    if port == "submission_port":
        client.starttls(context=context)
        client.ehlo()
    return client


def wait_for(server: MailServer, recipient: str, count: int = 1) -> list[DeliveredMail]:
    deadline = time.monotonic() + 10
    while len(server.delivered(recipient)) < count or not server.is_idle:
        assert time.monotonic() < deadline, server.delivered()
        time.sleep(0.01)
    return server.delivered(recipient)


def refusal(client: smtplib.SMTP, recipient: str) -> tuple[int, bytes]:
    client.mail("sender@x.example")
    reply = client.rcpt(recipient)
    client.rset()
    return reply


def test_mail_comes_back_byte_for_byte(
    mail_server: MailServer, certificate_authority: CertificateAuthority
) -> None:
    recipients = [f"{user}+bytes@{mail_server.domain}" for user in ("alice", "bob")]
    with opened(mail_server, certificate_authority) as client:
        client.sendmail("sender@x.example", recipients, CONTENT, ["BODY=8BITMIME"])
    for recipient in recipients:
        (mail,) = wait_for(mail_server, recipient)
        assert (mail.sender, mail.recipient) == ("sender@x.example", recipient)
        assert mail.content == CONTENT


def test_extensions(mail_server: MailServer, certificate_authority: CertificateAuthority) -> None:
    with opened(mail_server, certificate_authority) as client:
        offered = set(client.esmtp_features)
        assert client.esmtp_features["size"] == str(10 * 1024 * 1024)
    assert {"8bitmime", "smtputf8", "size", "auth"} <= offered
    assert ({"pipelining", "chunking", "dsn"} <= offered) == (mail_server.name != "aiosmtpd")


def test_refusals(mail_server: MailServer, certificate_authority: CertificateAuthority) -> None:
    with opened(mail_server, certificate_authority) as client:
        assert refusal(client, f"nobody@{mail_server.domain}")[0] == 550
        assert refusal(client, f"later@{mail_server.domain}")[0] in (450, 451)
        assert refusal(client, "alice@foreign.example")[0] in (550, 554)
        for value, code in (("no", 550), ("later", 451)):
            client.mail("sender@x.example")
            client.rcpt(f"alice@{mail_server.domain}")
            assert client.data(f"X-Refuse: {value}\r\n\r\n")[0] == code
        assert client.noop()[0] == 250


def test_international_addresses(
    mail_server: MailServer, certificate_authority: CertificateAuthority
) -> None:
    recipients = [f"δοκιμή+i@{mail_server.idn_domain}", f"alice+i@{mail_server.domain}"]
    ascii_domain = mail_server.idn_domain.encode("idna").decode()
    with opened(mail_server, certificate_authority) as client:
        client.sendmail("ä@x.example", recipients, "Subject: i\r\n\r\n", ["SMTPUTF8"])
        client.sendmail("a@x.example", [f"bob+i@{ascii_domain}"], "Subject: i\r\n\r\n")
    for recipient in recipients:
        assert wait_for(mail_server, recipient)[0].sender == "ä@x.example"
    assert wait_for(mail_server, f"bob+i@{ascii_domain}")


@pytest.mark.parametrize("port", ["submission_port", "tls_port"])
def test_submission_needs_a_login(
    mail_server: MailServer, certificate_authority: CertificateAuthority, port: Port
) -> None:
    recipient = f"alice+{port}@{mail_server.domain}"
    with opened(mail_server, certificate_authority, port) as client:
        client.mail("sender@x.example")
        assert client.rcpt(recipient)[0] // 100 == 5
        client.rset()
        client.login("bob", mail_server.users["bob"])
        client.sendmail("sender@x.example", [recipient], "Subject: in\r\n\r\n")
    assert wait_for(mail_server, recipient)[0].content == b"Subject: in\r\n\r\n"


def test_submission_needs_tls(mail_server: MailServer) -> None:
    assert mail_server.submission_port is not None
    with smtplib.SMTP(mail_server.host, mail_server.submission_port, timeout=10) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", "PLAIN AGJvYgBidWlsZGVy")[0] // 100 == 5


def test_mechanisms(mail_server: MailServer, certificate_authority: CertificateAuthority) -> None:
    expected = {"PLAIN", "LOGIN", "CRAM-MD5"}
    if mail_server.name != "exim":
        expected |= {"SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"}
    with opened(mail_server, certificate_authority) as client:
        assert set(client.esmtp_features["auth"].split()) == expected
    if mail_server.name == "aiosmtpd":
        expected |= {"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"}
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
        with opened(mail_server, certificate_authority, "tls_port") as client:
            assert set(client.esmtp_features["auth"].split()) == expected
            client.user, client.password = "alice", mail_server.users["alice"]
            method = getattr(client, f"auth_{mechanism.lower().replace('-', '_')}")
            assert client.auth(mechanism, method)[0] == 235
        with opened(mail_server, certificate_authority, "tls_port") as client:
            client.user, client.password = "alice", "wrong"
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.auth(mechanism, getattr(client, method.__name__))


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("name", ["postfix", "aiosmtpd"])
def test_tokens(
    request: pytest.FixtureRequest,
    certificate_authority: CertificateAuthority,
    name: str,
    mechanism: str,
) -> None:
    server: MailServer = request.getfixturevalue(name)

    def ask(client: smtplib.SMTP, user: str, token: str) -> int:
        start = f"user={user}" if mechanism == "XOAUTH2" else f"n,a={user},\1host=h\1port=25"
        response = f"{start}\1auth=Bearer {token}\1\1".encode()
        return client.docmd("AUTH", f"{mechanism} {base64.b64encode(response).decode()}")[0]

    with opened(server, certificate_authority, "tls_port") as client:
        assert ask(client, "alice", server.tokens["alice"]) == 235
    with opened(server, certificate_authority, "tls_port") as client:
        assert ask(client, "alice", server.tokens["alice"][:-4]) == 334
        assert client.docmd("AQ==")[0] == 535


def test_lmtp_replies_for_each_recipient(dovecot: MailServer) -> None:
    names = ("alice+lmtp", "full", "broken", "bob+lmtp")
    assert dovecot.running.unix_path is not None
    for place in ((dovecot.host, dovecot.port), (str(dovecot.running.unix_path), 0)):
        with smtplib.LMTP(*place, timeout=10) as client:
            client.ehlo("localhost")
            client.mail("sender@x.example")
            assert client.rcpt(f"nobody@{dovecot.domain}")[0] == 550
            assert [client.rcpt(f"{name}@{dovecot.domain}")[0] for name in names] == [250] * 4
            codes = [client.data(CONTENT)[0], *(client.getreply()[0] for _ in names[1:])]
            assert codes == [250, 552, 451, 250]
    for name in ("alice+lmtp", "bob+lmtp"):
        mails = wait_for(dovecot, f"{name}@{dovecot.domain}", 2)
        assert [(mail.sender, mail.content) for mail in mails] == [
            ("sender@x.example", CONTENT)
        ] * 2


def test_smtp_sink_takes_all(smtp_sink: RunningServer) -> None:
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port, timeout=10) as client:
        assert client.sendmail("a@x.example", ["any@where.example"], CONTENT) == {}
        assert "pipelining" in client.esmtp_features


def test_smtp_sink_with_options() -> None:
    with (
        servers.smtp_sink_server("-p") as sink,
        smtplib.SMTP(sink.host, sink.port, timeout=10) as client,
    ):
        client.ehlo()
        assert "pipelining" not in client.esmtp_features


@pytest.mark.parametrize("name", ["postfix", "exim", "aiosmtpd"])
def test_it_comes_back_with_its_mail_after_a_crash(name: str) -> None:
    with getattr(servers, f"{name}_server")() as server:
        recipient = f"alice@{server.domain}"
        with smtplib.SMTP(server.host, server.port, timeout=10) as client:
            client.sendmail("a@x.example", [recipient], CONTENT, ["BODY=8BITMIME"])
        wait_for(server, recipient)
        server.running.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port))
        server.running.start()
        with smtplib.SMTP(server.host, server.port, timeout=10) as client:
            client.sendmail("a@x.example", [recipient], CONTENT, ["BODY=8BITMIME"])
        assert len(wait_for(server, recipient, 2)) == 2
    assert not server.running.directory.exists()


def test_settings() -> None:
    with (
        servers.postfix_server(config={"smtpd_discard_ehlo_keywords": "chunking"}) as postfix,
        servers.exim_server(
            config={"chunking_advertise_hosts": "", "dsn_advertise_hosts": ""}
        ) as exim,
    ):
        for server in (postfix, exim):
            assert server.tls_port is None
            with smtplib.SMTP(server.host, server.port, timeout=10) as client:
                client.ehlo()
                assert "chunking" not in client.esmtp_features
                assert "pipelining" in client.esmtp_features


@pytest.mark.parametrize("name", ["postfix", "exim", "dovecot"])
def test_a_taken_port_is_given_up_for_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free_port = servers.free_port
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        taken = occupied.getsockname()[1]
        offered = iter([taken, free_port()])
        monkeypatch.setattr(f"tests.servers._{name}.free_port", lambda: next(offered))
        with getattr(servers, f"{name}_server")() as server:
            assert server.port != taken
            with socket.create_connection((server.host, server.port), timeout=5) as client:
                assert client.recv(4) == b"220 "


def test_postfix_is_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (
        pytest.raises(servers.ServerUnavailable, match="root"),
        servers.postfix_server(),
    ):
        pytest.fail("it started")
