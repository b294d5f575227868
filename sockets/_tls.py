"""TLS over any asyncio transport: one engine for TCP, tunnels, memory, and TLS itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, TypedDict, cast

from wirekit._errors import AddressError, ConnectionLost, TLSError

from ._address import TCPAddress
from ._attach import hand_over
from ._promise import Promise
from ._transport import LayeredTransport, offered_buffer

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["TLSOptions", "TLSTransport", "make_context", "server_hostname"]

_RECORDS = 65536  # plaintext encrypted, and ciphertext received, at a time
_ALERT_TIMEOUT = 1.0  # seconds that the alert of a failed handshake has to get out


class TLSOptions(TypedDict, total=False):
    """What ``connect`` and ``start_tls`` take about TLS; every entry is optional.

    ``ssl_context`` replaces the verifying default context and excludes the three entries after it:
    ``ca_file`` (PEM file trusted instead of the system's authorities), ``client_certificate``
    (PEM file with certificate and key, or a pair of files) and ``alpn`` (protocols, best first).
    ``server_hostname`` is the name that the certificate must carry, by default the host that is
    connected to.
    """

    ssl_context: ssl.SSLContext
    ca_file: str | os.PathLike[str]
    client_certificate: (
        str | os.PathLike[str] | tuple[str | os.PathLike[str], str | os.PathLike[str]]
    )
    alpn: Sequence[str]
    server_hostname: str


def make_context(options: TLSOptions) -> ssl.SSLContext:
    """Return the context that the options ask for; it verifies unless theirs does not.

    Raises:
        AddressError: the options contradict each other, or a file cannot be used.
    """
    unknown = options.keys() - TLSOptions.__annotations__.keys()
    if unknown:
        raise AddressError(f"unknown option {', '.join(sorted(unknown))}")
    own = options.get("ssl_context")
    if own is not None and not isinstance(own, ssl.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise AddressError(f"ssl_context must be an ssl.SSLContext, not {type(own).__name__}")
    if isinstance(options.get("alpn"), str):
        raise AddressError('alpn is a list of protocols, such as ["h2"]')
    if own is not None:
        beside = options.keys() & {"ca_file", "client_certificate", "alpn"}
        if beside:
            names = ", ".join(sorted(beside))
            raise AddressError(f"{names} cannot stand beside ssl_context: set it on the context")
        return own
    try:
        context = ssl.create_default_context(cafile=options.get("ca_file"))
        certificate = options.get("client_certificate")
        if isinstance(certificate, tuple):
            context.load_cert_chain(*certificate)
        elif certificate is not None:
            context.load_cert_chain(certificate)
        if "alpn" in options:
            context.set_alpn_protocols(list(options["alpn"]))
    except (OSError, ssl.SSLError) as error:
        raise AddressError(f"cannot use the TLS options: {error}") from error
    return context


def server_hostname(context: ssl.SSLContext, options: TLSOptions, remote: str) -> str | None:
    """Return the name that the certificate must carry.

    Raises:
        AddressError: there is none, and the context wants one; or it is no host name.
    """
    name = options.get("server_hostname")
    if name is not None:
        return TCPAddress(name, 1).server_name
    if context.check_hostname:
        raise AddressError(f"TLS to {remote} needs server_hostname: the name in its certificate")
    return None


class TLSTransport(LayeredTransport):
    """TLS on top of any transport; the receiver gets ``connection_made`` once the peer is verified.

    Give ``below`` to whatever makes or has the transport below (an event loop, ``Socket.attach``),
    or call ``take_over`` with a transport; then await ``handshake``. A stream that ends without
    the peer's close_notify is an error, since an attacker can cut it (RFC 8446 §6.1). Each
    direction can be ended on its own by ``write_eof``.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        server_side: bool = False,
    ) -> None:
        super().__init__(protocol)
        self._name = server_hostname or "the peer"
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._handshake: Promise[None] = Promise()
        self._established = False
        self._plaintext: deque[bytes] = deque()
        self._eof_sent = False
        self._eof_seen = False

    def take_over(self, lower: asyncio.Transport) -> None:
        """Begin on a transport that has another receiver so far."""
        hand_over(lower, self.below)
        self.below.connection_made(lower)
        if lower.is_closing():
            self._handshake.reject(self._lost_in_handshake())
        else:
            lower.resume_reading()

    async def handshake(self) -> None:
        """Return when TLS stands and the peer is verified.

        Raises:
            TLSError: it does not come to stand; the transport below is closed.
        """
        try:
            await self._handshake
        except TLSError:
            raise  # closing already, behind an alert
        except BaseException:
            self.abort()
            raise

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``ssl_object``, or what the transport below knows under the name."""
        if name == "ssl_object":
            return self._ssl
        return super().get_extra_info(name, default)

    def close(self) -> None:
        """Send what is written, then close_notify, then close the transport below."""
        if self._closing:
            return
        self._closing = True
        if not self._established:
            self._lower.abort()
            return
        self._eof_wanted = True
        self._flush()

    # Called by what is below.

    def begin(self, lower: asyncio.Transport) -> None:
        """Take the transport below, and begin."""
        self._lower = lower
        self._step_handshake()

    def received(self, data: memoryview) -> None:
        """Take ciphertext from below."""
        if self._closing:
            return
        self._incoming.write(data)
        if not self._established:
            self._step_handshake()
            return
        self._read()
        if self._backlog and not self._lower_paused:
            self._flush()  # a renegotiation may have held it up

    def eof_received(self) -> None:
        """Take the end of the stream below; only close_notify before it makes it a clean end."""
        self._incoming.write_eof()
        if not self._established:
            self._step_handshake()
        else:
            self._read()

    def _deliver_lost(self, error: Exception | None) -> None:
        if self._established:
            super()._deliver_lost(error)
        else:
            self._handshake.reject(self._lost_in_handshake())

    # The engine.

    def _step_handshake(self) -> None:
        if self._handshake.done():
            return
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except ssl.SSLError as error:
            self._send()
            self._handshake.reject(_handshake_error(error, self._name))
            self._closing = True
            self._lower.close()
            self._abort_later(_ALERT_TIMEOUT)
        else:
            self._send()
            self._established = True
            self._handshake.resolve(None)
            self._protocol.connection_made(self)
            self._flush()
            self._read()

    def _lost_in_handshake(self) -> TLSError:
        return TLSError(f"the connection was lost during the TLS handshake with {self._name}")

    def _read(self) -> None:
        try:
            self._deliver_plaintext()
        except Exception as error:
            self._receiver_failed(error)
            return
        self._send()  # key updates and alerts
        if self._eof_seen and self.is_reading():
            self._deliver_eof()

    def _deliver_plaintext(self) -> None:
        while self.is_reading():
            if self._plaintext:
                data = self._plaintext.popleft()
                taken = self._deliver(data)
                if taken < len(data):
                    self._plaintext.appendleft(data[taken:])
            elif isinstance(self._protocol, asyncio.BufferedProtocol):
                count = self._decrypt_into(offered_buffer(self._protocol, _RECORDS))
                if not count:
                    break
                self._protocol.buffer_updated(count)
            else:
                data = self._decrypt()
                if not data:
                    break
                cast("asyncio.Protocol", self._protocol).data_received(data)

    def _decrypt_into(self, room: memoryview) -> int:
        """Fill ``room`` with the plaintext of as many records as there are; return its length."""
        count = 0
        while count < len(room) and not self._eof_seen and self._error is None:
            try:
                # typeshed names bytearray; any writable buffer serves.
                read = self._ssl.read(len(room) - count, cast("bytearray", room[count:]))
            except ssl.SSLError as error:
                self._read_ended(error)
                break
            if not read:
                self._eof_seen = True
            count += cast("int", read)
        return count

    def _decrypt(self) -> bytes:
        """Return the plaintext of the next record, or nothing if there is none now."""
        if self._eof_seen or self._error is not None:
            return b""
        try:
            data = self._ssl.read(_RECORDS)
        except ssl.SSLError as error:
            self._read_ended(error)
            return b""
        if not data:
            self._eof_seen = True
        return data

    def _read_ended(self, error: ssl.SSLError) -> None:
        if isinstance(error, ssl.SSLZeroReturnError):
            self._eof_seen = True
        elif isinstance(error, ssl.SSLEOFError):
            self._fail("the connection ended without TLS close_notify; data may be missing")
        elif not isinstance(error, ssl.SSLWantReadError):
            self._fail(f"TLS failed: {error.reason or error}")

    def _fail(self, message: str) -> None:
        self._error = ConnectionLost(message)
        self._send()
        self._closing = True
        self._lower.abort()

    def _flush(self) -> None:
        """Encrypt the backlog as far as the lower transport takes it, then what ends the stream."""
        if not self._established:
            self._update_flow()
            return
        while self._backlog and not self._lower_paused:
            view = self._backlog.popleft()
            try:
                count = self._ssl.write(view[:_RECORDS])
            except ssl.SSLWantReadError:
                self._backlog.appendleft(view)
                break
            except ssl.SSLError as error:
                self._drop()
                self._fail(f"TLS failed: {error.reason or error}")
                return
            self._backlog_size -= count
            if count < len(view):
                self._backlog.appendleft(view[count:])
            if self._outgoing.pending >= _RECORDS or not self._backlog:
                self._send()
        self._update_flow()
        if self._eof_wanted and not self._backlog and not self._eof_sent:
            self._send_close_notify()
        if self._closing and not self._backlog:
            self._lower.close()

    def _send_close_notify(self) -> None:
        # SSL_shutdown looks for the peer's close_notify at once and fails on application data that
        # was received but not read, so that is read first.
        if not self._closing:
            while data := self._decrypt():
                self._plaintext.append(data)
        if self._error is not None:
            return
        self._eof_sent = True
        # It is in the outgoing BIO whatever is said; WantRead says that the peer's is not here yet.
        with contextlib.suppress(ssl.SSLError):
            self._ssl.unwrap()
        self._send()

    def _send(self) -> None:
        data = self._outgoing.read()
        if data and not self._lower.is_closing():
            self._lower.write(data)


def _handshake_error(cause: ssl.SSLError, name: str) -> TLSError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"the certificate of {name} is not accepted: {cause.verify_message}"
    elif isinstance(cause, ssl.SSLEOFError):
        text = f"{name} closed the connection during the TLS handshake"
    else:
        text = f"the TLS handshake with {name} failed: {cause.reason or cause}"
    error = TLSError(text)
    error.__cause__ = cause
    return error
