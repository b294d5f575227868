"""Which codec each type has on one connection: built-in, introspected, or set by the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wirekit._errors import LocalProtocolError, RemoteProtocolError

from ._arrays import AnyArrayCodec, ArrayCodec
from ._builtin_types import BUILTIN_TYPES, TypeInfo
from ._codecs import ByteaCodec, FunctionCodec, TextCodec, TypeCodec
from ._composites import CompositeCodec, RecordCodec
from ._literals import array_literal_codec, composite_literal_codec
from ._ranges import MultirangeCodec, RangeCodec
from ._record import RecordKeys
from ._scalars import MappedCodec, PlainTextCodec
from ._type_codecs import (
    EXTENSIONS,
    PARAMETERS,
    RESULTS,
    TEXT_FORMS,
    TUPLE_FORMS,
    is_own_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["TypeMap", "builtin_type"]

# No type of a real database is made of types made of types so many times over.
_MAX_DEPTH = 64

# What SQL calls some types, and the extension that asyncpg knows.
_ALIASES = {
    "smallint": "int2",
    "int": "int4",
    "integer": "int4",
    "bigint": "int8",
    "decimal": "numeric",
    "real": "float4",
    "double precision": "float8",
    "timestamp with timezone": "timestamptz",
    "timestamp without timezone": "timestamp",
    "time with timezone": "timetz",
    "time without timezone": "time",
    "char": "bpchar",
    "character": "bpchar",
    "character varying": "varchar",
    "bit varying": "varbit",
}
_CONTRIB = "pg_contrib."
_BUILTIN_NAMES = {info.name: info for info in BUILTIN_TYPES.values()}


@dataclass(frozen=True, slots=True)
class _Custom:
    """What the user set for a type; either function may be None and is then the built-in's."""

    format: Literal["text", "binary", "tuple"]
    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Use:
    """What a codec is looked up for: for parameters or results, and in text if it must be so."""

    parameter: bool
    text: bool


_RESULT = _Use(parameter=False, text=False)
_PARAMETER = _Use(parameter=True, text=False)


