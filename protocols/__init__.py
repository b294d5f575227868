"""Sans-I/O wire codecs: bytes in, events out; no I/O, no clock, no randomness.

Every module here has the same shape: a ``Codec`` with ``receive_data``, ``receive_eof``, ``send``,
``send_buffers``, ``state`` and ``trailing_data``; names are those of the protocol's specification.
A peer's bytes can cause exactly one kind of exception, `wirekit.RemoteProtocolError`.
"""
