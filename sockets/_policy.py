"""The egress policy: which addresses a connector may connect to.

The connector asks three times: about the address as it was given, about everything that one look-up
returned, and about the peer that it is then connected to. Whoever controls a name can therefore not
swap its address between check and connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, final

from wirekit._errors import AddressError, BlockedError, ResolveError

from ._address import Address, TCPAddress, UnixAddress
from ._ip_tables import (
    CLOUDFLARE,
    LOCAL_NAMES,
    IPAddress,
    classify,
    embedded_ipv4,
    parse_ip,
    range_of,
)
from ._rules import Rule, first_met, parse_rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["Policy"]

_SHOWN_RULES = 4


@final
class Policy:
    """Which addresses may be connected to; immutable, and cheap to share among connectors.

    Args:
        allow: Exceptions from ``public_only``: networks, names whose addresses need not be public
            (whoever controls the name then decides them), Unix sockets.
        deny: What is refused whatever else is said.
        only: If given, the sole destinations; a name needs a rule on names (or ``*:port``) here, a
            network admits IP literals only.
        public_only: Refuse IP addresses that are not ordinary global unicast, names such as
            ``localhost`` that are local by definition, and Unix sockets.
        first_allowed: Where a name has allowed and denied addresses, go on with the allowed ones.
            Otherwise one denied address refuses the name.

    A rule is one of these strings, each with or without a port at its end:

    ===============================  ===================================================
    ``db.internal:5432``             this name
    ``*.example.com``                every name below example.com, but not itself
    ``10.0.0.5:5432``, ``[::1]``     this IP address
    ``10.0.0.0/8``, ``fd00::/8:22``  every IP address in this network
    ``*:25``                         everything, at this port
    ``unix:/run/db.sock``            this Unix socket, by this path
    ===============================  ===================================================

    Case and a final dot make no difference in names. An IPv4-mapped address is the IPv4 address.
    Any other IPv6 address that carries an IPv4 address (NAT64, 6to4, Teredo …) is judged twice, as
    itself and as what it carries, and must pass both times.

    Through a proxy or a tunnel the far side resolves the name. There only ``check_address`` can be
    asked, and for names the policy then is one about names and ports: ``public_only`` cannot see
    where they lead. Resolve first and send the IP address, or use ``only``. The proxy's own address
    is a destination of its own, with its own policy.

    On a network that reaches IPv4 through NAT64, allow ``64:ff9b::/96``: the IPv4 address inside is
    still checked. Of ``64:ff9b:1::/48`` allow no more than the /96 that your translator serves.

    Raises:
        AddressError: A rule is not of one of the forms above.
    """

    __slots__ = ("_allow", "_deny", "_first_allowed", "_only", "_public_only")

    _allow: tuple[Rule, ...]
    _deny: tuple[Rule, ...]
    _only: tuple[Rule, ...] | None
    _public_only: bool
    _first_allowed: bool

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        only: Iterable[str] | None = None,
        public_only: bool = False,
        first_allowed: bool = False,
    ) -> None:
        allowed = parse_rules(allow)
        for rule in allowed:
            if rule.pattern == "*":
                raise AddressError(f"allow={rule.text!r} would lift every check: use only= instead")
        set_once = super().__setattr__
        set_once("_allow", allowed)
        set_once("_deny", parse_rules(deny))
        set_once("_only", None if only is None else parse_rules(only))
        set_once("_public_only", public_only)
        set_once("_first_allowed", first_allowed)

    @classmethod
    def any(cls) -> Policy:
        """Everything is allowed: for addresses that the operator configured."""
        return cls()

    @classmethod
    def public_only(
        cls, *, allow: Iterable[str] = (), deny: Iterable[str] = (), first_allowed: bool = False
    ) -> Policy:
        """Public IP addresses only, no Unix sockets: for addresses that a user supplied."""
        return cls(allow=allow, deny=deny, public_only=True, first_allowed=first_allowed)

    @classmethod
    def workers(cls, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Policy:
        """What Cloudflare Workers can reach: public addresses, not Cloudflare's own, not port 25.

        Inside Workers nothing is resolved locally; there the platform checks the IP addresses.
        """
        return cls(allow=allow, deny=["*:25", *CLOUDFLARE, *deny], public_only=True)

    @classmethod
    def only(cls, *destinations: str) -> Policy:
        """Exactly these destinations, each with its port, wherever their names resolve to.

        This is a capability: whoever holds a connector with it can reach these and nothing else.
        """
        policy = cls(only=destinations)
        for rule in policy._only or ():
            if rule.port is None and not rule.text.lower().startswith("unix:"):
                raise AddressError(f"{rule.text!r} has no port: a destination is host:port")
        return policy

    @staticmethod
    def classify(ip: str) -> str:
        """Name what an IP address is for, as in ``"public"`` or ``"6to4 of loopback"``.

        Raises:
            AddressError: The text is no IP address.
        """
        return classify(ip)

    def check_address(self, address: Address) -> None:
        """Check an address before anything is looked up; an IP literal is judged as a whole here.

        Raises:
            BlockedError: The policy forbids it.
        """
        target, port = _target(address)
        if self._only is not None and not first_met(self._only, target, port):
            _block(address, "no only= rule names it")
        if isinstance(target, str):
            refusal = self._refusal_of_name(target, port)
        else:
            refusal = self._refusal_of_ip(target, port)
        if refusal is not None:
            _block(address, refusal)

    def check_resolved(self, address: TCPAddress, addresses: Sequence[str]) -> list[str]:
        """Check every IP address that one look-up of ``address.host`` returned.

        Returns:
            The addresses that may be connected to, in the order and spelling given; never empty.

        Raises:
            BlockedError: One is forbidden; with ``first_allowed``, all are.
            ResolveError: There is none.
        """
        if not addresses:
            raise ResolveError(f"{address} has no IP address")
        trusted = first_met(self._allow, address.server_name, address.port) is not None
        allowed: list[str] = []
        refusals: list[str] = []
        for text in addresses:
            try:
                refusal = self._refusal_of_ip(parse_ip(text), address.port, trusted=trusted)
            except AddressError as error:
                refusal = str(error)
            if refusal is None:
                allowed.append(text)
            else:
                refusals.append(refusal)
        if refusals and not (self._first_allowed and allowed):
            _block(address, refusals[0])
        return allowed

    def check_peer(self, address: TCPAddress, peer_ip: str, checked: Collection[str]) -> None:
        """Check that the socket's peer (``getpeername``) is one of the checked IP addresses.

        Raises:
            BlockedError: It is another one, as when 0.0.0.0 leads to 127.0.0.1.
        """
        try:
            known = parse_ip(peer_ip) in {parse_ip(text) for text in checked}
        except AddressError as error:
            _block(address, str(error))
        if not known:
            _block(address, f"it led to {peer_ip}, which is not among the addresses checked")

    def _refusal_of_name(self, name: str, port: int | None) -> str | None:
        """Judge a host name or a Unix socket's path."""
        if rule := first_met(self._deny, name, port):
            return f"deny={rule.text!r}"
        if not self._public_only or first_met(self._allow, name, port):
            return None
        if name.startswith("/"):
            return "a Unix socket is not public"
        for local, source in LOCAL_NAMES.items():
            if name == local or name.endswith(f".{local}"):
                return f"the name is not public: {local} ({source})"
        return None

    def _refusal_of_ip(
        self, ip: IPAddress, port: int | None, *, trusted: bool = False
    ) -> str | None:
        """Judge an IP address, and the IPv4 address that it carries, each by itself."""
        embedded = embedded_ipv4(ip)
        for part in (ip,) if embedded is None else (ip, embedded):
            shown = str(ip) if part is ip else f"{part} inside {ip}"
            if rule := first_met(self._deny, part, port):
                return f"{shown}: deny={rule.text!r}"
            if self._public_only and not trusted and not first_met(self._allow, part, port):
                _, name, source = range_of(part)
                if name != "public":
                    return f"{shown} is not public: {name} ({source})"
        return None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Policy is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Policy is immutable: cannot delete {name}")

    def __repr__(self) -> str:
        parts = ["public_only=True"] if self._public_only else []
        for name, rules in (("only", self._only), ("allow", self._allow), ("deny", self._deny)):
            if rules or (name == "only" and rules is not None):
                parts.append(f"{name}=[{_listed(rules)}]")
        if self._first_allowed:
            parts.append("first_allowed=True")
        return f"Policy({', '.join(parts)})"


def _target(address: Address) -> tuple[str | IPAddress, int | None]:
    """What the rules see: a path, an IP address or a name, and the port."""
    if isinstance(address, UnixAddress):
        return address.path, None
    return parse_ip(address.host) if address.is_ip else address.server_name, address.port


def _block(address: Address, reason: str) -> NoReturn:
    raise BlockedError(f"{address} is blocked by the egress policy: {reason}")


def _listed(rules: tuple[Rule, ...]) -> str:
    shown = [repr(rule.text) for rule in rules[:_SHOWN_RULES]]
    if len(rules) > _SHOWN_RULES:
        shown.append(f"… {len(rules) - _SHOWN_RULES} more")
    return ", ".join(shown)
