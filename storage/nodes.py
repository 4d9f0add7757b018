"""Nodes: the daemons that share a store, each a row that it writes anew while it lives. Instants are the database's.

Where only one process can have the store open (SQLite) there are none. A command that moves the store is a node, too:
no daemon joins while it lives, and it does not begin while a daemon lives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from storage.errors import StoreError
from storage.gone_nodes import note_gone
from storage.leases import LONGEST_TERM_MS, give_up_shops
from storage.migrations import newest_schema, refuse_newer
from storage.records import Json
from storage.text import dump_json, load_json
from storage.transaction import Row, Transaction


class StoreInUse(StoreError):
    """Others work on the store that a command wants for itself. `is_by_movers`: only such commands do."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        names = ", ".join(node.name for node in nodes)
        remedy = "stop every daemon on it first; one that was killed counts for storage.lease_seconds more"
        super().__init__(f"the store is in use by {names}: {remedy}")
        self.is_by_movers = all(node.is_mover for node in nodes)


class StoreMoving(StoreError):
    """A command moves the store: no daemon may work on it."""

    def __init__(self, mover: str) -> None:
        super().__init__(
            f"`fulfilld migrate-store` ({mover}) moves this store; start the daemon on the new one once it has ended"
        )


_SILENT: Final = 0.4
"""The part of its term that a node that lives is never silent for: from one heartbeat to the next, and some time for it
to be written."""

_OF_GONE: Final = "name, version, seen_at, facts, is_mover"
_SAID: Final = ("seen_at", "expires_at", "is_draining", "shops", "facts", "duties")


