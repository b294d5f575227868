"""Documents and queries of text search, as the server spells them in text.

Results come in the binary format, so that they can stand within arrays, composites and COPY, and
are spelled out here. Parameters go in the text format, because only the server knows its locale's
spaces: hence ``parameter_format`` differs from ``format``.

Source: PostgreSQL documentation, section 8.11, "Text Search Types"; the layouts are those of
tsvectorsend and tsquerysend in src/backend/utils/adt.
"""

from __future__ import annotations

from struct import Struct, unpack_from

from ._functions import (
    BINARY,
    INT32,
    TEXT,
    TypeFunctions,
    decode_utf8,
    encode_text,
    malformed,
    text,
)

__all__ = ["TYPES"]

_UINT16 = Struct(">H")

# tsvector: the number of lexemes; of each its text, a zero, the number of positions, positions.
_MIN_LEXEME_SIZE = 3
_WEIGHTS = ("", "C", "B", "A")  # the two high bits of a position; D goes without saying


def decode_tsvector(data: bytes) -> str:
    """Read a document, as ``"'cat':3,5A 'fat'"``."""
    count = _read_count(data, _MIN_LEXEME_SIZE, "tsvector")
    position = INT32.size
    lexemes: list[str] = []
    for _ in range(count):
        lexeme, position = _read_text(data, position, "tsvector")
        if position + _UINT16.size > len(data):
            raise malformed("tsvector", "truncated")
        (occurrences,) = _UINT16.unpack_from(data, position)
        position += _UINT16.size
        if position + occurrences * _UINT16.size > len(data):
            raise malformed("tsvector", "truncated")
        places = unpack_from(f">{occurrences}H", data, position)
        position += occurrences * _UINT16.size
        spelled = ",".join([f"{place & 0x3FFF}{_WEIGHTS[place >> 14]}" for place in places])
        lexemes.append(f"{lexeme}:{spelled}" if spelled else lexeme)
    if position != len(data):
        raise malformed("tsvector", "bytes after its end")
    return " ".join(lexemes)


# tsquery: the number of items; then these, every operator before its operands, the right one
# before the left. An operand is 1, weights, prefix flag, text, zero; an operator 2, which, and
# the distance if it is PHRASE.
_OPERAND, _OPERATOR = 1, 2
_MIN_ITEM_SIZE = 2
_NOT, _AND, _OR, _PHRASE = 1, 2, 3, 4
_PRIORITIES = {_OR: 1, _AND: 2, _PHRASE: 3, _NOT: 4}
_OPERAND_PRIORITY = 5
_SPELLINGS = {_NOT: "!", _AND: " & ", _OR: " | "}

Item = tuple[int, str]  # its priority, and how it is spelled


def decode_tsquery(data: bytes) -> str:
    """Read a query, as ``"'fat' & ( 'rat':*A | !'cat' )"``."""
    count = _read_count(data, _MIN_ITEM_SIZE, "tsquery")
    position = INT32.size
    items: list[Item] = []
    for _ in range(count):
        if position + _MIN_ITEM_SIZE > len(data):
            raise malformed("tsquery", "truncated")
        if data[position] == _OPERAND:
            item, position = _read_operand(data, position + 1)
        elif data[position] == _OPERATOR:
            item, position = _read_operator(data, position + 1)
        else:
            raise malformed("tsquery", f"an item of unknown type {data[position]}")
        items.append(item)
    if position != len(data):
        raise malformed("tsquery", "bytes after its end")
    return _spell(items, _find_ends(items)) if items else ""


def _read_operand(data: bytes, position: int) -> tuple[Item, int]:
    weights, is_prefix = data[position], data[position + 1 : position + 2]
    if weights > 0b1111 or is_prefix not in (b"\0", b"\1"):
        raise malformed("tsquery", "an operand of unknown weight or prefix")
    operand, position = _read_text(data, position + 2, "tsquery")
    options = "*" if is_prefix == b"\1" else ""
    options += "".join(
        [letter for bit, letter in zip((8, 4, 2, 1), "ABCD", strict=True) if weights & bit]
    )
    return (_OPERAND_PRIORITY, f"{operand}:{options}" if options else operand), position


def _read_operator(data: bytes, position: int) -> tuple[Item, int]:
    operator = data[position]
    position += 1
    if operator in _SPELLINGS:
        return (_PRIORITIES[operator], _SPELLINGS[operator]), position
    if operator != _PHRASE or position + _UINT16.size > len(data):
        raise malformed("tsquery", "an operator that is unknown or truncated")
    (distance,) = _UINT16.unpack_from(data, position)
    spelled = " <-> " if distance == 1 else f" <{distance}> "
    return (_PRIORITIES[_PHRASE], spelled), position + _UINT16.size


def _find_ends(items: list[Item]) -> list[int]:
    """Return for every item where the expression that begins with it ends."""
    count = len(items)
    ends = [0] * count
    for start in range(count - 1, -1, -1):
        priority = items[start][0]
        operands = 0 if priority == _OPERAND_PRIORITY else 1 if priority == _PRIORITIES[_NOT] else 2
        end = start + 1
        for _ in range(operands):
            if end >= count:
                raise malformed("tsquery", "an operator without its operands")
            end = ends[end]
        ends[start] = end
    if ends[0] != count:
        raise malformed("tsquery", "more than one expression")
    return ends


def _spell(items: list[Item], ends: list[int]) -> str:
    """Write the expression with parentheses where the server has them.

    The nesting is the peer's, so there is a stack of what is still to be written, not recursion.
    """
    phrase = _PRIORITIES[_PHRASE]
    pieces: list[str] = []
    # Texts, or expressions: where they begin, the parent's priority, whether right of a PHRASE.
    pending: list[str | tuple[int, int, bool]] = [(0, 0, False)]
    while pending:
        task = pending.pop()
        if isinstance(task, str):
            pieces.append(task)
            continue
        start, parent, right_of_phrase = task
        priority, spelled = items[start]
        if priority == _OPERAND_PRIORITY:
            pieces.append(spelled)
            continue
        if priority < parent or (priority == phrase and right_of_phrase):
            pieces.append("( ")
            pending.append(" )")
        operand = (start + 1, priority, priority == phrase)
        if spelled == _SPELLINGS[_NOT]:
            pending += [(start + 1, priority, False), spelled]
        else:
            pending += [operand, spelled, (ends[start + 1], priority, False)]
    return "".join(pieces)


def _read_count(data: bytes, min_size: int, name: str) -> int:
    count = int(INT32.unpack_from(data)[0]) if len(data) >= INT32.size else -1
    if not 0 <= count * min_size <= len(data) - INT32.size:
        raise malformed(name, "too short for its number of items")
    return count


def _read_text(data: bytes, position: int, name: str) -> tuple[str, int]:
    """Return the zero-ended text as the server quotes it, and where it ends."""
    end = data.find(b"\0", position)
    if end < 0:
        raise malformed(name, "truncated")
    word = decode_utf8(data[position:end], name)
    quoted = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}'", end + 1


TYPES: dict[str, TypeFunctions] = {
    "tsvector": TypeFunctions(3614, BINARY, decode_tsvector, encode_text, TEXT),
    "tsquery": TypeFunctions(3615, BINARY, decode_tsquery, encode_text, TEXT),
    "gtsvector": text(3642, "gtsvector", receives=False),
}
