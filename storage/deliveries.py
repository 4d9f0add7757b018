"""What is kept of the pushes to the ERP: pause, last error, and the events that are parked (0002_push.sql).

How far a receiver has got the feed is a consumer's cursor, named `delivery:NAME`: no consumer of the API can have
such a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.events import COLUMNS, consumer_cursor, list_consumers, show_event
from storage.records import Event
from storage.rows import Columns
from storage.transaction import Transaction

_FAR_MS = 2**62

MOST_COUNTED = 100_000
"""The lag is counted up to here: a status dump must not walk through millions of events."""


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What is kept of one receiver, beside its cursor. Instants are Unix milliseconds."""

    paused_at: int | None = None
    last_error: str | None = None
    last_error_at: int | None = None
    delivered_at: int | None = None


_STATE = Columns(DeliveryState)


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that waits for its next attempt, apart from the cursor."""

    event: Event
    ordering_key: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Head:
    """An ordering key (column `lane`) of which something is parked. `due_at`: when its first event is tried again, in
    Unix milliseconds."""

    ordering_key: str
    due_at: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a receiver is behind: `events` that it has to get, the oldest of them from `since`."""

    events: int
    since: int | None


def consumer_of(name: str) -> str:
    """The name of a receiver's cursor."""
    return f"delivery:{name}"


def delivery_state(tx: Transaction, name: str) -> DeliveryState:
    """What is kept of a receiver."""
    rows = tx.query(f"SELECT {_STATE.sql} FROM deliveries WHERE name = ?", (name,))  # noqa: S608
    return _STATE.read(rows[0]) if rows else DeliveryState()


def pause_delivery(tx: Transaction, name: str, paused_at: int | None) -> bool:
    """Pauses a receiver, or resumes it with None; False when it was so already."""
    if (delivery_state(tx, name).paused_at is None) == (paused_at is None):
        return False
    tx.execute(
        "INSERT INTO deliveries (name, paused_at) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at",
        (name, paused_at),
    )
    return True


def note_delivered(tx: Transaction, name: str, now_ms: int, error: str | None) -> None:
    """The receiver took something; `error` is what it refused beside that. Without one the last error stands for as
    long as something is parked."""
    if error is None and tx.query("SELECT 1 FROM parked WHERE name = ? LIMIT 1", (name,)):
        error = delivery_state(tx, name).last_error
    tx.execute(
        "INSERT INTO deliveries (name, last_error, last_error_at, delivered_at) VALUES (?, ?, ?, ?) ON CONFLICT (name)"
        " DO UPDATE SET last_error = excluded.last_error, last_error_at = excluded.last_error_at,"
        " delivered_at = excluded.delivered_at",
        (name, error, None if error is None else now_ms, now_ms),
    )


def note_error(tx: Transaction, name: str, now_ms: int, error: str) -> None:
    """The receiver took nothing."""
    tx.execute(
        "INSERT INTO deliveries (name, last_error, last_error_at) VALUES (?, ?, ?) ON CONFLICT (name)"
        " DO UPDATE SET last_error = excluded.last_error, last_error_at = excluded.last_error_at",
        (name, error, now_ms),
    )


def park(tx: Transaction, name: str, cursor: int, ordering_key: str, attempts: int, due_at: int) -> None:
    """Puts an event aside, or counts a further attempt of one that is. One that retention took while it was on its
    way is not parked: it would block its ordering key for good."""
    tx.execute(
        "INSERT INTO parked (name, cursor, lane, attempts, due_at) SELECT ?, ?, ?, ?, ?"
        " WHERE EXISTS (SELECT 1 FROM events WHERE cursor = ?) ON CONFLICT (name, cursor)"
        " DO UPDATE SET attempts = excluded.attempts, due_at = excluded.due_at",
        (name, cursor, ordering_key, attempts, due_at, cursor),
    )


def unpark(tx: Transaction, name: str, cursor: int) -> None:
    """Deletes a parked event: it is delivered."""
    tx.execute("DELETE FROM parked WHERE name = ? AND cursor = ?", (name, cursor))


def hurry_parked(tx: Transaction, name: str, now_ms: int) -> None:
    """Every parked event is due now: the receiver works again or was resumed."""
    tx.execute("UPDATE parked SET due_at = ? WHERE name = ? AND due_at > ?", (now_ms, name, now_ms))


def replay(tx: Transaction, name: str, cursor: int) -> None:
    """Sets a receiver's cursor back; one that has not come so far stays where it is. What is parked above comes again
    by the cursor, behind what comes before it."""
    rewind = "UPDATE consumers SET cursor = ? WHERE name = ? AND cursor > ?"
    if tx.execute(rewind, (cursor, consumer_of(name), cursor)):
        tx.execute("DELETE FROM parked WHERE name = ? AND cursor > ?", (name, cursor))


def hurry_key(tx: Transaction, name: str, ordering_key: str, now_ms: int) -> None:
    """Every parked event of an ordering key is due now: a person wants it tried."""
    sql = "UPDATE parked SET due_at = ? WHERE name = ? AND lane = ? AND due_at > ?"
    tx.execute(sql, (now_ms, name, ordering_key, now_ms))


