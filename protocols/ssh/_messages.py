"""The messages of the transport layer, by the names of RFC 4253, and their payloads.

Each class has its number, ``encode()`` and ``decode(payload)``; decoding takes nothing behind the
last field. Those of the layers above are `Packet`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ._primitives import (
    Reader,
    encode_boolean,
    encode_byte,
    encode_name_list,
    encode_string,
    encode_text,
    encode_uint32,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = [
    "Debug",
    "Disconnect",
    "ExtInfo",
    "Ignore",
    "KexECDHInit",
    "KexECDHReply",
    "KexInit",
    "Message",
    "NewKeys",
    "Packet",
    "Ping",
    "Pong",
    "ServiceAccept",
    "ServiceRequest",
    "Unimplemented",
]


class Packet(NamedTuple):
    """A payload of a layer above, such as user authentication (RFC 4252) or channels (RFC 4254).

    Attributes:
        number: the message number, which is the payload's first byte.
        payload: all of it, with the number.
        sequence: the packet's sequence number, for `Unimplemented`.
    """

    number: int
    payload: bytes
    sequence: int

    def __repr__(self) -> str:  # payloads are secret
        return f"Packet(number={self.number}, {len(self.payload)} bytes, sequence={self.sequence})"


class Message:
    """What the messages have in common; each has fields to encode and to decode."""

    __slots__ = ()

    number: ClassVar[int]

    def encode(self) -> bytes:
        """Return the payload of a packet."""
        return encode_byte(self.number) + self._encode_fields()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read a payload whose first byte is the class's number.

        Raises:
            SSHProtocolError: it is not what the number says.
        """
        reader = Reader(payload, 1)
        message = cls._decode_fields(reader)
        reader.end()
        return message

    def _encode_fields(self) -> bytes:
        raise NotImplementedError

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Disconnect(Message):
    """SSH_MSG_DISCONNECT (RFC 4253 §11.1); ``reason_code`` is a `DisconnectReason` or another."""

    number: ClassVar[int] = 1

    reason_code: int
    description: str = ""
    language_tag: str = ""

    def _encode_fields(self) -> bytes:
        texts = encode_text(self.description) + encode_text(self.language_tag)
        return encode_uint32(self.reason_code) + texts

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        code = reader.uint32()
        if reader.at_end():  # old implementations send nothing more
            return cls(code)
        # Why the peer goes matters more than how it is written.
        description = reader.string().decode(errors="backslashreplace")
        return cls(code, description, "" if reader.at_end() else reader.name())


@dataclass(frozen=True, slots=True)
class Ignore(Message):
    """SSH_MSG_IGNORE (RFC 4253 §11.2)."""

    number: ClassVar[int] = 2

    data: bytes = field(default=b"", repr=False)

    def _encode_fields(self) -> bytes:
        return encode_string(self.data)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.string())


@dataclass(frozen=True, slots=True)
class Unimplemented(Message):
    """SSH_MSG_UNIMPLEMENTED (RFC 4253 §11.4): the packet of this number was not understood."""

    number: ClassVar[int] = 3

    sequence: int

    def _encode_fields(self) -> bytes:
        return encode_uint32(self.sequence)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.uint32())


@dataclass(frozen=True, slots=True)
class Debug(Message):
    """SSH_MSG_DEBUG (RFC 4253 §11.3)."""

    number: ClassVar[int] = 4

    always_display: bool
    message: str
    language_tag: str = ""

    def _encode_fields(self) -> bytes:
        texts = encode_text(self.message) + encode_text(self.language_tag)
        return encode_boolean(self.always_display) + texts

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.boolean(), reader.text(), reader.name())


@dataclass(frozen=True, slots=True)
class ServiceRequest(Message):
    """SSH_MSG_SERVICE_REQUEST (RFC 4253 §10): ``ssh-userauth`` or ``ssh-connection``."""

    number: ClassVar[int] = 5

    service_name: str

    def _encode_fields(self) -> bytes:
        return encode_text(self.service_name)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.name())


@dataclass(frozen=True, slots=True)
class ServiceAccept(Message):
    """SSH_MSG_SERVICE_ACCEPT (RFC 4253 §10)."""

    number: ClassVar[int] = 6

    service_name: str

    def _encode_fields(self) -> bytes:
        return encode_text(self.service_name)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.name())


