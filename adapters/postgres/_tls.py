"""What to do about TLS with each server.

Source: libpq's sslmode, sslnegotiation, sslrootcert and so on (PostgreSQL documentation §34.1.2 and
§34.19). As there, ``prefer`` and, as long as there is no root certificate, ``require`` encrypt
without looking at who is at the other end; only ``verify-full`` keeps impostors out.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

from wirekit._errors import TLSError

from ._home import user_file
from .exceptions import ClientConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wirekit.sockets import SocketOptions

    from ._hosts import Attempt

__all__ = [
    "SSLMode",
    "TLSPlan",
    "TLSStep",
    "demands_tls",
    "make_tls_plan",
    "one_of",
]

SSLMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
_Negotiation = Literal["postgres", "direct"]
TLSStep = Literal["plain", "tls"]

_DEMANDING = ("require", "verify-ca", "verify-full")
_STEPS: dict[SSLMode, tuple[TLSStep, ...]] = {
    "disable": ("plain",),
    "allow": ("plain", "tls"),
    "prefer": ("tls", "plain"),
}
_ALPN = "postgresql"
_TLS_VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class TLSPlan:
    """What to do about TLS.

    Attributes:
        sslmode: libpq's word for it; a context of the caller's own counts as ``require``.
        negotiation: ``postgres`` asks by SSLRequest, ``direct`` begins with TLS at once.
        context: shared by all connections; None if none is to be encrypted.
    """

    sslmode: SSLMode = "disable"
    negotiation: _Negotiation = "postgres"
    context: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def demanded(self) -> bool:
        """Whether no connection comes about without TLS."""
        return self.sslmode in _DEMANDING

    @property
    def refusal_is_accepted(self) -> bool:
        """Whether the connection goes on in plaintext when the server answers SSLRequest by N."""
        return self.sslmode == "prefer"

    @property
    def verifies_certificate(self) -> bool:
        """Whether the server's certificate must come from a trusted authority."""
        return self.context is not None and self.context.verify_mode != ssl.CERT_NONE

    @property
    def verifies_host_name(self) -> bool:
        """Whether the certificate must carry the host's name."""
        return self.context is not None and self.context.check_hostname

    def steps(self, attempt: Attempt) -> tuple[TLSStep, ...]:
        """Return what to try with a server, one connection for each step.

        The second is for when the server rejects the first before AuthenticationOk, or the TLS
        handshake fails.
        """
        if attempt.is_unix:
            return ("plain",)
        return _STEPS.get(self.sslmode, ("tls",))

    def socket_options(self, step: TLSStep, attempt: Attempt) -> SocketOptions:
        """Return the options of `wirekit.sockets.connect` for a step.

        A ``"tls"`` socket is TLS already when it opens, if ``negotiation`` is direct; if not, it
        is one for ``start_tls()``, which needs no further options.
        """
        if step == "plain":
            return {"secure_transport": "off"}
        if self.context is None:
            raise ValueError(f"there is no TLS with sslmode={self.sslmode}")
        return {
            "secure_transport": "on" if self.negotiation == "direct" else "starttls",
            "ssl_context": self.context,
            "server_hostname": attempt.host,
        }

    def check_alpn(self, alpn: str | None) -> None:
        """Check what the TLS handshake agreed on (`SocketInfo.alpn`).

        Raises:
            TLSError: it is another protocol, or nothing although ``negotiation`` is direct: then
                the server could be one for another protocol, deceived into taking part (ALPACA).
        """
        if alpn == _ALPN or (alpn is None and self.negotiation == "postgres"):
            return
        raise TLSError(
            f"the server did not agree on ALPN {_ALPN!r}, which sslnegotiation=direct needs; it has"
            f" to be PostgreSQL 17 or later, and an SSLContext of your own needs"
            f" set_alpn_protocols([{_ALPN!r}])"
            if alpn is None
            else f"the server agreed on ALPN {alpn!r} and not {_ALPN!r}"
        )


def one_of(name: str, value: str, kind: object) -> str:
    """Return the value of a connection parameter if the ``Literal`` has it.

    Raises:
        ClientConfigurationError: it has not; the value, which may be part of a password, is not
            shown.
    """
    allowed = cast("tuple[str, ...]", get_args(kind))
    if value not in allowed:
        raise ClientConfigurationError(f"{name} must be one of: {', '.join(allowed)}")
    return value


def make_tls_plan(
    parameters: Mapping[str, str], *, context: ssl.SSLContext | None = None
) -> TLSPlan:
    """Return the plan that the connection parameters ask for.

    Args:
        parameters: sslmode, sslnegotiation, sslrootcert, sslcert, sslkey, sslpassword, sslcertmode,
            sslcrl, sslcrldir, ssl_min_protocol_version, ssl_max_protocol_version, sslkeylogfile
            and channel_binding, as far as they are given.
        context: the caller's own, in place of them; only sslnegotiation is left to say.

    Raises:
        ClientConfigurationError: they contradict each other, or a file cannot be used.
    """
    sslmode = "require" if context is not None else _sslmode(parameters)
    negotiation = cast(
        "_Negotiation",
        one_of("sslnegotiation", parameters.get("sslnegotiation", "postgres"), _Negotiation),
    )
    if negotiation == "direct" and sslmode not in _DEMANDING:
        raise ClientConfigurationError(
            "direct TLS (sslnegotiation=direct) needs sslmode require, verify-ca or verify-full"
        )
    if sslmode == "disable":
        return TLSPlan()
    return TLSPlan(sslmode, negotiation, context or _make_context(sslmode, parameters))


