"""Fills a new store with orders as the daemon would have left them: most delivered, some with a target that waits.

    python -m benchmarks.fill PATH --orders 1000000 --pending 100000 --shops 200

Orders and payloads are the simulated Selldone's. The pending orders are those of its shops, so that a sandbox with as
many shops, PENDING / SHOPS orders in each and the seed 1 can be driven to their targets; the delivered ones are of no
sandbox. The newest `--with-events` delivered orders have events, and all pending ones: of older orders, retention would
have deleted them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, cycle, islice
from pathlib import Path

import anyio

from orchestrator.clock import Clock
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.selldone.wire import read_single
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Stock
from orchestrator.sandbox.selldone.baskets import Basket
from orchestrator.sandbox.selldone.platform import SelldonePlatform
from orchestrator.sandbox.selldone.shop import SelldoneOptions
from statemachines.target import Json
from storage.engines import open_store
from storage.events import append_events
from storage.orders import insert_order
from storage.records import Order, PlanEntry, Situation, Target, TargetStatus, changed
from storage.targets import insert_target
from storage.transaction import Transaction

PLAN = (
    PlanEntry("confirm", "CheckQueue", "OrderConfirm"),
    PlanEntry("prepare", "OrderConfirm", "PreparingOrder"),
    PlanEntry("send", "PreparingOrder", "SentOrder"),
    PlanEntry("deliver", "SentOrder", "ToCustomer"),
)
_BATCH = 1000
_TEMPLATES = 200
_FIRST_ID = 5_000_000_000  # no simulated shop comes so far
_LONGEST_AGE_MS = 300 * 86_400_000  # younger than the default retention, or the daemon would begin by forgetting them


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many orders there are, how many of them pend, how many of the others have events, and in how many shops."""

    orders: int
    pending: int
    shops: int
    with_events: int = 0


Row = tuple[str, OrderSnapshot, int, bool]
"""The name of a shop, an order of it, when that was imported, and whether it has events."""


