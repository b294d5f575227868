# cython: annotation_typing=False
"""Rows as people hold them: a `Record` is a sequence of values and a mapping by column name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Record", "RecordKeys", "make_record"]


class RecordKeys:
    """The column names that all records of one result share.

    Of columns of the same name, a record's mapping finds the last.
    """

    __slots__ = ("names", "positions")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.positions = {name: number for number, name in enumerate(self.names)}


class Record:
    """One row: ``row["name"]``, ``row[0]``, ``row[1:]``, ``dict(row)``, ``a, b = row``.

    Iterating and comparing go by the values, ``in``, ``keys()``, ``items()`` and ``get()`` by the
    names, as with asyncpg's. It equals a tuple of the same values, and hashes like it.
    """

    __slots__ = ("_keys", "_values")

    _keys: RecordKeys
    _values: tuple[Any, ...]

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise TypeError("records are made by queries")

    def __getitem__(self, key: Any) -> Any:
        if type(key) is str:
            position = _keys_of(self).positions.get(key)
            if position is None:
                raise KeyError(key)
            return self._values[position]
        if isinstance(key, str):
            return self[str(key)]
        try:
            return self._values[key]
        except IndexError:
            raise IndexError("record index out of range") from None

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __contains__(self, key: object) -> bool:
        return key in _keys_of(self).positions

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a column, or ``default`` if there is no such column."""
        position = _keys_of(self).positions.get(key)
        return default if position is None else self._values[position]

    def keys(self) -> Iterator[str]:
        """Iterate over the names of the columns."""
        return iter(_keys_of(self).names)

    def values(self) -> Iterator[Any]:
        """Iterate over the values."""
        return iter(self._values)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over pairs of name and value."""
        return zip(_keys_of(self).names, self._values, strict=True)

    def __hash__(self) -> int:
        return hash(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == _comparable(other)

    def __ne__(self, other: object) -> bool:
        return self._values != _comparable(other)

    def __lt__(self, other: object) -> bool:
        values = _comparable(other)
        return NotImplemented if values is None else self._values < values

    def __le__(self, other: object) -> bool:
        values = _comparable(other)
        return NotImplemented if values is None else self._values <= values

    def __gt__(self, other: object) -> bool:
        values = _comparable(other)
        return NotImplemented if values is None else self._values > values

    def __ge__(self, other: object) -> bool:
        values = _comparable(other)
        return NotImplemented if values is None else self._values >= values

    def __repr__(self) -> str:
        pairs = [f"{name}={value!r}" for name, value in self.items()]
        return f"<{' '.join([type(self).__name__, *pairs])}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), _keys_of(self).names, self._values)


def _keys_of(record: Record) -> RecordKeys:
    keys: RecordKeys | None
    try:
        keys = record._keys  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except AttributeError:
        keys = None
    if keys is None:
        raise TypeError("records are made by queries")  # and not by Record.__new__ alone
    return keys


def _comparable(other: object) -> tuple[Any, ...] | None:
    if isinstance(other, Record):
        record = other
        return record._values  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    values: Any = other
    return values if isinstance(other, tuple) else None


def _unpickle(
    record_class: type[Record], names: tuple[str, ...], values: tuple[Any, ...]
) -> Record:
    return make_record(record_class, RecordKeys(names), values)


def make_record(record_class: type[Record], keys: RecordKeys, values: tuple[Any, ...]) -> Record:
    """Return a record; there must be as many keys as values."""
    record = Record.__new__(record_class)
    record._keys = keys  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    record._values = values  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return record
