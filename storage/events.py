"""The feed: events with commit-ordered cursors, consumers that remember theirs."""

from __future__ import annotations

from dataclasses import dataclass

from storage.records import Event, Json
from storage.text import dump_json, load_json
from storage.transaction import Published, Row, Transaction, Value

_COLUMNS = "cursor, at, type, shop, order_id, target, data"

_INSERT = "INSERT INTO events (at, type, shop, order_id, target, data) VALUES (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a reader of the feed wants; None means all."""

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
    """Adds an event and tells listeners of it after the commit; answers its cursor."""
    text = "{}" if data is None else dump_json(data)
    cursor = tx.insert(_INSERT, (at, type, shop, order, target, text))
    tx.published.append(Published(cursor, shop, order, target, type))
    return cursor


def append_events(
    tx: Transaction, at: int, shop: str, order: str, events: list[tuple[str, str | None, dict[str, Json] | None]]
) -> None:
    """Adds several events (type, target, data) of one order in one statement; their cursors follow each other."""
    values: list[Value] = []
    for type_, target, data in events:
        values += (at, type_, shop, order, target, "{}" if data is None else dump_json(data))
    last = tx.insert(_INSERT + ", (?, ?, ?, ?, ?, ?)" * (len(events) - 1), values)
    first = last - len(events) + 1
    tx.published += [Published(first + index, shop, order, event[1], event[0]) for index, event in enumerate(events)]


def list_events(tx: Transaction, after: int, limit: int, wanted: EventFilter = EventFilter()) -> list[Event]:
    """Events above `after`, oldest first."""
    where = ["cursor > ?"]
    values: list[Value] = [after]
    if wanted.shop is not None:
        # the plus keeps SQLite on the cursor: by the index of orders it would read and sort a shop's whole feed
        where.append("shop = ?" if wanted.order is not None else "+shop = ?")
        values.append(wanted.shop)
    if wanted.order is not None:
        where.append("order_id = ?")
        values.append(wanted.order)
    if wanted.types:
        where.append(f"type IN ({', '.join('?' * len(wanted.types))})")
        values.extend(wanted.types)
    sql = f"SELECT {_COLUMNS} FROM events WHERE {' AND '.join(where)} ORDER BY cursor LIMIT ?"  # noqa: S608
    return [_event(row) for row in tx.query(sql, [*values, limit])]


def last_cursor(tx: Transaction) -> int:
    """The newest cursor that the feed has come to, whether its event is still kept or not; 0 in a new feed."""
    kept, forgotten = tx.query("SELECT (SELECT max(cursor) FROM events), forgotten FROM store_identity")[0]
    newest: int = max(kept or 0, forgotten)
    return newest


def consumer_cursor(tx: Transaction, name: str) -> int:
    """Up to where a consumer has acknowledged, 0 if it never has."""
    rows = tx.query("SELECT cursor FROM consumers WHERE name = ?", (name,))
    return rows[0][0] if rows else 0


def acknowledge(tx: Transaction, name: str, cursor: int, now_ms: int) -> int:
    """Moves a consumer's cursor forward, never back; answers where it is."""
    tx.execute(
        "INSERT INTO consumers (name, cursor, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET cursor = excluded.cursor, updated_at = excluded.updated_at WHERE excluded.cursor > consumers.cursor",
        (name, cursor, now_ms),
    )
    return consumer_cursor(tx, name)


def seek_consumer(tx: Transaction, name: str, cursor: int) -> bool:
    """Puts a consumer's cursor where it is wanted, also back; answers whether there is such a consumer."""
    return tx.execute("UPDATE consumers SET cursor = ? WHERE name = ?", (cursor, name)) > 0


def forget_consumer(tx: Transaction, name: str) -> int | None:
    """Forgets a consumer; answers where it was, None if there is no such consumer."""
    rows = tx.query("SELECT cursor FROM consumers WHERE name = ?", (name,))
    tx.execute("DELETE FROM consumers WHERE name = ?", (name,))
    return rows[0][0] if rows else None


def list_consumers(tx: Transaction) -> list[tuple[str, int, int]]:
    """Every consumer: name, cursor, when it last acknowledged. A name that begins with a dot is the daemon's own."""
    found = tx.query("SELECT name, cursor, updated_at FROM consumers WHERE name NOT LIKE '.%' ORDER BY name")
    return [(r[0], r[1], r[2]) for r in found]


def _event(row: Row) -> Event:
    cursor, at, type_, shop, order, target, data = row
    return Event(cursor, at, type_, shop, order, target, load_json(data))
