"""What the URLs of the adapters share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qs, unquote

from wirekit._errors import AddressError
from wirekit.sockets import DirectConnector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from wirekit.sockets import Connector, Policy, SecureTransport, TLSOptions

__all__ = [
    "FLAG",
    "NUMBER",
    "NUMBER_OR_NONE",
    "SECONDS",
    "TEXT",
    "Setting",
    "direct_connector",
    "login",
    "query_settings",
]


class Setting(NamedTuple):
    """How the text of a setting is read, which raises ValueError if it is not ``what``."""

    read: Callable[[str], Any]
    what: str


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "y", "t", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "n", "f", "off"):
        return False
    raise ValueError


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == "none" else read(text)


TEXT = Setting(str, "text")
FLAG = Setting(_flag, "yes or no")
NUMBER = Setting(int, "a number")
NUMBER_OR_NONE = Setting(_or_none(int), "a number, or none")
SECONDS = Setting(_or_none(float), "a number of seconds, or none")


def query_settings(query: str, known: Mapping[str, Setting], protocol: str) -> dict[str, Any]:
    """Return the client's settings in the query of a URL, such as ``timeout=5&db=3``.

    Raises:
        AddressError: a setting is not known, or not what it should be. Its text is not shown, nor
            a name that is not known: what stands behind a ? may be part of a password.
    """
    settings: dict[str, Any] = {}
    for name, values in parse_qs(query, keep_blank_values=True).items():
        if name not in known:
            names = ", ".join(sorted(known))
            raise AddressError(f"a setting of the {protocol} URL is not one of {names}")
        read, what = known[name]
        try:
            settings[name] = read(values[-1])
        except ValueError:
            text = f"the setting {name} of the {protocol} URL is not {what}"
            raise AddressError(text) from None
    return settings


def login(parts: SplitResult) -> dict[str, str]:
    """Return the user's name and password, as far as the URL has them."""
    found: dict[str, str] = {}
    if parts.username:
        found["username"] = unquote(parts.username)
    if parts.password is not None:
        found["password"] = unquote(parts.password)
    return found


def direct_connector(
    *,
    connector: Connector | None,
    policy: Policy | None,
    connect_timeout: float | None,
    secure_transport: SecureTransport = "off",
    tls: TLSOptions | None = None,
) -> DirectConnector:
    """Return the connector that a client gets for a URL.

    Raises:
        AddressError: an option does not fit.
    """
    options: dict[str, Any] = {"connect_timeout": connect_timeout, **(tls or {})}
    if policy is not None:
        options["policy"] = policy
    if connector is not None:
        options["connector"] = connector
    if secure_transport != "off":
        options["secure_transport"] = secure_transport
    return DirectConnector(**cast("Any", options))
