"""Portable statements and values as PostgreSQL takes them."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """A statement with its places numbered. A question mark never stands in a text of ours."""
    parts = sql.split("?")
    return "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]


@lru_cache(maxsize=256)
def table_of(sql: str) -> str:
    """The table that a statement changes."""
    found = re.match(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", sql)
    assert found is not None, sql
    return found[1]
