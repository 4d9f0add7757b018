"""Moves a store that no daemon works on to another engine: every row, verified, and begun again where it was killed.

Rows go over in the order of their keys, so whoever begins again goes on behind the last key that arrived. Until all is
verified the new store says in its identity that it is not whole, and no daemon starts on it (`refuse_half`). Then the
old one becomes a copy, on which a daemon that is started by mistake drives nothing, and only then the new one is whole,
with the identity of the old one, so the feed goes on. Killed at any point, at most one of them drives.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from storage.identity import Identity, forgotten_of, mark_copy, read_identity, take_identity
from storage.movable import UNFINISHED, NotMoved, awaited, refuse_half
from storage.store import Store
from storage.text import storable
from storage.transaction import Row, Transaction

BATCH: Final = 200
"""So many rows are read and written at once."""

_NOT_MOVED: Final = {
    "schema_migrations",
    "store_identity",
    "writers",
    "requests",
    "nodes",
    "server",
    "kept_tokens",
    "duties",
    "sessions",
    "takeovers",
    "gone_nodes",
}


Guard: TypeAlias = Callable[[Transaction], None]
"""Raises where somebody else works on the store by now; in the transactions after which there is no way back."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns, and those of its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What of a table has arrived: `rows`, and the digest of them all."""

    table: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a move came to. `moved`: each table, none where all had arrived before. `here`, `there`: the rows of the old
    and of the new store, on which a daemon may have worked since."""

    moved: Sequence[Moved]
    here: int
    there: int


def unguarded(tx: Transaction) -> None:
    """The guard of a store that nobody else can have open."""


async def nothing() -> None:
    """For who has nothing to do once all has arrived."""


async def move(
    source: Store,
    target: Store,
    places: tuple[str, str],
    now_ms: int,
    on_table: Callable[[Moved], object],
    guards: tuple[Guard, Guard] = (unguarded, unguarded),
    on_arrival: Callable[[], Awaitable[object]] = nothing,
) -> Outcome:
    """Moves everything from one store to the other; nothing where it has arrived before. `places`: of both, as
    `Engine.place`. `on_table` is called with each table that has arrived, `on_arrival` once all have, before the old
    store is given up: if it raises, that one stays what it is. `guards`: of both. Raises NotMoved, StoreUnavailable,
    and what a guard or `on_arrival` raises."""
    guard_source, guard_target = guards
    found = await source.read(read_identity)
    refuse_half(found)
    tables = await source.read(_tables)
    _refuse_another_version(tables, await target.read(_tables))
    there = await target.write(lambda tx: _begun(tx, found))
    if there is None:
        return Outcome([], await source.read(_row_count), await target.read(_row_count))
    # one of this feed was verified before: it knows whether the old store was a copy before this marked it
    identity = replace(found, copied_at=there.copied_at) if there.feed == found.feed else found
    moved = []
    for table in tables:
        await _copy(source, target, table)
        moved.append(await _verified(source, target, table))
        on_table(moved[-1])
    forgotten = await source.read(forgotten_of)
    was_elsewhere = identity.place not in (None, places[0])
    place = identity.place if was_elsewhere else places[1]  # a copy that nobody has started is one there, too

    def verified(tx: Transaction) -> None:
        guard_target(tx)
        take_identity(tx, identity, UNFINISHED + identity.feed, forgotten)

    def give_up(tx: Transaction) -> None:
        guard_source(tx)
        mark_copy(tx, now_ms)

    def finish(tx: Transaction) -> None:
        take_identity(tx, identity, place, forgotten)
        for statement in tx.dialect.renumber:
            tx.execute(statement)

    await target.write(verified)
    await on_arrival()
    await source.write(give_up)
    await target.write(finish)
    rows = sum(table.rows for table in moved)
    return Outcome(moved, rows, rows)


def _refuse_another_version(old: Sequence[Table], new: Sequence[Table]) -> None:
    """Raises NotMoved where a store has what this program does not know, as a newer one leaves it."""
    known = {table.name: set(table.columns) for table in new}
    for table in old:
        if known.get(table.name) != set(table.columns):
            raise NotMoved(
                f"the table {table.name} is another one in the new store: a newer fulfilld has worked on the old one; "
                "move it with that"
            )


def _begun(tx: Transaction, source: Identity) -> Identity | None:
    """As `awaited`; an empty store is marked as half moved."""
    found = awaited(tx, source)
    if found is not None:
        tx.execute("UPDATE store_identity SET place = ?", (UNFINISHED + source.feed,))
    return found


def _row_count(tx: Transaction) -> int:
    return sum(tx.query(f"SELECT count(*) FROM {table.name}")[0][0] for table in _tables(tx))  # noqa: S608


def _tables(tx: Transaction) -> list[Table]:
    found: dict[str, tuple[list[str], dict[int, str]]] = {}
    for table, column, place in tx.query(tx.dialect.all_columns):
        columns, key = found.setdefault(table, ([], {}))
        columns.append(column)
        if place:
            key[place] = column
    return [
        Table(name, tuple(columns), tuple(key[place] for place in sorted(key)))
        for name, (columns, key) in sorted(found.items())
        if name not in _NOT_MOVED
    ]


async def _copy(source: Store, target: Store, table: Table) -> None:
    last = await target.read(lambda tx: _last_key(tx, table))
    async for rows in _batches(source, table, last):
        await target.write(lambda tx, rows=rows: _insert(tx, table, rows))  # type: ignore[misc]


async def _verified(source: Store, target: Store, table: Table) -> Moved:
    before, after = [await _summed(store, table) for store in (source, target)]
    if before != after:
        raise NotMoved(
            f"the table {table.name} did not arrive as it was ({before.rows:,} rows, {after.rows:,} arrived); empty "
            "the new store and move once more"
        )
    return after


async def _summed(store: Store, table: Table) -> Moved:
    digest, count = hashlib.blake2b(digest_size=16), 0
    async for rows in _batches(store, table, None):
        count += len(rows)
        for row in rows:
            digest.update(repr([storable(value) for value in row]).encode())
    return Moved(table.name, count, digest.hexdigest())


async def _batches(store: Store, table: Table, after: Row | None) -> AsyncIterator[list[Row]]:
    while rows := await store.read(lambda tx, after=after: _page(tx, table, after)):  # type: ignore[misc]
        yield rows
        after = _key_of(table, rows[-1])


def _page(tx: Transaction, table: Table, after: Row | None) -> list[Row]:
    key = ", ".join(table.key)
    where = "" if after is None else f" WHERE ({key}) > ({', '.join('?' * len(table.key))})"
    sql = f"SELECT {_named(table.columns)} FROM {table.name}{where} ORDER BY {key} LIMIT ?"  # noqa: S608
    return tx.query(sql, [*(after or ()), BATCH])


def _last_key(tx: Transaction, table: Table) -> Row | None:
    order = ", ".join(f"{column} DESC" for column in table.key)
    rows = tx.query(f"SELECT {_named(table.key)} FROM {table.name} ORDER BY {order} LIMIT 1")  # noqa: S608
    return rows[0] if rows else None


def _insert(tx: Transaction, table: Table, rows: Sequence[Row]) -> None:
    places = ", ".join([f"({', '.join('?' * len(table.columns))})"] * len(rows))
    sql = f"INSERT INTO {table.name} ({_named(table.columns)}) VALUES {places}"  # noqa: S608
    tx.execute(sql, [value for row in rows for value in row])


def _key_of(table: Table, row: Row) -> Row:
    return tuple(row[table.columns.index(column)] for column in table.key)


def _named(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
