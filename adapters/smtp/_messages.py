"""Messages of the standard library, made ready for a server: who gets them, and their bytes."""

from __future__ import annotations

import copy
import io
import re
from base64 import encodebytes
from dataclasses import dataclass, field
from email.errors import InvalidHeaderDefect
from email.generator import BytesGenerator
from email.headerregistry import Address, AddressHeader, Group, HeaderRegistry
from email.message import EmailMessage
from email.policy import Compat32, EmailPolicy
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, cast

from ._addresses import parse_address
from ._errors import SMTPArgumentError, SMTPNotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from email.headerregistry import BaseHeader
    from email.message import Message

    from wirekit.protocols.smtp import Capabilities

__all__ = ["prepare"]

BodyType = Literal["7BIT", "8BITMIME", "BINARYMIME"]

_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 §2.2
_VALUE = re.compile(rb":(?:[^\r\n\0]|\r\n[ \t])*\r\n")  # §2.2.3: it goes on behind a space only
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_SENDERS = ("Sender", "From")
_RECIPIENTS = ("To", "Cc", "Bcc")
_ADDRESSES = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "resent-")
    for name in ("from", "sender", "reply-to", "to", "cc")
)
_NEEDS_8BITMIME = "the message is not ASCII, and the server does not offer 8BITMIME"
_header = cast("Any", HeaderRegistry())  # its types say less than it takes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message for a server.

    Attributes:
        sender: of the envelope.
        recipients: of the envelope.
        body: header and content, without Bcc; lines end in CRLF.
        body_type: what is in it.
        smtputf8: whether UTF-8 stands in the header, or in an address of the envelope.
    """

    sender: str
    recipients: tuple[str, ...]
    body: bytes = field(repr=False)
    body_type: BodyType
    smtputf8: bool


def prepare(
    message: EmailMessage | Message,
    *,
    sender: str | None,
    recipients: Sequence[str] | None,
    capabilities: Capabilities,
) -> Prepared:
    """Return a message as it is to be sent to a server with these capabilities.

    As in smtplib and aiosmtplib, the sender is that of Sender or else From, the recipients those of
    To, Cc and Bcc; of a message with Resent-Date those of the fields with Resent- before their
    name. The message itself stays as it is.

    Without 8BITMIME, text is encoded as quoted-printable or base64, and so is a part with the
    Content-Transfer-Encoding ``binary`` without BINARYMIME and CHUNKING. Where no address has a
    local part that needs SMTPUTF8, their domains are written in A-labels.

    Args:
        message: is not changed.
        sender: in place of what the message says.
        recipients: in place of what the message says.
        capabilities: of the server.

    Raises:
        SMTPArgumentError: it has no sender or no recipient, an address is none, or it cannot be
            written, for example because a line break would end a header field.
        SMTPNotSupported: the server does not offer an extension that it needs.
    """
    prefix = _resent_prefix(message)
    if sender is None:
        sender = _sender(message, prefix)
    if recipients is None:
        recipients = _recipients(message, prefix)
    sent = copy.copy(message)
    # This makes the copy's list of fields its own.
    del sent["Bcc"]
    del sent["Resent-Bcc"]
    utf8_header = any(_needs_utf8(header) for header in _address_headers(sent))
    if utf8_header and not isinstance(sent, EmailMessage):
        raise SMTPArgumentError("an address that is not ASCII needs an EmailMessage")
    smtputf8 = utf8_header or any(_needs_smtputf8(address) for address in (sender, *recipients))
    if smtputf8 and not capabilities.smtputf8:
        raise SMTPNotSupported("an address is not ASCII, and the server does not offer SMTPUTF8")
    if not smtputf8:
        _write_a_labels(sent)
    body, is_binary = _content(sent, capabilities, utf8=smtputf8)
    body_type: BodyType = "7BIT" if body.isascii() else "8BITMIME"
    if is_binary:
        body_type = "BINARYMIME"
    elif body_type == "8BITMIME" and not capabilities.eightbitmime:
        raise SMTPNotSupported(_NEEDS_8BITMIME)
    return Prepared(sender, tuple(recipients), body, body_type, smtputf8)


# The envelope


def _resent_prefix(message: Message) -> str:
    """RFC 5322 §3.6.6: each block has a Resent-Date; which fields are of the last is not told."""
    dates = _values(message, "Resent-Date")
    if len(dates) > 1:
        raise SMTPArgumentError("the message was resent more than once: name sender and recipients")
    return "Resent-" if dates else ""


def _sender(message: Message, prefix: str) -> str:
    for name in _SENDERS:
        if f"{prefix}{name}" in message:
            found = _addresses(message, f"{prefix}{name}")
            if found:
                return found[0]
            break
    raise SMTPArgumentError(f"the message has no address in {prefix}Sender or {prefix}From")


def _recipients(message: Message, prefix: str) -> list[str]:
    found = [address for name in _RECIPIENTS for address in _addresses(message, f"{prefix}{name}")]
    if not found:
        names = ", ".join(f"{prefix}{name}" for name in _RECIPIENTS)
        raise SMTPArgumentError(f"the message has no address in {names}")
    return found


def _addresses(message: Message, name: str) -> list[str]:
    return [
        address.addr_spec
        for value in _values(message, name)
        for address in _parsed(name, value).addresses
    ]


def _values(message: Message, name: str) -> list[object]:
    """Return the values of a field unparsed: parsing them raises what it likes."""
    return [value for key, value in message.raw_items() if key.lower() == name.lower()]


def _parsed(name: str, value: object) -> AddressHeader:
    """Return a field's addresses, whichever kind of message it is from.

    Raises:
        SMTPArgumentError: they cannot be read for sure; a guess would be somebody's address.
    """
    if isinstance(value, AddressHeader):
        header = value
    else:
        try:
            header = cast("AddressHeader", _header(name, "".join(_LINE_BREAK.split(str(value)))))
        except Exception as error:
            raise SMTPArgumentError(f"the addresses in {name} cannot be read") from error
    if any(
        isinstance(defect, InvalidHeaderDefect) for defect in cast("BaseHeader", header).defects
    ) or not all(
        isinstance(address, Address) for address in cast("tuple[object, ...]", header.addresses)
    ):
        raise SMTPArgumentError(f"the addresses in {name} cannot be read")
    return header


# International addresses


def _address_headers(message: Message) -> Iterator[AddressHeader]:
    for name, value in message.raw_items():
        if name.lower() in _ADDRESSES:
            yield _parsed(name, value)


def _needs_utf8(header: AddressHeader) -> bool:
    return any(not address.username.isascii() for address in header.addresses)


def _needs_smtputf8(address: str) -> bool:
    return parse_address(address).ascii is None


def _write_a_labels(message: Message) -> None:
    """Write the domains of all addresses in the header so that they are ASCII (RFC 5890)."""
    if not any(_has_u_labels(header) for header in _address_headers(message)):
        return
    fields = list(message.raw_items())
    for name, _ in fields:
        del message[name]
    for name, raw in fields:
        value: Any = raw
        if name.lower() in _ADDRESSES and _has_u_labels(header := _parsed(name, raw)):
            value = _with_a_labels(name, header)
            if not isinstance(message, EmailMessage):
                value = str(value)
        message.set_raw(name, value)


def _has_u_labels(header: AddressHeader) -> bool:
    return any(not address.domain.isascii() for address in header.addresses)


def _with_a_labels(name: str, header: AddressHeader) -> AddressHeader:
    groups: list[Group] = []
    for group in header.groups:
        addresses = [
            Address(address.display_name, addr_spec=parse_address(address.addr_spec).ascii)
            for address in group.addresses
        ]
        groups.append(Group(group.display_name, addresses))
    return cast("AddressHeader", _header(name, ", ".join(map(str, groups))))


# The content


def _content(message: Message, capabilities: Capabilities, *, utf8: bool) -> tuple[bytes, bool]:
    """Return the bytes of a message, and whether they are for BINARYMIME."""
    if not any(_is_binary(part) for part in message.walk()):
        return _flatten(message, capabilities, utf8=utf8), False
    message = copy.deepcopy(message)
    # The generator would write CRLF for all that looks like an end of line.
    placeholders: dict[bytes, bytes] = {}
    for part in filter(_is_binary, message.walk()):
        data = cast("bytes", part.get_payload(decode=True))
        if capabilities.binarymime and capabilities.chunking:
            token = token_hex(32)
            placeholders[token.encode()] = data
            part.set_payload(token)
        else:
            part.set_payload(encodebytes(data).decode("ascii"))
            part.replace_header("Content-Transfer-Encoding", "base64")
    body = _flatten(message, capabilities, utf8=utf8)
    for placeholder, data in placeholders.items():
        body = body.replace(placeholder, data)
    return body, bool(placeholders)


def _is_binary(part: Message) -> bool:
    encodings = [str(value).strip().lower() for value in _values(part, "Content-Transfer-Encoding")]
    return encodings == ["binary"] and not part.is_multipart()


def _flatten(message: Message, capabilities: Capabilities, *, utf8: bool) -> bytes:
    changes: dict[str, Any] = {
        "linesep": "\r\n",
        "cte_type": "8bit" if capabilities.eightbitmime else "7bit",
        "mangle_from_": False,
        "max_line_length": message.policy.max_line_length,
    }
    policy: EmailPolicy | Compat32
    if isinstance(message.policy, EmailPolicy):
        policy = _CheckedEmailPolicy(
            **changes, refold_source=message.policy.refold_source, utf8=utf8
        )
    else:
        policy = _CheckedCompat32(**changes)
    output = io.BytesIO()
    try:
        BytesGenerator(output, policy=cast("Any", policy)).flatten(message)
    except SMTPArgumentError:
        raise
    except UnicodeEncodeError as error:  # bytes that are no text of any charset
        raise SMTPNotSupported(_NEEDS_8BITMIME) from error
    except Exception as error:  # the standard library has no one class for all that can go wrong
        text = f"the message cannot be written: {type(error).__name__}"
        raise SMTPArgumentError(text) from error
    return output.getvalue()


class _CheckedEmailPolicy(EmailPolicy):
    """Refuses a field that would be more than one, whichever way a line break came into it."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        fold = super().fold_binary
        encoded = super().clone(cte_type="7bit")
        return _one_field(
            name,
            lambda: fold(name, value),
            None if self.utf8 else lambda: EmailPolicy.fold_binary(encoded, name, value),
        )


class _CheckedCompat32(Compat32):
    """The same for the older kind of message."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        fold = super().fold_binary
        encoded = super().clone(cte_type="7bit")
        return _one_field(
            name,
            lambda: fold(name, value),
            lambda: Compat32.fold_binary(encoded, name, value),
        )


def _one_field(
    name: str, fold: Callable[[], bytes], fold_to_ascii: Callable[[], bytes] | None
) -> bytes:
    """Return a field as it is written.

    Args:
        name: of the field.
        fold: writes it.
        fold_to_ascii: writes bytes of a message that was read as encoded words; None where UTF-8
            may stand in the header.
    """
    shown = ascii(name if len(name) <= 60 else f"{name[:60]}...")
    if _NAME.fullmatch(name) is None:
        raise SMTPArgumentError(f"{shown} is no name of a header field (RFC 5322 §2.2)")
    try:
        folded = fold()
        if fold_to_ascii is not None and not folded.isascii():
            folded = fold_to_ascii()
    except Exception as error:
        raise SMTPArgumentError(f"the header field {shown} cannot be written") from error
    if not folded.startswith(name.encode()) or _VALUE.fullmatch(folded, len(name)) is None:
        raise SMTPArgumentError(f"the header field {shown} holds a line break or null character")
    return folded