async def fill(place: Path | str, wanted: Wanted, now_ms: int) -> None:
    """Makes the store, in a file or where the URL says.

    Raises ValueError where the pending orders are no whole number for each shop."""
    if wanted.pending % wanted.shops or wanted.pending > wanted.orders:
        raise ValueError(f"{wanted.pending} pending orders cannot be spread over {wanted.shops} shops")
    clock = Clock(now_ms=lambda: now_ms)
    stock = Stock(orders=wanted.pending // wanted.shops, seed=1, shops=wanted.shops)
    simulated = SelldonePlatform(clock, Ledger(clock), SelldoneOptions(), stock)
    names = list(simulated.shops(""))
    url = place if isinstance(place, str) else f"sqlite:///{place}"
    async with open_store(url, now_ms) as store:
        rows = chain(_delivered(clock, names, wanted, now_ms), _pending(simulated, names, now_ms))
        while batch := list(islice(rows, _BATCH)):
            await store.write(lambda tx, batch=batch: _insert_all(tx, batch, now_ms))  # type: ignore[misc]


def _delivered(clock: Clock, names: list[str], wanted: Wanted, now_ms: int) -> Iterator[Row]:
    """The shops' orders in turn, oldest first."""
    simulated = SelldonePlatform(clock, Ledger(clock), SelldoneOptions(), Stock(orders=_TEMPLATES, seed=2, shops=1))
    (shop,) = simulated.shops_by_key.values()
    templates = []
    for basket in shop.baskets.values():
        basket.fields["delivery_state"] = "ToCustomer"
        templates.append(_snapshot(basket))
    total = wanted.orders - wanted.pending
    for n, name, template in zip(range(total), cycle(names), cycle(templates), strict=False):
        snapshot = _renumbered(template, str(_FIRST_ID + n))
        yield name, snapshot, now_ms - _LONGEST_AGE_MS * (total - n) // total, n >= total - wanted.with_events


def _pending(simulated: SelldonePlatform, names: list[str], now_ms: int) -> Iterator[Row]:
    for name, shop in zip(names, simulated.shops_by_key.values(), strict=True):
        for basket in shop.baskets.values():
            yield name, _snapshot(basket), now_ms, True


def _snapshot(basket: Basket) -> OrderSnapshot:
    snapshot = read_single(basket.encode().encode())
    assert isinstance(snapshot, OrderSnapshot)
    return snapshot


def _renumbered(template: OrderSnapshot, order_id: str) -> OrderSnapshot:
    """The same order under another id."""
    payload = template.payload.replace(b'"id":%s' % template.id.encode(), b'"id":%s' % order_id.encode(), 1)
    return replace(template, id=order_id, reference=order_id, payload=payload)


def _insert_all(tx: Transaction, batch: list[Row], now_ms: int) -> None:
    for shop, snapshot, imported_at, has_events in batch:
        is_over = snapshot.state == "ToCustomer"
        order = _order(shop, snapshot, imported_at)
        if not is_over:
            order = changed(order, situation=Situation.QUEUED, due_at=now_ms)
        order = insert_order(tx, order, snapshot.payload, snapshot.content)
        target = _target(order, next(_TARGETS), is_over=is_over)
        insert_target(tx, target, None, None)
        if has_events:
            append_events(tx, imported_at, shop, order.id, _events(order, target, is_over=is_over))


_TARGETS = count(1)


def _order(shop: str, snapshot: OrderSnapshot, at: int) -> Order:
    return Order.first_seen(
        shop=shop,
        platform="selldone",
        id=snapshot.id,
        reference=snapshot.reference,
        state=snapshot.state,
        platform_state=snapshot.state,
        milestone="delivered" if snapshot.state == "ToCustomer" else "new",
        payment=snapshot.payment,
        facts=snapshot.facts,
        content_hash=snapshot.content_hash,
        platform_updated_at=snapshot.platform_updated_at,
        observed_at=at,
        now=at,
        payment_status=snapshot.payment_status,
    )


def _target(order: Order, number: int, *, is_over: bool) -> Target:
    return Target(
        seq=0,
        id=f"018bcfe5-6800-7000-8000-{number:012d}",
        shop=order.shop,
        order=order.id,
        state="ToCustomer",
        milestone="delivered",
        status=TargetStatus.REACHED if is_over else TargetStatus.QUEUED,
        request={"state": "delivered"},
        plan=PLAN,
        steps_done=len(PLAN) if is_over else 0,
        unused=(),
        submitted_at=order.imported_at,
        finished_at=order.imported_at if is_over else None,
        problem=None,
    )


def _events(order: Order, target: Target, *, is_over: bool) -> list[tuple[str, str | None, dict[str, Json] | None]]:
    imported: dict[str, Json] = {"state": PLAN[0].source, "milestone": "new", "reference": order.reference}
    events: list[tuple[str, str | None, dict[str, Json] | None]] = [
        ("order.imported", None, {**imported, "payment": order.payment}),
        ("target.submitted", target.id, {"state": target.state, "steps": [entry.step for entry in PLAN]}),
    ]
    if is_over:
        for entry in PLAN:
            step: dict[str, Json] = {"step": entry.step, "from": entry.source, "to": entry.to}
            events.append(("step.started", target.id, {**step, "attempt": 1}))
            events.append(("step.done", target.id, {**step, "how": "called"}))
        end: dict[str, Json] = {"state": target.state, "milestone": target.milestone, "order_state": order.state}
        events.append(("target.reached", target.id, end))
    return events


def main() -> None:
    """Says what was made, and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--pending", type=int, default=0)
    parser.add_argument("--shops", type=int, default=1)
    parser.add_argument("--with-events", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.path.exists():
        sys.exit(f"{arguments.path} is there already; name a new file")
    wanted = Wanted(arguments.orders, arguments.pending, arguments.shops, arguments.with_events)
    began = time.perf_counter()
    try:
        anyio.run(fill, arguments.path, wanted, time.time_ns() // 1_000_000)
    except ValueError as error:
        sys.exit(str(error))
    size = arguments.path.stat().st_size / 2**20
    print(f"{wanted.orders} orders in {time.perf_counter() - began:.0f} s, {size:.0f} MiB")


if __name__ == "__main__":
    main()
