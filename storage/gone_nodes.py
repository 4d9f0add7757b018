"""Nodes that are gone: daemons that fell silent, or left, in the last hour (0034_takeovers.sql). Instants are the
database's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from storage.text import dump_json, load_json
from storage.transaction import Row, Transaction

KEPT_MS: Final = 3_600_000
"""For how long a node is remembered that is gone, in milliseconds."""

_MOST: Final = 100  # a daemon that dies again and again is another one each time


@dataclass(frozen=True, slots=True)
class GoneNode:
    """`is_lost`: its heartbeats ended, otherwise it left in order. `shops`: those that it worked for."""

    name: str
    version: str
    seen_at: int
    gone_at: int
    is_lost: bool
    shops: tuple[str, ...]


_COLUMNS: Final = "name, version, seen_at, gone_at, is_lost, shops"


def note_gone(tx: Transaction, name: str, version: str, seen_at: int, shops: Collection[str], *, is_lost: bool) -> None:
    """Keeps that a node is gone, and forgets those of long ago."""
    now = tx.dialect.now_ms
    tx.execute(
        f"INSERT INTO gone_nodes ({_COLUMNS}) VALUES (?, ?, ?, {now}, ?, ?) ON CONFLICT (name) DO UPDATE SET"  # noqa: S608
        " seen_at = excluded.seen_at, gone_at = excluded.gone_at, is_lost = excluded.is_lost, shops = excluded.shops",
        (name, version, seen_at, int(is_lost), dump_json(sorted(shops))),
    )
    tx.execute(
        "DELETE FROM gone_nodes WHERE name IN (SELECT name FROM gone_nodes"  # noqa: S608
        f" WHERE gone_at < {now} - ? OR name NOT IN (SELECT name FROM gone_nodes ORDER BY gone_at DESC, name LIMIT ?)"
        f" ORDER BY name{tx.dialect.row_take})",
        (KEPT_MS, _MOST),
    )


def gone_nodes(tx: Transaction) -> list[GoneNode]:
    """Those that are gone and have not come back, the last one first."""
    rows = tx.query(
        f"SELECT {_COLUMNS} FROM gone_nodes WHERE gone_at > {tx.dialect.now_ms} - ?"  # noqa: S608
        " AND name NOT IN (SELECT name FROM nodes) ORDER BY gone_at DESC, name",
        (KEPT_MS,),
    )
    return [_gone(row) for row in rows]


def _gone(row: Row) -> GoneNode:
    name, version, seen_at, gone_at, is_lost, shops = row
    try:
        named = tuple(map(str, load_json(shops)))
    except (TypeError, ValueError):  # damaged
        named = ()
    return GoneNode(name, version, seen_at, gone_at, bool(is_lost), named)
