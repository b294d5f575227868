"""The process of `aiosmtpd_server`: run by its path, with its settings as JSON."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import importlib
import itertools
import json
import re
import secrets
import ssl
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

scramp = cast("Any", importlib.import_module("scramp"))  # it has no types

FAILED = AuthResult(success=False, handled=False)
CANCELLED = AuthResult(success=False)  # aiosmtpd has said so
PASSED = AuthResult(success=True, auth_data=LoginPassword(b"somebody", b"..."))


class Settings(TypedDict):
    """What the process is told."""

    directory: str
    domains: list[str]
    mailboxes: list[str]
    users: dict[str, str]
    tokens: dict[str, str]
    host: str
    port: int
    submission_port: int | None
    tls_port: int | None
    certificate: str | None
    key: str | None


class Handler:
    """aiosmtpd's hooks: which recipients there are, where mail goes, and further mechanisms.

    The names are aiosmtpd's; two underscores stand for a hyphen.
    """

    def __init__(self, settings: Settings, channel_binding: bytes | None) -> None:
        self._settings = settings
        self._channel_binding = channel_binding
        kept = len(list(Path(settings["directory"], "mail").iterdir()))
        self._number = itertools.count(kept)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        local_part, _, domain = address.rpartition("@")
        mailbox = local_part.partition("+")[0]
        if domain not in self._settings["domains"]:
            return "554 5.7.1 relay not permitted"
        if mailbox == "later":
            return "450 4.7.1 not now"
        if mailbox not in self._settings["mailboxes"]:
            return "550 5.1.1 unknown user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 fine"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        content = cast("bytes", envelope.content)
        refuse = re.search(rb"^X-Refuse: ?(.*?)\r$", content, re.MULTILINE | re.IGNORECASE)
        if refuse is not None:
            return "451 4.7.1 not now" if refuse[1] == b"later" else "550 5.7.1 not such a thing"
        for recipient in envelope.rcpt_tos:
            mail = {"sender": envelope.mail_from, "recipient": recipient}
            name = f"{next(self._number):09}"
            self._keep(name, json.dumps(mail).encode() + b"\n" + content)
        return "250 2.0.0 kept"

    def _keep(self, name: str, mail: bytes) -> None:
        unfinished = Path(self._settings["directory"], name)
        unfinished.write_bytes(mail)
        unfinished.rename(Path(self._settings["directory"], "mail", name))

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object
    ) -> AuthResult:
        """Check what the mechanisms of aiosmtpd itself, PLAIN and LOGIN, were given."""
        assert isinstance(login, LoginPassword)
        known = self._settings["users"].get(login.login.decode())
        return PASSED if known == login.password.decode() else FAILED

    async def auth_CRAM__MD5(self, server: SMTP, _args: list[str]) -> AuthResult:
        challenge = f"<{secrets.token_hex(8)}@{self._settings['domains'][0]}>".encode()
        answer = await ask(server, challenge)
        if answer is None:
            return CANCELLED
        user, _, digest = answer.decode().rpartition(" ")
        password = self._settings["users"].get(user)
        if password is None:
            return FAILED
        expected = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
        return PASSED if hmac.compare_digest(digest, expected) else FAILED

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._bearer(
            server, args, rb"user=(?P<user>[^\x01]+)\x01auth=Bearer (.+)\x01\x01"
        )

    async def auth_OAUTHBEARER(self, server: SMTP, args: list[str]) -> AuthResult:
        form = rb"n,(?:a=(?P<user>[^,]+))?,\x01(?:\w+=[^\x01]*\x01)*?auth=Bearer (.+)\x01\x01"
        return await self._bearer(server, args, form)

    async def _bearer(self, server: SMTP, args: list[str], form: bytes) -> AuthResult:
        response = await first(server, args)
        if response is None:
            return CANCELLED
        found = re.fullmatch(form, response)
        if found is not None:
            tokens = self._settings["tokens"]
            user = found["user"].decode() if found["user"] is not None else None
            if any(found[2].decode() == tokens[name] for name in tokens if user in (None, name)):
                return PASSED
        answer = await ask(server, b'{"status":"invalid_token"}')
        return CANCELLED if answer is None else FAILED

    async def auth_SCRAM__SHA__1(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    async def auth_SCRAM__SHA__256(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    async def auth_SCRAM__SHA__1__PLUS(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    async def auth_SCRAM__SHA__256__PLUS(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    async def _scram(self, server: SMTP, args: list[str]) -> AuthResult:
        mechanism = scramp.ScramMechanism(args[0])
        users = self._settings["users"]

        def look_up(user: str) -> object:
            return mechanism.make_auth_info(users[user]) if user in users else None

        binding = None
        if self._channel_binding is not None and is_secure(server):
            binding = ("tls-server-end-point", self._channel_binding)
        exchange = mechanism.make_server(look_up, channel_binding=binding)
        try:
            client_first = await first(server, args)
            if client_first is None:
                return CANCELLED
            exchange.set_client_first(client_first.decode())
            client_final = await ask(server, exchange.get_server_first().encode())
            if client_final is None:
                return CANCELLED
            exchange.set_client_final(client_final.decode())
        except scramp.ScramException:
            return FAILED
        # RFC 4954 §4: what comes with the success goes before it, and is answered by nothing.
        nothing = await ask(server, exchange.get_server_final().encode())
        return CANCELLED if nothing is None else PASSED


async def ask(server: SMTP, challenge: bytes) -> bytes | None:
    """Send a challenge and return the answer; None for ``*`` and what is no Base64."""
    answer = await server.challenge_auth(challenge)
    return answer if isinstance(answer, bytes) else None


async def first(server: SMTP, args: Sequence[str]) -> bytes | None:
    """Return the initial response, which came with the command or is asked for."""
    if len(args) == 1:
        return await ask(server, b"")
    return b"" if args[1] == "=" else base64.b64decode(args[1])


def is_secure(server: SMTP) -> bool:
    transport = server.transport
    return transport is not None and transport.get_extra_info("sslcontext") is not None


def end_point(certificate: str) -> bytes:
    """Return tls-server-end-point (RFC 5929 §4) of a certificate that is signed with SHA-256."""
    pem = Path(certificate).read_text()
    end = "-----END CERTIFICATE-----"
    leaf = pem[: pem.index(end) + len(end)]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(leaf)).digest()


async def serve(settings: Settings) -> None:
    context, binding = None, None
    if settings["certificate"] is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings["certificate"], settings["key"])
        binding = end_point(settings["certificate"])
    handler = Handler(settings, binding)
    loop = asyncio.get_running_loop()

    def factory(**options: Any) -> Callable[[], SMTP]:
        return partial(
            SMTP,
            handler,
            hostname="mail.wirekit.example",
            data_size_limit=10 * 1024 * 1024,
            enable_SMTPUTF8=True,
            authenticator=handler.authenticate,
            command_call_limit=100_000,
            loop=loop,
            **options,
        )

    without_plus = ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")
    listeners: Mapping[int | None, tuple[Callable[[], SMTP], ssl.SSLContext | None]] = {
        settings["tls_port"]: (factory(auth_require_tls=False, auth_required=True), context),
        settings["submission_port"]: (
            factory(tls_context=context, require_starttls=True, auth_required=True),
            None,
        ),
        # The last: when it answers, all do.
        settings["port"]: (
            factory(auth_require_tls=False, auth_exclude_mechanism=without_plus),
            None,
        ),
    }
    for port, (protocol, ssl_context) in listeners.items():
        if port is not None:
            await loop.create_server(protocol, settings["host"], port, ssl=ssl_context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # aiosmtpd does not like AUTH without its own STARTTLS
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
