"""The attempts to push events: when each was made, how long it took, and what the receiver answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from storage.transaction import Transaction, Value

MOST_KEPT = 20_000
"""So many attempts are kept, of all receivers together."""

Kind: TypeAlias = Literal["in_turn", "again", "test"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to push the event at `cursor` (None: a test). `attempt`: which one of this event it is, from 1. `at`:
    when it began, in Unix milliseconds. `status`: of HTTP, None without an answer; `error` None: it arrived."""

    kind: Kind
    cursor: int | None
    attempt: int
    at: int
    duration_ms: int
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class KeptAttempt:
    """An attempt as it is kept. `type`, `shop` and `order` are the event's, None where it is not kept any more."""

    id: int
    made: Attempt
    type: str | None
    shop: str | None
    order: str | None


def note_attempts(tx: Transaction, name: str, attempts: Sequence[Attempt]) -> list[int]:
    """Keeps attempts to push to a receiver, and as many fewer old ones; returns their ids."""
    if not attempts:
        return []
    ids = tx.insert_many(
        "INSERT INTO push_attempts (name, kind, cursor, attempt, at, duration_ms, status, error)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (name, each.kind, each.cursor, each.attempt, each.at, each.duration_ms, each.status, each.error)
            for each in attempts
        ],
    )
    tx.execute("DELETE FROM push_attempts WHERE id <= ?", (max(ids) - MOST_KEPT,))
    return ids


def list_attempts(
    tx: Transaction,
    name: str,
    limit: int,
    *,
    before_id: int | None = None,
    cursor: int | None = None,
    only_failed: bool = False,
) -> list[KeptAttempt]:
    """The newest attempts to push to a receiver, newest first: of one event, and only failed ones, if that is wanted.
    `before_id`: those that were kept before this one."""
    where, values = ["a.name = ?"], list[Value]([name])
    for condition, value in (("a.id < ?", before_id), ("a.cursor = ?", cursor)):
        if value is not None:
            where.append(condition)
            values.append(value)
    if only_failed:
        where.append("a.error IS NOT NULL")
    rows = tx.query(
        "SELECT a.id, a.kind, a.cursor, a.attempt, a.at, a.duration_ms, a.status, a.error, e.type, e.shop, e.order_id"  # noqa: S608
        " FROM push_attempts a LEFT JOIN events e ON e.cursor = a.cursor"
        f" WHERE {' AND '.join(where)} ORDER BY a.id DESC LIMIT ?",
        [*values, limit],
    )
    return [KeptAttempt(row[0], Attempt(*row[1:8]), *row[8:]) for row in rows]


def last_attempt(tx: Transaction, name: str, cursor: int) -> int:
    """How often an event was tried, as far as that is kept."""
    found = list_attempts(tx, name, 1, cursor=cursor)
    return found[0].made.attempt if found else 0
