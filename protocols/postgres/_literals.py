"""Arrays and composites in the text format, for what has no other or was given a codec for text.

Source: PostgreSQL documentation, sections 8.15.6, "Array Input and Output Syntax", and 8.16.6,
"Composite Type Input and Output Syntax".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wirekit._errors import RemoteProtocolError

from ._arrays import MAX_DIMENSIONS, array_sizes, is_dimension
from ._codecs import FunctionCodec
from ._composites import attribute_values
from ._faults import OutdatedType
from ._record import Record, make_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._codecs import TypeCodec
    from ._record import RecordKeys

__all__ = ["array_literal_codec", "composite_literal_codec"]

_BOUNDS = re.compile(r"(?:\[[-+]?[0-9]+(?::[-+]?[0-9]+)?\])+=")
_SPACES = re.compile(r"[ \t\n\r\v\f]*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_DOUBLED = re.compile(r'\\(.)|""', re.DOTALL)
# Of a composite: quoted, with quotes doubled; or bare, where nothing at all is null.
_ATTRIBUTE = re.compile(r'"([^"\\]*(?:(?:\\.|"")[^"\\]*)*)"|([^"\\(),]*)', re.DOTALL)


def array_literal_codec(name: str, element: TypeCodec, delimiter: str) -> TypeCodec:
    """Return the codec of an array type whose elements travel as text.

    Args:
        name: of the array type, for errors.
        element: the codec of the elements.
        delimiter: what stands between the elements.
    """
    literal = _ArrayLiteral(name, element, delimiter)
    return FunctionCodec(name, 0, literal.decode, literal.encode)


def composite_literal_codec(name: str, keys: RecordKeys, codecs: Sequence[TypeCodec]) -> TypeCodec:
    """Return the codec of a composite type whose attributes all travel as text.

    Args:
        name: of the type, for errors.
        keys: the names of the attributes.
        codecs: of the attributes.
    """
    literal = _CompositeLiteral(name, keys, tuple(codecs))
    return FunctionCodec(name, 0, literal.decode, literal.encode)


class _ArrayLiteral:
    def __init__(self, name: str, element: TypeCodec, delimiter: str) -> None:
        self._name = name
        self._element = element
        self._delimiter = delimiter
        # Quoted, with whatever escaped; or bare. Only this much of Unicode's space is space here.
        bare = rf'[^"\\{{}} \t\n\r\v\f{re.escape(delimiter)}]+'
        self._item = re.compile(rf'"([^"\\]*(?:\\.[^"\\]*)*)"|({bare})', re.DOTALL)

    def decode(self, data: bytes) -> list[Any]:
        text = data.decode()
        bounds = _BOUNDS.match(text)
        position = _skip_spaces(text, bounds.end() if bounds else 0)
        if not text.startswith("{", position):
            raise self._malformed()
        items, shape, position = self._read_list(text, position, 1)
        if position != len(text):
            raise self._malformed()
        return [] if 0 in shape else items

    def _read_list(
        self, text: str, position: int, depth: int
    ) -> tuple[list[Any], tuple[int, ...], int]:
        """Read from a brace on; return the items, the sizes of all dimensions, and the end."""
        if depth > MAX_DIMENSIONS:
            raise self._malformed()
        items: list[Any] = []
        inner: tuple[int, ...] | None = None
        position = _skip_spaces(text, position + 1)
        if text.startswith("}", position):
            return items, (0,), _skip_spaces(text, position + 1)
        while True:
            shape: tuple[int, ...] = ()
            if text.startswith("{", position):
                item, shape, position = self._read_list(text, position, depth + 1)
            else:
                item, position = self._read_item(text, position)
            if inner is not None and shape != inner:
                raise self._malformed()
            inner = shape
            items.append(item)
            mark = text[position : position + 1]
            position = _skip_spaces(text, position + 1)
            if mark == "}":
                return items, (len(items), *inner), position
            if mark != self._delimiter:
                raise self._malformed()

    def _read_item(self, text: str, position: int) -> tuple[Any, int]:
        match = self._item.match(text, position)
        if match is None:
            raise self._malformed()
        position = _skip_spaces(text, match.end())
        quoted, bare = match.groups()
        if bare is None:
            return self._element.decode(_ESCAPED.sub(r"\1", quoted).encode()), position
        if bare.upper() == "NULL":
            return None, position
        return self._element.decode(bare.encode()), position

    def _malformed(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"a value of type {self._name} that is no array literal")

    def encode(self, value: Any) -> bytes:
        return self._spell(value, array_sizes(value), 0).encode()

    def _spell(self, value: Any, sizes: tuple[int, ...], dimension: int) -> str:
        items = list(value)
        inner = dimension + 1 < len(sizes)
        if len(items) != sizes[dimension] or (inner and not all(map(is_dimension, items))):
            raise ValueError("non-homogeneous array")
        if inner:
            parts = [self._spell(item, sizes, dimension + 1) for item in items]
        else:
            try:
                parts = [_spell_item(self._element, item, "NULL") for item in items]
            except TypeError as exc:
                raise ValueError(f"invalid array element: {exc}") from None
        return "{" + self._delimiter.join(parts) + "}"


class _CompositeLiteral:
    def __init__(self, name: str, keys: RecordKeys, codecs: tuple[TypeCodec, ...]) -> None:
        self._name = name
        self._keys = keys
        self._codecs = codecs

    def decode(self, data: bytes) -> Record:
        text = data.decode()
        values: list[Any] = []
        position = 0
        for number, codec in enumerate(self._codecs):
            if not text.startswith("," if number else "(", position):
                raise self._misfit(text, position)
            match = _ATTRIBUTE.match(text, position + 1)
            if match is None:
                raise self._malformed()
            position = match.end()
            quoted, bare = match.groups()
            if quoted is not None:
                values.append(codec.decode(_DOUBLED.sub(_undouble, quoted).encode()))
            else:
                values.append(codec.decode(bare.encode()) if bare else None)
        if text[position:] != (")" if values else "()"):
            raise self._misfit(text, position)
        return make_record(Record, self._keys, tuple(values))

    def _malformed(self) -> RemoteProtocolError:
        return RemoteProtocolError(f"a value of type {self._name} that is no composite literal")

    def _misfit(self, text: str, position: int) -> Exception:
        """Return the error for what stands where another attribute or the end should."""
        if text[position:] == ")" or text.startswith(",", position):
            fault = f"there are not {len(self._codecs)} attributes"
            return OutdatedType(self._name, fault)
        return self._malformed()

    def encode(self, value: Any) -> bytes:
        values = attribute_values(self._name, self._keys, value)
        pairs = zip(self._codecs, values, strict=True)
        return f"({','.join([_spell_item(codec, item, '') for codec, item in pairs])})".encode()


def _skip_spaces(text: str, position: int) -> int:
    match = _SPACES.match(text, position)
    return position if match is None else match.end()


def _undouble(match: re.Match[str]) -> str:
    return match[1] or '"'


def _spell_item(codec: TypeCodec, value: Any, null: str) -> str:
    if value is None:
        return null
    text = codec.encode(value).decode()
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