def demands_tls(parameters: Mapping[str, str]) -> bool:
    """Whether the connection parameters demand TLS.

    Raises:
        ClientConfigurationError: they contradict each other.
    """
    return _sslmode(parameters) in _DEMANDING


def _sslmode(parameters: Mapping[str, str]) -> SSLMode:
    system = parameters.get("sslrootcert") == "system"
    given = parameters.get("sslmode", "verify-full" if system else "prefer").replace("_", "-")
    sslmode = cast("SSLMode", one_of("sslmode", given, SSLMode))
    if system and sslmode != "verify-full":
        # Anyone can get a certificate from an authority that the system trusts.
        raise ClientConfigurationError("sslrootcert=system needs sslmode=verify-full")
    if parameters.get("channel_binding") == "require" and sslmode not in _DEMANDING:
        if sslmode == "disable":
            raise ClientConfigurationError("channel_binding=require needs TLS, not sslmode=disable")
        return "require"  # a connection in plaintext would be of no use
    return sslmode


# The context ---------------------------------------------------------------------------------


def _make_context(sslmode: SSLMode, parameters: Mapping[str, str]) -> ssl.SSLContext:
    if parameters.get("sslrootcert") == "system":
        context = ssl.create_default_context()
        trusting = True
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting = _trust_authorities(context, sslmode, parameters.get("sslrootcert"))
    context.check_hostname = sslmode == "verify-full"
    if trusting:
        _load_revocations(context, parameters)
    else:
        context.verify_mode = ssl.CERT_NONE
    _load_client_certificate(context, parameters)
    _limit_versions(context, parameters)
    context.set_alpn_protocols([_ALPN])
    if keylog := parameters.get("sslkeylogfile"):
        try:
            context.keylog_filename = keylog
        except OSError as error:
            raise _unusable("sslkeylogfile", keylog, error) from error
    return context


def _limit_versions(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    least = _tls_version("ssl_min_protocol_version", parameters) or ssl.TLSVersion.TLSv1_2
    most = _tls_version("ssl_max_protocol_version", parameters)
    if most is not None and most < least:
        raise ClientConfigurationError(
            "ssl_max_protocol_version is below ssl_min_protocol_version, by default TLSv1.2"
        )
    context.minimum_version = least
    if most is not None:
        context.maximum_version = most


def _tls_version(name: str, parameters: Mapping[str, str]) -> ssl.TLSVersion | None:
    text = parameters.get(name)
    if text is None:
        return None
    version = _TLS_VERSIONS.get(text.lower())
    if version is None:
        raise ClientConfigurationError(f"{name} must be one of: TLSv1, TLSv1.1, TLSv1.2, TLSv1.3")
    return version


def _trust_authorities(context: ssl.SSLContext, sslmode: SSLMode, given: str | None) -> bool:
    """Load the root certificates; return whether there are any and the mode wants them."""
    if sslmode not in _DEMANDING:
        return False
    file = given or _default_file("root.crt")
    if file is None:
        if sslmode == "require":
            return False
        raise ClientConfigurationError(
            f"sslmode={sslmode} needs a root certificate, and there is no ~/.postgresql/root.crt",
            hint="Name the file by sslrootcert, or write sslrootcert=system and"
            " sslmode=verify-full for the authorities that the system trusts.",
        )
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        raise _unusable("sslrootcert", file, error) from error
    return True


def _load_revocations(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    file, folder = parameters.get("sslcrl"), parameters.get("sslcrldir")
    if not file and not folder:
        file = _default_file("root.crl")
    if not file and not folder:
        return
    try:
        context.load_verify_locations(cafile=file, capath=folder)
    except OSError as error:
        raise _unusable("sslcrl", file or folder, error) from error
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _load_client_certificate(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    if parameters.get("sslcertmode") == "disable":
        return
    certificate = parameters.get("sslcert") or _default_file("postgresql.crt")
    if certificate is None:
        return
    # Without a key file, the key is in the certificate's.
    key = parameters.get("sslkey") or _default_file("postgresql.key")
    password = parameters.get("sslpassword", "")
    try:
        # A password is always given, so that OpenSSL never asks for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: password)
    except OSError as error:
        raise _unusable(
            "sslcert or sslkey", f"{certificate}, {key or certificate}", error
        ) from error


def _default_file(name: str) -> str | None:
    file = user_file(f".postgresql/{name}", windows=name)
    # Unlike Path.exists, this says no where the home directory is not ours to look into.
    return str(file) if file is not None and os.path.exists(file) else None


def _unusable(name: str, file: object, error: OSError) -> ClientConfigurationError:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return ClientConfigurationError(f"{name} cannot be used: {reason or error} ({file})")
