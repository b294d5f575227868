"""What `fetch_columns` makes of the columns; test_columns.py has the formats on real servers."""

from __future__ import annotations

import importlib
import sys

import pytest

from wirekit.adapters.postgres import Columns, UnsupportedClientFeatureError
from wirekit.adapters.postgres._column_formats import COLUMN_FORMATS


def test_columns_are_a_mapping_in_order() -> None:
    columns = Columns(["b", "a"], [[1, 2], [3, 4]], 2)
    assert len(columns) == 2
    assert list(columns) == list(columns.keys()) == ["b", "a"]
    assert columns["a"] == columns[1] == [3, 4]
    assert list(columns.values()) == [[1, 2], [3, 4]]
    assert dict(columns.items()) == {"b": [1, 2], "a": [3, 4]}
    assert "a" in columns
    assert "c" not in columns
    with pytest.raises(KeyError):
        columns["c"]


def test_of_columns_of_one_name_the_last_is_found() -> None:
    assert Columns(["a", "a"], [[1], [2]], 1)["a"] == [2]


@pytest.mark.parametrize(("column_format", "package"), [("numpy", "numpy"), ("arrow", "pyarrow")])
def test_a_missing_package_is_named(
    column_format: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module(package)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnsupportedClientFeatureError, match=package):
        COLUMN_FORMATS[column_format]()
