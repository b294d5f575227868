"""asyncpg's name for the module of prepared statements."""

from __future__ import annotations

from wirekit.adapters.postgres import prepared_stmt
from wirekit.adapters.postgres._prepared import PreparedStatement


def test_the_module_has_the_name_of_asyncpgs() -> None:
    assert prepared_stmt.PreparedStatement is PreparedStatement
    assert prepared_stmt.__all__ == ["PreparedStatement"]
