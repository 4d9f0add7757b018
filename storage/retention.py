"""Forgetting what is old, in small batches so that no writer waits long behind it.

An order is forgotten when it is over, rests, and nothing happened to it for longer than the retention, with its targets
and payload. One that its platform still shows as open is kept however old it is: it would be imported again as new, and
a cancellation that is yet to come would find nothing. Events are forgotten by age alone: a consumer that is further
behind than the retention has lost its place, and the feed's cursors keep growing whatever is deleted.

What is old is found by an index, or at the beginning of the feed; of the smaller tables every row may have to be read.
So it is a read, which disturbs nobody; the writes that follow get the keys in pieces and check again whether they may
go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from storage.identity import keep_forgotten
from storage.transaction import Row, Transaction, Value

BATCH = 500
"""So many are found at once."""

PIECE = 50
"""So many are deleted in one unit of work: as long as that takes, a step may wait."""

_OLDEST = 10_000


@dataclass(frozen=True, slots=True)
class Duty:
    """One kind of row to forget.

    `find` returns the keys of up to BATCH rows that are older than `before_ms`; `forget` deletes those of them that
    still are, and returns how many.
    """

    name: str
    find: Callable[[Transaction, int], list[Row]]
    forget: Callable[[Transaction, Sequence[Row], int], int]


def finder(sql: str) -> Callable[[Transaction, int], list[Row]]:
    """A duty's `find` by a SELECT that takes the time and how many."""
    return lambda tx, before_ms: tx.query(sql, (before_ms, BATCH))


def deleter(sql: str) -> Callable[[Transaction, Sequence[Row], int], int]:
    """A duty's `forget` by a DELETE that takes a row's key and the time."""
    return lambda tx, keys, before_ms: tx.execute_many(sql, [(*key, before_ms) for key in keys])


Ends = Mapping[str, Sequence[str]]
"""The states in which an order of a shop is over, by the shop's name."""

_RESTS = "situation = 'idle' AND updated_at < ?"
_WANTS_NOTHING = (
    "NOT EXISTS (SELECT 1 FROM targets WHERE targets.shop = orders.shop AND targets.order_id = orders.id"
    " AND targets.finished_at IS NULL)"
)


def orders_duty(ends: Ends) -> Duty:
    """Orders that are over, and those that their platform has no more. Of shops that are not in `ends` none is."""

    def find(tx: Transaction, before_ms: int) -> list[Row]:
        shops_with: dict[tuple[str, ...], list[str]] = {}
        for shop, states in ends.items():
            shops_with.setdefault(tuple(states), []).append(shop)
        over, values = ["1 = 0"], list[Value]()
        for states, shops in shops_with.items():
            over.append(f"shop IN ({_marks(shops)}) AND (state IN ({_marks(states)}) OR gone_at IS NOT NULL)")
            values += [*shops, *states]
        sql = (
            f"SELECT seq FROM {tx.dialect.by_index('orders', 'orders_rested')} WHERE {_RESTS} AND {_WANTS_NOTHING}"  # noqa: S608
            f" AND ({' OR '.join(over)}) ORDER BY updated_at LIMIT ?"
        )
        return tx.query(sql, (before_ms, *values, BATCH))

    def forget(tx: Transaction, keys: Sequence[Row], before_ms: int) -> int:
        sql = f"SELECT shop, state, gone_at FROM orders WHERE seq = ? AND {_WANTS_NOTHING}"  # noqa: S608
        still = []
        for (seq,) in keys:  # one may have come to life since it was found
            for shop, state, gone_at in tx.query(sql, (seq,)):
                if gone_at is not None or state in ends.get(shop, ()):
                    still.append((seq,))
        return _forget_orders(tx, still, before_ms)

    return Duty("orders", find, forget)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _forget_orders(tx: Transaction, keys: Sequence[Row], before_ms: int) -> int:
    """Deletes resting orders with all that is theirs."""
    count = 0
    for (seq,) in keys:
        is_resting = f"SELECT shop, id, state, coalesce(milestone, '') FROM orders WHERE seq = ? AND {_RESTS}"  # noqa: S608
        for shop, order, state, milestone in tx.query(is_resting, (seq, before_ms)):
            of_order = "DELETE FROM targets WHERE shop = ? AND order_id = ?"
            tx.moves.target(shop, -tx.execute(f"{of_order} AND finished_at IS NULL", (shop, order)))
            tx.execute(of_order, (shop, order))
            tx.execute("DELETE FROM payloads WHERE shop = ? AND id = ?", (shop, order))
            count += tx.execute("DELETE FROM orders WHERE seq = ?", (seq,))
            tx.moves.order(shop, ("idle", state, milestone), None)
    return count