@dataclass(frozen=True, slots=True)
class Presence:
    """What a daemon says of itself: the shops of its config, what it knows of those that it works for, and the duties
    that it takes its share of."""

    version: str
    shops: Sequence[str] = ()
    is_draining: bool = False
    facts: Mapping[str, Json] = field(default_factory=dict)
    duties: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A daemon that lives, or a command that moves the store. Instants in Unix milliseconds. `silent_ms`: how long ago
    it last said so; `term_ms`: how long it may be silent before it counts as dead."""

    name: str
    version: str
    started_at: int
    seen_at: int
    is_draining: bool
    is_mover: bool
    shops: frozenset[str]
    facts: Mapping[str, Json]
    duties: frozenset[str] = frozenset()
    silent_ms: int = field(default=0, compare=False)
    term_ms: int = field(default=0, compare=False)

    @property
    def is_silent(self) -> bool:
        """Whether it has missed a heartbeat, of which there are three in a term."""
        return self.silent_ms > self.term_ms * _SILENT


def join(tx: Transaction, name: str, presence: Presence, term_ms: int, *, is_mover: bool = False) -> None:
    """A node is there from now on, for `term_ms` unless it says so again. Raises StoreMoving, for a mover StoreInUse,
    and NewerStore where a newer node has taken away what this program needs."""
    tx.execute("UPDATE store_identity SET forgotten = forgotten")  # one at a time may join, or contract the schema
    refuse_newer(tx)
    others = [each for each in live_nodes(tx) if each.name != name]
    if is_mover and others:
        raise StoreInUse(others)
    for each in others:
        if each.is_mover:
            raise StoreMoving(each.name)
    now = tx.dialect.now_ms
    tx.execute(
        "INSERT INTO nodes (name, version, schema_version, started_at, seen_at, expires_at, is_draining, is_mover,"  # noqa: S608
        f" shops, facts, duties) VALUES (?, ?, ?, {now}, {now}, {now} + ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET" + ", ".join(f" {each} = excluded.{each}" for each in _SAID),
        (
            name,
            presence.version,
            newest_schema(),
            term_ms,
            int(presence.is_draining),
            int(is_mover),
            dump_json(sorted(presence.shops)),
            dump_json(dict(presence.facts)),
            dump_json(sorted(presence.duties)),
        ),
    )


def beat(tx: Transaction, name: str, presence: Presence, term_ms: int) -> list[str]:
    """A daemon that joined lives, for `term_ms` unless it says so again, and rows of dead ones go; answers their names.
    One that was taken for dead meanwhile joins anew. Whose row a clock wrote that has been set back since counts for
    one term more. Raises StoreMoving, NewerStore."""
    now = tx.dialect.now_ms
    tx.execute(
        f"UPDATE nodes SET expires_at = {now} + ? WHERE name IN"  # noqa: S608
        f" (SELECT name FROM nodes WHERE expires_at > {now} + ? ORDER BY name{tx.dialect.row_take})",
        (term_ms, LONGEST_TERM_MS),
    )
    known = tx.execute(
        f"UPDATE nodes SET seen_at = {now}, expires_at = {now} + ?, is_draining = ?, shops = ?, facts = ?, duties = ?"  # noqa: S608
        f" WHERE name = ? AND expires_at > {now}",
        (
            term_ms,
            int(presence.is_draining),
            dump_json(sorted(presence.shops)),
            dump_json(dict(presence.facts)),
            dump_json(sorted(presence.duties)),
            name,
        ),
    )
    if not known:
        join(tx, name, presence, term_ms)
    dead = tx.query(
        "DELETE FROM nodes WHERE name IN"  # noqa: S608
        f" (SELECT name FROM nodes WHERE expires_at <= {now} ORDER BY name{tx.dialect.row_take})"
        f" RETURNING {_OF_GONE}"
    )
    return _note_gone(tx, dead, is_lost=True)


def leave(tx: Transaction, name: str) -> None:
    """The node is gone, and works for no shop any more."""
    give_up_shops(tx, name)
    left = tx.query(f"DELETE FROM nodes WHERE name = ? RETURNING {_OF_GONE}", (name,))  # noqa: S608
    _note_gone(tx, left, is_lost=False)


def _note_gone(tx: Transaction, rows: Sequence[Row], *, is_lost: bool) -> list[str]:
    """Keeps that the daemons of these rows are gone; answers their names."""
    daemons = sorted(
        (name, version, seen_at, facts) for name, version, seen_at, facts, is_mover in rows if not is_mover
    )
    for name, version, seen_at, facts in daemons:
        try:
            shops = list(load_json(facts))
        except (TypeError, ValueError):  # as in `_node`
            shops = []
        note_gone(tx, name, version, seen_at, shops, is_lost=is_lost)
    return [name for name, *_ in daemons]


def live_nodes(tx: Transaction) -> list[Node]:
    """Every node that lives, by name."""
    rows = tx.query(
        f"SELECT {tx.dialect.now_ms} - seen_at, expires_at - seen_at, name, version, started_at, seen_at, is_draining,"  # noqa: S608
        f" is_mover, shops, facts, duties FROM nodes WHERE {_lives(tx)} ORDER BY name"
    )
    return [_node(row) for row in rows]


def is_configured(tx: Transaction, shop: str) -> bool:
    """Whether the config of any node that lives has this shop."""
    return any(shop in node.shops for node in live_nodes(tx))


def _node(row: Row) -> Node:
    silent_ms, term_ms, name, version, started_at, seen_at, is_draining, is_mover, *said = row
    try:
        shops, facts, duties = map(load_json, said)
        read = frozenset(shops), dict(facts), frozenset(duties)
    except (TypeError, ValueError):  # it lives, but what it says is another version's, or damaged
        read = frozenset(), {}, frozenset()
    return Node(name, version, started_at, seen_at, bool(is_draining), bool(is_mover), *read, silent_ms, term_ms)


def live_names(tx: Transaction) -> list[str]:
    """The nodes that live, by name. Whoever is to migrate the store may ask: it reads what every version has."""
    sql = f"SELECT name FROM nodes WHERE {_lives(tx)} ORDER BY name"  # noqa: S608
    return [name for (name,) in tx.query(sql)]


def older_nodes(tx: Transaction, least: int) -> list[str]:
    """The nodes that live, or may live, and do not know this version of the schema, by name."""
    sql = f"SELECT name FROM nodes WHERE expires_at > {tx.dialect.now_ms} AND schema_version < ? ORDER BY name"  # noqa: S608
    return [name for (name,) in tx.query(sql, (least,))]


def _lives(tx: Transaction) -> str:
    """A node whose row ends later than any may wrote it by a clock that has been set back since: it writes it anew
    soon, if it lives."""
    now = tx.dialect.now_ms
    return f"expires_at > {now} AND expires_at <= {now} + {LONGEST_TERM_MS}"
