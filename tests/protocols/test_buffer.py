from __future__ import annotations

import typing

import pytest

from wirekit.protocols import resp
from wirekit.protocols._buffer import Buffer


@pytest.mark.parametrize("kind", typing.get_args(Buffer))
def test_codecs_take_each_kind(kind: typing.Callable[[bytes], Buffer]) -> None:
    assert resp.Codec().receive_data(kind(b"+OK\r\n")) == [b"OK"]