class TypeMap:
    """Finds the codec of a type by its OID. A new one knows the built-in types.

    A type's results and its parameters may travel in different formats, hence `codec` and
    `parameter_codec`; for nearly all types they return the same object.
    """

    def __init__(self) -> None:
        self._types = dict(BUILTIN_TYPES)
        self._customs: dict[int, _Custom] = {}
        self._builtins: dict[int, TypeCodec] = {}  # set by set_builtin
        self._codecs: dict[tuple[int, _Use], TypeCodec] = {}
        self._results: dict[int, TypeCodec] = {}
        self._parameters: dict[int, TypeCodec] = {}

    # What is known

    def info(self, oid: int) -> TypeInfo | None:
        """Return what is known of a type, or None."""
        return self._types.get(oid)

    def missing(self, oids: Iterable[int]) -> set[int]:
        """Return which types are to be introspected before `codec` can give these types'."""
        missing: set[int] = set()
        seen: set[int] = set()
        pending = list(oids)
        while pending:
            oid = pending.pop()
            if oid in seen:
                continue
            seen.add(oid)
            info = self._types.get(oid)
            if info is None:
                missing.add(oid)
            else:
                pending.extend(info.parts)
        return missing

    def add(self, infos: Iterable[TypeInfo]) -> None:
        """Take what introspection found; it takes the place of what was known of these types."""
        for info in infos:
            if info.oid not in BUILTIN_TYPES:
                self._types[info.oid] = info
        self._forget_codecs()

    def forget(self) -> None:
        """Forget what was introspected, but not what the user set."""
        self._types = dict(BUILTIN_TYPES)
        self._forget_codecs()

    # Codecs

    def codec(self, oid: int) -> TypeCodec | None:
        """Return the codec for results of a type, or None if something of it is `missing`.

        Raises:
            LocalProtocolError: a part of the type travels as text only, and there is no text form
                of the whole.
        """
        codec = self._results.get(oid)
        if codec is None:
            codec = self._find(oid, _RESULT, 0)
            if codec is not None:
                self._results[oid] = codec
        return codec

    def parameter_codec(self, oid: int) -> TypeCodec | None:
        """Return the codec for parameters of a type; otherwise as `codec`."""
        codec = self._parameters.get(oid)
        if codec is None:
            codec = self._find(oid, _PARAMETER, 0)
            if codec is not None:
                self._parameters[oid] = codec
        return codec

    # What the user sets

    def set_custom(
        self,
        info: TypeInfo,
        format: Literal["text", "binary", "tuple"],  # noqa: A002 - asyncpg's word
        encode: Callable[[Any], Any] | None,
        decode: Callable[[Any], Any] | None,
    ) -> None:
        """Have a type's values go through functions of the user's.

        Args:
            info: the type: base, enum or composite.
            format: what the functions exchange: ``"text"`` is `str`, ``"binary"`` is `bytes`,
                ``"tuple"`` is a composite's values or, of the date and time types, integers.
            encode: makes that from a value; None leaves parameters to the built-in codec.
            decode: makes a value from that; None leaves results to the built-in codec.

        Raises:
            LocalProtocolError: the type cannot have such a codec.
        """
        whole = f"{info.schema}.{info.name}"
        if info.kind == "d":
            raise LocalProtocolError(f"{whole} is a domain: set the codec on its base type")
        if info.element or info.kind not in "bce":
            text = "it is neither a scalar type nor a composite type"
            raise LocalProtocolError(f"cannot use a custom codec on type {whole}: {text}")
        if info.kind == "c" and format != "tuple":
            text = f"only tuple-format codecs can be used on composite types such as {whole}"
            raise LocalProtocolError(text)
        if format == "tuple" and info.kind != "c" and not self._has_tuple_form(info):
            text = f"type {whole} does not support the 'tuple' exchange format"
            raise LocalProtocolError(text)
        self.reset_custom(info)
        self.add([info])
        self._customs[info.oid] = _Custom(format, encode, decode)

    def set_builtin(
        self,
        info: TypeInfo,
        codec_name: str | int,
        format: Literal["text", "binary"] | None = None,  # noqa: A002 - asyncpg's word
    ) -> None:
        """Have a type's values travel like those of a built-in type.

        Args:
            info: the type, of a base kind.
            codec_name: the other type's name or OID, or ``"pg_contrib.hstore"``.
            format: the only format that the type has, if it has not both.

        Raises:
            LocalProtocolError: there is no such codec, or the type cannot have it.
        """
        if info.element or info.kind not in "bde":
            raise LocalProtocolError(f"cannot alias non-scalar type {info.schema}.{info.name}")
        codec = _alias(codec_name, format)
        if codec is None:
            text = f"there is no {format or 'text or binary'} codec for {codec_name}"
            raise LocalProtocolError(f"cannot alias {info.name} to {codec_name}: {text}")
        self.reset_custom(info)
        self.add([info])
        self._builtins[info.oid] = codec

    def reset_custom(self, info: TypeInfo) -> None:
        """Undo `set_custom` and `set_builtin`."""
        self._customs.pop(info.oid, None)
        self._builtins.pop(info.oid, None)
        self._forget_codecs()

    def _has_tuple_form(self, info: TypeInfo) -> bool:
        return info.schema == "pg_catalog" and info.name in TUPLE_FORMS

    # How codecs come about

    def _forget_codecs(self) -> None:
        self._codecs.clear()
        self._results.clear()
        self._parameters.clear()

    def _find(self, oid: int, use: _Use, depth: int) -> TypeCodec | None:
        """Return the codec of a type, which is part of ``depth`` others."""
        codec = self._codecs.get((oid, use))
        if codec is not None:
            return codec
        info = self._types.get(oid)
        if info is None:
            return None
        if depth > _MAX_DEPTH:
            raise RemoteProtocolError(f"type {info.name} is made of itself")
        custom = self._customs.get(oid)
        half = None if custom is None else custom.encode if use.parameter else custom.decode
        if custom is not None and half is not None:
            codec = self._make_custom(info, custom, use, depth)
        else:
            codec = self._make(info, use, depth)
        if codec is not None:
            self._codecs[oid, use] = codec
        return codec

    def _make(self, info: TypeInfo, use: _Use, depth: int) -> TypeCodec | None:
        """Return the codec that a type has of itself."""
        builtin = self._builtins.get(info.oid)
        if builtin is not None:
            if use.text and builtin.format:
                builtin = TEXT_FORMS.get(builtin.name)
                if builtin is None:
                    raise _no_text_form(info)
            return builtin
        if info.element:
            return self._make_array(info, use, depth)
        if info.kind == "c":
            return self._make_composite(info, use, depth)
        if info.kind == "d":
            return self._find(info.base, use, depth + 1)
        if info.kind in "rm":
            return self._make_range(info, use, depth)
        if info.kind == "e":
            return PlainTextCodec(info.name) if use.text else TextCodec(info.name)
        return self._make_scalar(info, use)

    def _make_scalar(self, info: TypeInfo, use: _Use) -> TypeCodec:
        name = info.name
        codec: TypeCodec | None = None
        if info.schema != "pg_catalog":
            if info.has_binary and name != "hstore":
                codec = EXTENSIONS.get(name)
        elif name == "record":
            codec = RecordCodec(name, self.codec)
        elif name in ("anyarray", "anycompatiblearray"):
            codec = AnyArrayCodec(name, self.codec)
        elif use.parameter and name in PARAMETERS:
            codec = PARAMETERS[name]
        elif name in RESULTS:
            codec = RESULTS[name]
        elif info.kind == "p":
            codec = FunctionCodec(name, 1, None, None)
        if codec is None:
            return PlainTextCodec(name)
        if use.text and codec.format:
            codec = TEXT_FORMS.get(name)
            if codec is None or info.schema != "pg_catalog":
                raise _no_text_form(info)
        return codec

    def _make_array(self, info: TypeInfo, use: _Use, depth: int) -> TypeCodec | None:
        element = self._find(info.element, use, depth + 1)
        if element is None:
            return None
        name = f"{info.name.removeprefix('_')}[]"
        if element.format:
            return ArrayCodec(name, element, info.element)
        return array_literal_codec(name, element, info.delimiter)

    def _make_composite(self, info: TypeInfo, use: _Use, depth: int) -> TypeCodec | None:
        keys = RecordKeys([name for name, _ in info.fields])
        types = [oid for _, oid in info.fields]
        codecs = self._find_all(types, use, depth)
        if codecs is None:
            return None
        if all(codec.format for codec in codecs):
            return CompositeCodec(info.name, keys, codecs, types)
        if not use.text:
            # All travel as text if one must.
            codecs = self._find_all(types, _Use(parameter=use.parameter, text=True), depth)
        return None if codecs is None else composite_literal_codec(info.name, keys, codecs)

    def _find_all(self, oids: Iterable[int], use: _Use, depth: int) -> list[TypeCodec] | None:
        codecs: list[TypeCodec] = []
        for oid in oids:
            codec = self._find(oid, use, depth + 1)
            if codec is None:
                return None
            codecs.append(codec)
        return codecs

    def _make_range(self, info: TypeInfo, use: _Use, depth: int) -> TypeCodec | None:
        part = self._find(info.subtype, use, depth + 1)
        if part is None:
            return None
        if not part.format:
            raise _no_text_form(info)
        if info.kind == "m":
            return MultirangeCodec(info.name, part)
        return RangeCodec(info.name, part)

    def _make_custom(
        self, info: TypeInfo, custom: _Custom, use: _Use, depth: int
    ) -> TypeCodec | None:
        """Return the codec by the user's functions; both, whichever it is for."""
        if info.kind == "c":
            base = self._make(info, use, depth)
        elif custom.format == "text":
            base = self._make(info, _Use(parameter=use.parameter, text=False), depth)
            if base is None or use.text or not is_own_text(base):
                base = PlainTextCodec(info.name)
        elif use.text:
            raise _no_text_form(info)
        else:
            base = TUPLE_FORMS[info.name] if custom.format == "tuple" else ByteaCodec(info.name)
        if base is None:
            return None
        return MappedCodec(info.name, base, custom.decode, custom.encode)


def _no_text_form(info: TypeInfo) -> LocalProtocolError:
    text = f"values of type {info.schema}.{info.name} cannot travel as text"
    return LocalProtocolError(f"{text}, and something that belongs to them travels as text only")


def builtin_type(name: str | int) -> TypeInfo | None:
    """Return a built-in type by its own name, SQL's name or OID; None if there is none."""
    if isinstance(name, int):
        return BUILTIN_TYPES.get(name)
    return _BUILTIN_NAMES.get(_ALIASES.get(name, name))


def _alias(
    codec_name: str | int,
    format: Literal["text", "binary"] | None,  # noqa: A002 - asyncpg's word
) -> TypeCodec | None:
    """Return the codec of a built-in type by name, SQL's name or OID; None if there is none."""
    if isinstance(codec_name, str) and codec_name.startswith(_CONTRIB):
        codec = EXTENSIONS.get(codec_name.removeprefix(_CONTRIB))
        return codec if format != "text" else None
    known = builtin_type(codec_name)
    codec = RESULTS.get(known.name) if known is not None else None
    if format == "text" and known is not None and codec is not None and codec.format:
        return TEXT_FORMS.get(known.name)
    if format == "binary" and codec is not None and not codec.format:
        return None
    return codec
