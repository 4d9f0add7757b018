"""The one row that says how much time has really passed (0008_passage.sql); `process.passage` says what it means."""

from __future__ import annotations

from dataclasses import dataclass

from storage.rows import Columns
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Passage:
    """All in milliseconds. `wall_at`: what the clock showed; `boot` and `uptime_ms`: the machine's start, and the time
    since then; `ahead_ms`: how far the clock has jumped ahead of what passed; `seen_ms`: what passed under our eyes;
    `jumped_ms`: how much of it had, at the last jump."""

    wall_at: int
    boot: str | None
    uptime_ms: int
    ahead_ms: int
    seen_ms: int
    jumped_ms: int


_PASSAGE = Columns(Passage)


def get_passage(tx: Transaction) -> Passage | None:
    """What was written last; None in a store that no daemon with this has run on."""
    rows = tx.query(f"SELECT {_PASSAGE.sql} FROM passage WHERE id = 1")  # noqa: S608
    return _PASSAGE.read(rows[0]) if rows else None


def save_passage(tx: Transaction, passage: Passage) -> None:
    """Replaces it."""
    tx.execute(
        "INSERT INTO passage (id, wall_at, boot, uptime_ms, ahead_ms, seen_ms, jumped_ms) VALUES (1, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET wall_at = excluded.wall_at, boot = excluded.boot,"
        " uptime_ms = excluded.uptime_ms, ahead_ms = excluded.ahead_ms, seen_ms = excluded.seen_ms,"
        " jumped_ms = excluded.jumped_ms",
        (
            passage.wall_at,
            passage.boot,
            passage.uptime_ms,
            passage.ahead_ms,
            passage.seen_ms,
            passage.jumped_ms,
        ),
    )


def measured_now(tx: Transaction, now_ms: int) -> int:
    """The instant by which retention goes, which is not later than it really is and at most an hour old; `now_ms` in a
    store in which nobody has measured."""
    passage = get_passage(tx)
    return now_ms if passage is None else passage.wall_at - passage.ahead_ms


def newest_at(tx: Transaction) -> int | None:
    """The latest instant at which anything is known to have happened; None in an empty store."""
    events = tx.query("SELECT at FROM events ORDER BY cursor DESC LIMIT 1")
    shops = tx.query("SELECT max(last_sync_at) FROM shops")
    return max((row[0] for row in (*events, *shops) if row[0] is not None), default=None)