def is_parked(tx: Transaction, name: str, cursor: int) -> bool:
    """Whether an event waits for its next attempt."""
    return bool(tx.query("SELECT 1 FROM parked WHERE name = ? AND cursor = ?", (name, cursor)))


def count_parked(tx: Transaction, name: str) -> int:
    """How many events wait for their next attempt, counted up to MOST_COUNTED."""
    waiting = "SELECT 1 FROM parked WHERE name = ? LIMIT ?"
    count: int = tx.query(f"SELECT count(*) FROM ({waiting}) AS counted", (name, MOST_COUNTED))[0][0]  # noqa: S608
    return count


def parked_heads(tx: Transaction, name: str, limit: int, latest_ms: int = _FAR_MS) -> list[Head]:
    """The ordering keys of which something is parked, soonest due first. A key that is due later than `latest_ms`,
    which no wait leads to, was put off by a clock that was ahead: it is due (0). Goes from key to key by the index and
    not through the events behind the first ones, of which there may be very many."""
    sql = (
        "WITH RECURSIVE lanes (lane) AS (SELECT min(lane) FROM parked WHERE name = ? UNION ALL"
        " SELECT (SELECT min(p.lane) FROM parked p WHERE p.name = ? AND p.lane > lanes.lane) FROM lanes"
        " WHERE lanes.lane IS NOT NULL)"
        " SELECT lane, (SELECT CASE WHEN p.due_at > ? THEN 0 ELSE p.due_at END FROM parked p WHERE p.name = ?"
        " AND p.lane = lanes.lane ORDER BY p.cursor LIMIT 1) AS due_at"
        " FROM lanes WHERE lane IS NOT NULL ORDER BY due_at, lane LIMIT ?"
    )
    return [Head(key, due_at) for key, due_at in tx.query(sql, (name, name, latest_ms, name, limit))]


def list_parked(tx: Transaction, name: str, ordering_key: str, limit: int) -> list[Parked]:
    """The first parked events of an ordering key, in order."""
    sql = (
        f"SELECT {COLUMNS.of('e')}, p.attempts FROM parked p"  # noqa: S608
        " JOIN events e ON e.cursor = p.cursor WHERE p.name = ? AND p.lane = ? ORDER BY p.cursor LIMIT ?"
    )
    return [Parked(show_event(row[:-1]), ordering_key, row[-1]) for row in tx.query(sql, (name, ordering_key, limit))]


def parked_keys(tx: Transaction, name: str, keys: Iterable[str]) -> set[str]:
    """Those of the ordering keys of which something is parked: their later events have to wait too."""
    sql = "SELECT 1 FROM parked WHERE name = ? AND lane = ? LIMIT 1"
    return {key for key in keys if tx.query(sql, (name, key))}


@dataclass(frozen=True, slots=True)
class ConsumerLag:
    """A consumer that pulls: up to where it acknowledged, when it last did (Unix milliseconds), and its lag."""

    name: str
    cursor: int
    last_seen_at: int
    lag: Lag


def consumer_lags(tx: Transaction) -> list[ConsumerLag]:
    """Every consumer that pulls, by name. What it does not ask for counts too: nobody knows which types it wants."""
    found = []
    for name, cursor, seen_at in list_consumers(tx):
        if name.startswith(consumer_of("")):
            continue
        ahead = "SELECT 1 FROM events WHERE cursor > ? LIMIT ?"
        count: int = tx.query(f"SELECT count(*) FROM ({ahead}) AS ahead", (cursor, MOST_COUNTED))[0][0]  # noqa: S608
        first = tx.query("SELECT at FROM events WHERE cursor > ? ORDER BY cursor LIMIT 1", (cursor,))
        found.append(ConsumerLag(name, cursor, seen_at, Lag(count, first[0][0] if first else None)))
    return found


def lag_of(tx: Transaction, name: str, types: Sequence[str]) -> Lag:
    """How far a receiver of these types is behind. What is parked beyond the cursor counts once."""
    marks = ", ".join("?" * len(types))
    cursor = consumer_cursor(tx, consumer_of(name))
    ahead = f"SELECT 1 FROM events WHERE cursor > ? AND type IN ({marks}) LIMIT ?"  # noqa: S608
    count: int = tx.query(f"SELECT count(*) FROM ({ahead}) AS ahead", (cursor, *types, MOST_COUNTED))[0][0]  # noqa: S608
    parked, oldest = tx.query(
        "SELECT count(*), min(e.at) FROM parked p JOIN events e ON e.cursor = p.cursor"
        " WHERE p.name = ? AND p.cursor <= ?",
        (name, cursor),
    )[0]
    first = tx.query(
        f"SELECT at FROM events WHERE cursor > ? AND type IN ({marks}) ORDER BY cursor LIMIT 1",  # noqa: S608
        (cursor, *types),
    )
    since = min((at for at in (oldest, first[0][0] if first else None) if at is not None), default=None)
    return Lag(count + parked, since)