@dataclass(frozen=True, slots=True)
class ExtInfo(Message):
    """SSH_MSG_EXT_INFO (RFC 8308 §2.3): extensions by name, such as ``server-sig-algs``."""

    number: ClassVar[int] = 7

    extensions: Mapping[str, bytes]

    def _encode_fields(self) -> bytes:
        fields = [encode_uint32(len(self.extensions))]
        for name, value in self.extensions.items():
            fields += encode_text(name), encode_string(value)
        return b"".join(fields)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        extensions: dict[str, bytes] = {}
        for _ in range(reader.uint32()):
            name = reader.name()
            extensions[name] = reader.string()
        return cls(extensions)


@dataclass(frozen=True, slots=True)
class KexInit(Message):
    """SSH_MSG_KEXINIT (RFC 4253 §7.1): what its sender can do, the preferred first."""

    number: ClassVar[int] = 20

    cookie: bytes = field(repr=False)
    kex_algorithms: tuple[str, ...]
    server_host_key_algorithms: tuple[str, ...]
    encryption_algorithms_client_to_server: tuple[str, ...]
    encryption_algorithms_server_to_client: tuple[str, ...]
    mac_algorithms_client_to_server: tuple[str, ...]
    mac_algorithms_server_to_client: tuple[str, ...]
    compression_algorithms_client_to_server: tuple[str, ...]
    compression_algorithms_server_to_client: tuple[str, ...]
    languages_client_to_server: tuple[str, ...] = ()
    languages_server_to_client: tuple[str, ...] = ()
    first_kex_packet_follows: bool = False

    def _encode_fields(self) -> bytes:
        lists = (
            self.kex_algorithms,
            self.server_host_key_algorithms,
            self.encryption_algorithms_client_to_server,
            self.encryption_algorithms_server_to_client,
            self.mac_algorithms_client_to_server,
            self.mac_algorithms_server_to_client,
            self.compression_algorithms_client_to_server,
            self.compression_algorithms_server_to_client,
            self.languages_client_to_server,
            self.languages_server_to_client,
        )
        names = b"".join(map(encode_name_list, lists))
        follows = encode_boolean(self.first_kex_packet_follows)
        return self.cookie + names + follows + encode_uint32(0)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        names = reader.name_list
        message = cls(
            reader.raw(16),
            names(),
            names(),
            names(),
            names(),
            names(),
            names(),
            names(),
            names(),
            names(),
            names(),
            reader.boolean(),
        )
        reader.uint32()  # reserved; whoever gives it a meaning will expect us to ignore it
        return message


@dataclass(frozen=True, slots=True)
class NewKeys(Message):
    """SSH_MSG_NEWKEYS (RFC 4253 §7.3)."""

    number: ClassVar[int] = 21

    def _encode_fields(self) -> bytes:
        return b""

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls()


@dataclass(frozen=True, slots=True)
class KexECDHInit(Message):
    """SSH_MSG_KEX_ECDH_INIT (RFC 5656 §4), and what has its number and shape.

    These are SSH_MSG_KEXDH_INIT (RFC 4253 §8), where the public value is an mpint, and
    SSH_MSG_KEX_HYBRID_INIT (draft-ietf-sshm-mlkem-hybrid-kex §2.2).
    """

    number: ClassVar[int] = 30

    public: bytes

    def _encode_fields(self) -> bytes:
        return encode_string(self.public)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.string())


@dataclass(frozen=True, slots=True)
class KexECDHReply(Message):
    """SSH_MSG_KEX_ECDH_REPLY (RFC 5656 §4), and what has its number and shape."""

    number: ClassVar[int] = 31

    host_key: bytes
    public: bytes
    signature: bytes

    def _encode_fields(self) -> bytes:
        return b"".join(map(encode_string, (self.host_key, self.public, self.signature)))

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.string(), reader.string(), reader.string())


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """SSH2_MSG_PING (OpenSSH PROTOCOL §1.8), which the peer answers by `Pong` with its data."""

    number: ClassVar[int] = 192

    data: bytes = field(default=b"", repr=False)

    def _encode_fields(self) -> bytes:
        return encode_string(self.data)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.string())


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """SSH2_MSG_PONG (OpenSSH PROTOCOL §1.8)."""

    number: ClassVar[int] = 193

    data: bytes = field(default=b"", repr=False)

    def _encode_fields(self) -> bytes:
        return encode_string(self.data)

    @classmethod
    def _decode_fields(cls, reader: Reader) -> Self:
        return cls(reader.string())
