"""Conversations for any build of the codec: what is sent, by name, and what the server says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wirekit import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# What `Client` makes rows with: the types of the columns.
COLUMNS: dict[str, tuple[int, ...]] = {
    "int4": (23,),
    "text": (25,),
    "hot": (16, 17, 18, 20, 21, 23, 25, 26),
    "numbers": (700, 701, 1700, 790, 5069),
    "times": (1082, 1083, 1114, 1184, 1186, 1266),
    "documents": (2950, 114, 3802, 142, 4072),
    "networks": (869, 650, 829, 774, 1560, 1562),
    "geometry": (600, 601, 602, 603, 604, 628, 718),
    "arrays": (1007, 1009, 1231, 1185, 2951),
    "ranges": (3904, 3908, 3910, 4451, 3912),
    "search": (3614, 3615, 27, 3220, 5038),
    "containers": (2249, 2277, 2287, 22, 30, 90001, 90002),
}

# What `ColumnBuffer` is to hold as numbers and bytes; the rest it holds as objects.
KINDS = frozenset(
    "bool int2 int4 int8 uint4 uint8 float4 float8 date timestamp timestamptz time uuid text bytea"
    " numeric".split()
)


class Client:
    """A codec, and readers for its rows, of one build of the package.

    Args:
        package: ``wirekit.protocols.postgres``, or what stands in its place.
        settings: of the codec.
    """

    def __init__(self, package: Any, **settings: Any) -> None:
        self.package = package
        self.codec = package.Codec(**settings)
        self.copies: list[Any] = []  # sinks of COPY
        self.types = package.TypeMap()
        fields = (("a", 23), ("b", 25), ("c", 1007))
        composite = package.TypeInfo(90001, "pair", schema="public", kind="c", fields=fields)
        array = package.TypeInfo(90002, "_pair", schema="public", element=90001)
        self.types.add([composite, array])

    def reader(self, name: str) -> Any:
        """Return a reader for columns of these types; "described" finds them out."""
        package = self.package
        if name == "text rows":
            return package.TextRowReader()
        if name == "described":
            return package.DescribedRowReader(self._reader_for)
        if name.startswith("columns of "):
            codecs = self._type_codecs(name.removeprefix("columns of "))
            return package.ColumnReader([package.new_column(codec, KINDS) for codec in codecs])
        if name.startswith("copy "):
            return self._copy_sink(name)
        if name == "raising":
            return self._reader([package.FunctionCodec("raising", 1, _raise, None)])
        return self._reader(self._type_codecs(name))

    def writer(self, *oids: int) -> Any:
        return self.package.RowWriter([self.types.parameter_codec(oid) for oid in oids])

    def query(self, name: str, *, count: int = 1, sync: bool = True) -> Any:
        """Return an ExtendedQuery."""
        prepared = self.package.PreparedQuery("s", self.writer(23))
        reader = None if name == "none" else self.reader(name)
        rows = [(number,) for number in range(count)]
        return prepared.bind_many(iter(rows), reader, 1 << 20, sync)

    def _type_codecs(self, name: str) -> list[Any]:
        return [self.types.codec(oid) for oid in COLUMNS[name]]

    def _copy_sink(self, name: str) -> Any:
        package = self.package
        if name == "copy chunks":
            sink = package.CopyChunks()
        else:
            sink = package.CopyRows(package.RecordKeys(["a", "b"]), self._type_codecs("hot")[5:7])
        self.copies.append(sink)
        return sink

    def _reader(self, codecs: Sequence[Any]) -> Any:
        names = [f"c{number}" for number in range(len(codecs))]
        return self.package.RowReader(self.package.RecordKeys(names), codecs)

    def _reader_for(self, description: Any) -> Any:
        package = self.package
        codecs: list[Any] = []
        for column in description.columns:
            codec = self.types.codec(column.type)
            # As the adapter: an unknown type is an error of the caller's.
            if codec is None:
                raise LocalProtocolError(f"no codec for the type with OID {column.type}")
            codecs.append(codec if column.format else package.TextCodec("text"))
        return self._reader(codecs)


def _raise(data: bytes) -> object:
    raise ValueError(f"{len(data)} bytes are not wanted")


# What is sent, by name.
SENT: dict[str, Callable[[Client], Sequence[Any]]] = {
    "startup": lambda client: [client.package.StartupMessage({"user": "u"})],
    "startup 3.2": lambda client: [client.package.StartupMessage({"user": "u"}, (3, 2))],
    "ssl": lambda client: [client.package.SSLRequest()],
    "gss encryption": lambda client: [client.package.GSSENCRequest()],
    "cancel": lambda client: [client.package.CancelRequest(7, b"abcd")],
    "password": lambda client: [client.package.PasswordMessage(b"secret")],
    "sasl": lambda client: [client.package.SASLInitialResponse("SCRAM-SHA-256", b"n,,n=,r=a")],
    "sasl response": lambda client: [client.package.SASLResponse(b"c=biws")],
    "terminate": lambda client: [client.package.Terminate()],
    "query": lambda client: [client.package.Query("", client.reader("described"))],
    "text query": lambda client: [client.package.Query("", client.reader("text rows"))],
    "copy chunks": lambda client: [client.package.Query("", client.reader("copy chunks"))],
    "copy rows": lambda client: [client.package.Query("", client.reader("copy rows"))],
    "dropping query": lambda client: [client.package.Query("")],
    "prepare": lambda client: [
        client.package.Parse("s", "", [23]),
        client.package.Describe("S", "s"),
        client.package.Sync(),
    ],
    "portal": lambda client: [
        client.package.Bind("p", "s"),
        client.package.Describe("P", "p"),
        client.package.Execute("p", 2, client.reader("described")),
    ],
    "execute": lambda client: [client.package.Execute("p", 0, client.reader("int4"))],
    "dropping execute": lambda client: [client.package.Execute("p")],
    "close": lambda client: [client.package.Close("P", "p")],
    "flush": lambda client: [client.package.Flush()],
    "sync": lambda client: [client.package.Sync()],
    "function call": lambda client: [client.package.FunctionCall(1, [b"a", None])],
    "copy data": lambda client: [client.package.CopyData(b"1\n")],
    "copy done": lambda client: [client.package.CopyDone()],
    "copy fail": lambda client: [client.package.CopyFail("no")],
    "three": lambda client: [client.query("int4", count=3)],
    "three without sync": lambda client: [client.query("int4", count=3, sync=False)],
    "drop": lambda client: [client.query("none")],
    "raising": lambda client: [client.query("raising")],
}


def _sending(reader: str) -> Callable[[Client], Sequence[Any]]:
    return lambda client: [client.query(reader)]


for _name in COLUMNS:
    SENT[_name] = _sending(_name)
    SENT[f"columns of {_name}"] = _sending(f"columns of {_name}")

Step = str | bytes  # sent, by its name; or said by the server


@dataclass(frozen=True)
class Outcome:
    """What a codec made of a conversation, in a form that can be compared."""

    steps: list[str]
    copied: list[str]
    state: str
    copying: bool
    trailing_data: bytes
    end: str


def converse(
    client: Client,
    steps: Iterable[Step],
    cut: Callable[[bytes], list[bytes]] = lambda data: [data],
) -> Outcome:
    """Go through the steps; other exceptions than the two are let out.

    What the server says is received in the pieces that ``cut`` makes of it.
    """
    codec = client.codec
    shown: list[str] = []
    copied: list[str] = []
    for step in steps:
        if isinstance(step, str):
            try:
                shown.append(codec.send(*SENT[step](client)).hex())
            except LocalProtocolError as exc:
                shown.append(f"{type(exc).__name__}: {exc}")
            continue
        events: list[Any] = []
        fault = ""
        for piece in cut(step) or [b""]:
            try:
                events += codec.receive_data(piece)
            except RemoteProtocolError as exc:
                events += exc.events
                fault = f" {type(exc).__name__}: {exc}"
                break
            except LocalProtocolError as exc:  # it is closed
                fault = f" {exc}"
        # Of progress there is more the more pieces there are.
        told = [show(event) for event in events if type(event).__name__ != "CopyProgress"]
        copied += [f"{copy.take_copy()!r} {type(copy.error).__name__}" for copy in client.copies]
        shown.append(" ".join(told) + fault)
    before = codec.state.name, codec.copying, codec.trailing_data
    try:
        end = repr(codec.receive_eof())
    except RemoteProtocolError as exc:
        end = f"{type(exc).__name__}: {exc}"
    return Outcome(shown, copied, *before, end)


def show(event: Any) -> str:
    """Return an event as text, the same of all builds; of what a decoder raised only the type."""
    return _show(event).replace("wirekit_sources.", "wirekit.")


def _show(event: Any) -> str:
    if type(event).__name__ in ("CommandComplete", "PortalSuspended"):
        tag = getattr(event, "tag", "")
        rows = [_show_row(row) for row in event.rows]
        return f"{type(event).__name__}({tag!r}, {rows}, {type(event.error).__name__})"
    return repr(event)


def _show_row(row: Any) -> str:
    if not hasattr(row, "validity"):
        return repr(row)
    return repr((row.kind, row.count, row.validity, row.values, row.offsets, row.objects))
