"""The feed: events with commit-ordered cursors, consumers that remember theirs.

A reader asks for what lies above the last cursor that it saw, so a cursor must not become visible after a higher one:
it would be passed over for good. On SQLite that is so because there is one writer, whose transactions follow each
other, and cursors are given inside them. A database with several writers gives a cursor when the row is inserted and
shows it when the transaction commits, which may be in another order; so there the engine claims the feed for a
transaction before anything is done in it, and has it until it ends (storage/postgres/session.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from storage.damage import salvaged
from storage.records import Event, Json
from storage.rows import Columns, DamagedRow
from storage.text import dump_json, load_object
from storage.transaction import Published, Row, Transaction, Value

COLUMNS = Columns(Event, named={"order": "order_id"}, readers={"data": load_object})
"""What a SELECT has to answer for an event."""

_INSERT = "INSERT INTO events (at, type, shop, order_id, target, data) VALUES (?, ?, ?, ?, ?, ?)"


EventRow: TypeAlias = tuple[int, str, str | None, str | None, str | None, str]
"""A new event, without its cursor: when, type, shop, order, target, data as JSON text."""

NewEvent: TypeAlias = tuple[str, str | None, Json]
"""An event about an order: type, target, data (members, None, or that as `event_text`)."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read; None means all."""

    shop: str | None = None
    order: str | None = None
    types: tuple[str, ...] = ()


def append_event(
    tx: Transaction,
    at: int,
    type: str,  # noqa: A002 - the API's name
    *,
    shop: str | None = None,
    order: str | None = None,
    target: str | None = None,
    data: dict[str, Json] | None = None,
) -> int:
    """Adds an event, which is published to listeners after the commit; returns its cursor."""
    cursor = tx.insert(_INSERT, (at, type, shop, order, target, event_text(data)))
    tx.published.append(Published(cursor, shop, order, target, type))
    return cursor


def append_events(tx: Transaction, at: int, shop: str, order: str, events: Sequence[NewEvent]) -> None:
    """Adds several events (type, target, data) of one order in one statement; their cursors follow each other."""
    append_rows(tx, event_rows(at, shop, order, events))


def event_rows(at: int, shop: str, order: str, events: Sequence[NewEvent]) -> tuple[EventRow, ...]:
    """Events (type, target, data) of one order, for `append_rows`."""
    return tuple((at, type_, shop, order, target, event_text(data)) for type_, target, data in events)


def append_rows(tx: Transaction, rows: Sequence[EventRow]) -> None:
    """Adds events of whatever orders; their cursors are in the sequence of the rows."""
    if not rows:
        return
    cursors = tx.insert_many(_INSERT, rows)
    tx.published += [
        Published(cursor, shop, order, target, type_)
        for cursor, (_, type_, shop, order, target, _) in zip(cursors, rows, strict=True)
    ]


def event_text(data: Json) -> str:
    """The data of an event as JSON text."""
    if isinstance(data, str):
        return data
    if data is None:
        return "{}"
    names = tuple(data)
    return _step_text(names, *data.values()) if names in _OF_STEPS else dump_json(data)


_OF_STEPS = frozenset(
    {("step", "from", "to", "how"), ("step", "from", "to", "attempt"), ("state", "milestone", "order_state")}
)


@lru_cache(maxsize=4096, typed=True)  # typed: 1 is not true
def _step_text(names: tuple[str, ...], *values: str | int | None) -> str:
    """The data of the events that every step and every target has: there are few texts of them."""
    return dump_json(dict(zip(names, values, strict=True)))


def show_event(row: Row) -> Event:
    """The event of a row of COLUMNS; one whose data is damaged has none, and the log says so: it must not hold up the
    feed."""
    try:
        return COLUMNS.read(row)
    except DamagedRow:
        cursor, _, _, shop, order, *_ = row
        return salvaged(COLUMNS, row, "event.damaged", {"data": {}}, cursor=cursor, shop=shop, order=order)[0]


def list_events(tx: Transaction, after: int, limit: int, wanted: EventFilter = EventFilter()) -> list[Event]:
    """Events above `after`, oldest first."""
    return [show_event(row) for row in list_rows(tx, after, limit, wanted)]


def list_rows(tx: Transaction, after: int, limit: int, wanted: EventFilter = EventFilter()) -> list[Row]:
    """As `list_events`, as rows of COLUMNS."""
    where, values = _wanted(tx, wanted)
    sql = f"SELECT {COLUMNS.sql} FROM events WHERE {' AND '.join(['cursor > ?', *where])} ORDER BY cursor LIMIT ?"  # noqa: S608
    return tx.query(sql, [after, *values, limit])