def _old_events(tx: Transaction, before_ms: int) -> list[Row]:
    """The feed is in the order of time, so what is old is at its beginning. But where a clock went ahead and was set
    back, what is behind it gets old before it: as long as the oldest event is later than the newest, all are asked."""
    ends = (
        "SELECT (SELECT at FROM events ORDER BY cursor LIMIT 1), (SELECT at FROM events ORDER BY cursor DESC LIMIT 1)"
    )
    oldest, newest = tx.query(ends)[0]
    if oldest is None:
        return []
    beginning = f"(SELECT cursor, at FROM events ORDER BY cursor LIMIT {_OLDEST}) AS beginning"  # noqa: S608
    asked = "events" if oldest > newest else beginning
    return tx.query(f"SELECT cursor FROM {asked} WHERE at < ? ORDER BY cursor LIMIT ?", (before_ms, BATCH))  # noqa: S608


def _forget_events(tx: Transaction, keys: Sequence[Row], before_ms: int) -> int:
    """Deletes events, and what was still parked of them: a receiver that never took them has lost them."""
    if keys:
        keep_forgotten(tx, max(cursor for (cursor,) in keys))
    forget = "DELETE FROM events WHERE cursor = ? AND at < ?"
    count = tx.execute_many(forget, [(*key, before_ms) for key in keys])
    if tx.query("SELECT 1 FROM parked LIMIT 1"):
        tx.execute("DELETE FROM parked WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.cursor = parked.cursor)")
    return count


def _forget_jobs(tx: Transaction, keys: Sequence[Row], before_ms: int) -> int:
    """With what each had go on."""
    old = "FROM jobs WHERE seq = ? AND ended_at < ?"
    for key in keys:
        tx.execute(f"DELETE FROM job_orders WHERE job = (SELECT id {old})", (*key, before_ms))  # noqa: S608
    return sum(tx.execute(f"DELETE {old}", (*key, before_ms)) for key in keys)


TARGETS = Duty(
    "targets",
    finder("SELECT seq FROM targets WHERE finished_at < ? ORDER BY finished_at LIMIT ?"),
    deleter("DELETE FROM targets WHERE seq = ? AND finished_at < ?"),
)
ORDERS = Duty(
    "orders",
    finder(f"SELECT seq FROM orders WHERE {_RESTS} ORDER BY updated_at LIMIT ?"),  # noqa: S608
    _forget_orders,
)
EVENTS = Duty("events", _old_events, _forget_events)
REJECTED = Duty(
    "rejected",
    finder("SELECT id FROM rejected WHERE at < ? ORDER BY id LIMIT ?"),
    deleter("DELETE FROM rejected WHERE id = ? AND at < ?"),
)
WEBHOOKS = Duty(
    "webhooks",
    finder("SELECT id FROM webhooks WHERE received_at < ? AND processed_at IS NOT NULL ORDER BY id LIMIT ?"),
    deleter("DELETE FROM webhooks WHERE id = ? AND received_at < ?"),
)
FULFILLMENTS = Duty(
    "fulfillments",
    finder("SELECT shop, id FROM fulfillments WHERE seen_at < ? ORDER BY seen_at LIMIT ?"),
    deleter("DELETE FROM fulfillments WHERE shop = ? AND id = ? AND seen_at < ?"),
)
ANNOUNCEMENTS = Duty(
    "announcements",
    finder("SELECT key FROM announcements WHERE at < ? LIMIT ?"),
    deleter("DELETE FROM announcements WHERE key = ? AND at < ?"),
)
ATTEMPTS = Duty(
    "attempts",
    finder("SELECT id FROM push_attempts WHERE at < ? ORDER BY id LIMIT ?"),
    deleter("DELETE FROM push_attempts WHERE id = ? AND at < ?"),
)
JOBS = Duty("jobs", finder("SELECT seq FROM jobs WHERE ended_at < ? ORDER BY ended_at LIMIT ?"), _forget_jobs)
DUTIES = (TARGETS, ORDERS, EVENTS, REJECTED, WEBHOOKS, FULFILLMENTS, ANNOUNCEMENTS, ATTEMPTS, JOBS)
"""All of them, in the order in which they are done, where nobody says which states of orders are ends."""


def duties(ends: Ends) -> tuple[Duty, ...]:
    """All of them for shops whose orders are over in the states of `ends`."""
    return tuple(orders_duty(ends) if duty is ORDERS else duty for duty in DUTIES)
