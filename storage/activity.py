"""What was done over time, in numbers: a row for each shop and minute, and for each shop and hour.

A shop in which nothing happened has no row. The daemon as a whole (`WHOLE`) has one for each minute in which it ran, so
a minute without that row is one in which nobody counted. Rows are added to: two daemons, or two runs in one minute,
make one row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from storage.retention import Duty, deleter, finder
from storage.transaction import Transaction

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
WHOLE = ""
"""Stands for all shops together; no shop can have this name."""

_DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Activity:
    """What was done in a time. `calls`: of the platform, steps' included. `oldest_pending_ms`: the highest age of the
    oldest pending target that was measured in it."""

    steps_done: int = 0
    steps_failed: int = 0
    orders_imported: int = 0
    calls: int = 0
    oldest_pending_ms: int = 0

    def since(self, before: Activity, oldest_pending_ms: int) -> Activity:
        """What was done since there were these counts."""
        return Activity(
            self.steps_done - before.steps_done,
            self.steps_failed - before.steps_failed,
            self.orders_imported - before.orders_imported,
            self.calls - before.calls,
            oldest_pending_ms,
        )

    @classmethod
    def of_all(cls, shops: Collection[Activity]) -> Activity:
        """What several shops did together."""
        return cls(
            sum(each.steps_done for each in shops),
            sum(each.steps_failed for each in shops),
            sum(each.orders_imported for each in shops),
            sum(each.calls for each in shops),
            max((each.oldest_pending_ms for each in shops), default=0),
        )


@dataclass(frozen=True, slots=True)
class Point:
    """What was done in the minute or hour that begins at `at`, in Unix milliseconds."""

    at: int
    done: Activity


_ADD = (
    "INSERT INTO activity (span_ms, shop, at, steps_done, steps_failed, orders_imported, calls, oldest_pending_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (span_ms, shop, at) DO UPDATE SET"
    " steps_done = activity.steps_done + excluded.steps_done,"
    " steps_failed = activity.steps_failed + excluded.steps_failed,"
    " orders_imported = activity.orders_imported + excluded.orders_imported,"
    " calls = activity.calls + excluded.calls,"
    " oldest_pending_ms = CASE WHEN excluded.oldest_pending_ms > activity.oldest_pending_ms"
    " THEN excluded.oldest_pending_ms ELSE activity.oldest_pending_ms END"
)


def add_activity(tx: Transaction, at: int, done: Mapping[str, Activity]) -> None:
    """Adds what was done by shop to the minute and the hour of `at`; `done` has `WHOLE` too."""
    for shop, each in sorted(done.items()):
        for span_ms in (MINUTE_MS, HOUR_MS):
            counts = (each.steps_done, each.steps_failed, each.orders_imported, each.calls, each.oldest_pending_ms)
            tx.execute(_ADD, (span_ms, shop, at - at % span_ms, *counts))


def list_activity(tx: Transaction, span_ms: int, shop: str, since_ms: int, until_ms: int) -> list[Point]:
    """What was done in each minute or hour that began from `since_ms` on and before `until_ms` and in which a daemon
    ran, in their sequence: zeros where the shop did nothing."""
    columns = ("steps_done", "steps_failed", "orders_imported", "calls", "oldest_pending_ms")
    of_shop = ", ".join(f"coalesce(own.{column}, 0)" for column in columns)
    rows = tx.query(
        f"SELECT ran.at, {of_shop} FROM activity ran LEFT JOIN activity own"  # noqa: S608
        " ON own.span_ms = ran.span_ms AND own.shop = ? AND own.at = ran.at"
        " WHERE ran.span_ms = ? AND ran.shop = ? AND ran.at >= ? AND ran.at < ? ORDER BY ran.at",
        (shop, span_ms, WHOLE, since_ms, until_ms),
    )
    return [Point(at, Activity(*counts)) for at, *counts in rows]


def _duty(name: str, span_ms: int) -> Duty:
    return Duty(
        name,
        finder(
            "SELECT span_ms, shop, at FROM activity"  # noqa: S608
            f" WHERE span_ms = {span_ms} AND at < ? ORDER BY at LIMIT ?"
        ),
        deleter("DELETE FROM activity WHERE span_ms = ? AND shop = ? AND at = ? AND at < ?"),
    )


KEPT_MS = {_duty("minutes", MINUTE_MS): _DAY_MS, _duty("hours", HOUR_MS): 90 * _DAY_MS}
"""For how long each kind of row is kept, in milliseconds."""
