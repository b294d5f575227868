"""What the codecs of this package share: the types of byte strings they take."""

from __future__ import annotations

__all__ = ["Buffer"]

Buffer = bytes | bytearray | memoryview