def published_above(tx: Transaction, after: int, limit: int) -> list[Published]:
    """Events above `after`, oldest first, without what they say: to wake whoever waits for them."""
    sql = "SELECT cursor, shop, order_id, target, type FROM events WHERE cursor > ? ORDER BY cursor LIMIT ?"
    return [Published(*row) for row in tx.query(sql, (after, limit))]


def cursor_before_newest(tx: Transaction, count: int, wanted: EventFilter = EventFilter()) -> int:
    """The cursor above which the `count` newest events of a filter are, 0 where there are fewer. Walks back over what
    lies between, as a reader of the whole feed would walk forward."""
    if count == 0:
        return last_cursor(tx)
    where, values = _wanted(tx, wanted)
    sql = (
        f"SELECT cursor FROM events WHERE {' AND '.join(['cursor > ?', *where])} ORDER BY cursor DESC LIMIT 1 OFFSET ?"  # noqa: S608
    )
    rows = tx.query(sql, [0, *values, count - 1])
    return rows[0][0] - 1 if rows else 0


def cursor_before(tx: Transaction, at: int) -> int:
    """The cursor of the newest event from before an instant, 0 if none is kept: what is above it is from then on. Walks
    back over just that; times have no index."""
    rows = tx.query("SELECT cursor FROM events WHERE at < ? ORDER BY cursor DESC LIMIT 1", (at,))
    return rows[0][0] if rows else 0


def _wanted(tx: Transaction, wanted: EventFilter) -> tuple[list[str], list[Value]]:
    """The conditions of a filter with their values."""
    where: list[str] = []
    values: list[Value] = []
    if wanted.shop is not None:
        # by the index of orders a shop's whole feed would be read and sorted; the cursor leads there in order
        column = "shop" if wanted.order is not None else tx.dialect.unindexed("shop")
        where.append(f"{column} = ?")
        values.append(wanted.shop)
    if wanted.order is not None:
        where.append("order_id = ?")
        values.append(wanted.order)
    if wanted.types:
        where.append(f"type IN ({', '.join('?' * len(wanted.types))})")
        values.extend(wanted.types)
    return where, values


def last_cursor(tx: Transaction) -> int:
    """The newest cursor that the feed has come to, whether its event is still kept or not; 0 in a new feed."""
    kept, forgotten = tx.query("SELECT (SELECT max(cursor) FROM events), forgotten FROM store_identity")[0]
    newest: int = max(kept or 0, forgotten)
    return newest


def consumer_cursor(tx: Transaction, name: str) -> int:
    """Up to where a consumer has acknowledged, 0 if it never has."""
    rows = tx.query("SELECT cursor FROM consumers WHERE name = ?", (name,))
    return rows[0][0] if rows else 0


def known_consumer(tx: Transaction, name: str) -> tuple[int, int | None]:
    """Up to where a consumer has acknowledged, and when it was last seen; 0 and None if it never has."""
    rows = tx.query("SELECT cursor, updated_at FROM consumers WHERE name = ?", (name,))
    return (rows[0][0], rows[0][1]) if rows else (0, None)


def acknowledge(tx: Transaction, name: str, cursor: int, now_ms: int) -> int:
    """Moves a consumer's cursor forward, never back; returns where it is. The consumer was seen, wherever it is."""
    tx.execute(
        "INSERT INTO consumers (name, cursor, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET cursor ="
        " CASE WHEN excluded.cursor > consumers.cursor THEN excluded.cursor ELSE consumers.cursor END,"
        " updated_at = excluded.updated_at",
        (name, cursor, now_ms),
    )
    return consumer_cursor(tx, name)


def note_seen(tx: Transaction, name: str, now_ms: int) -> None:
    """A consumer that is known reads events."""
    tx.execute("UPDATE consumers SET updated_at = ? WHERE name = ?", (now_ms, name))


def seek_consumer(tx: Transaction, name: str, cursor: int) -> bool:
    """Sets a consumer's cursor, also back; returns whether there is such a consumer."""
    return tx.execute("UPDATE consumers SET cursor = ? WHERE name = ?", (cursor, name)) > 0


def forget_consumer(tx: Transaction, name: str) -> int | None:
    """Forgets a consumer; returns where it was, None if there is no such consumer."""
    rows = tx.query("SELECT cursor FROM consumers WHERE name = ?", (name,))
    tx.execute("DELETE FROM consumers WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def list_consumers(tx: Transaction) -> list[tuple[str, int, int]]:
    """Every consumer: name, cursor, when it was last seen. A name that begins with a dot is the daemon's own."""
    found = tx.query("SELECT name, cursor, updated_at FROM consumers WHERE name NOT LIKE '.%' ORDER BY name")
    return [(r[0], r[1], r[2]) for r in found]
