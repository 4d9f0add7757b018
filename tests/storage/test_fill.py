"""The filled store that benchmarks measure on is one that the daemon would drive."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fill import Wanted, fill
from orchestrator.clock import Clock
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.order_search import list_orders
from storage.records import Situation, Target
from storage.sqlite.store import open_sqlite
from storage.targets import list_targets, pending_targets

NOW = 1_780_000_000_000


async def test_a_filled_store_has_delivered_orders_and_those_of_a_sandbox_pending(tmp_path: Path) -> None:
    await fill(tmp_path / "s.db", Wanted(orders=9, pending=4, shops=2, with_events=1), NOW)
    sandbox = Sandbox(SandboxSettings(orders=2, shops=2), clock=Clock(now_ms=lambda: NOW))
    simulated = {order for shop in sandbox.selldone.shops_by_key.values() for order in shop.baskets}
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        orders = await store.read(lambda tx: list_orders(tx, 0, 99))
        pending = [order for order in orders if order.situation is Situation.QUEUED]
        waiting: dict[str, list[Target]] = {
            order.id: await store.read(lambda tx, order=order: pending_targets(tx, order.shop, order.id))  # type: ignore[misc]
            for order in orders
        }
        delivered = [order for order in orders if order not in pending]
        done = await store.read(lambda tx: list_targets(tx, delivered[0].shop, delivered[0].id))
    assert {int(order.id) for order in pending} == simulated
    assert {order.shop for order in orders} == {"acme", "acme2"}
    assert [order.state for order in delivered] == ["ToCustomer"] * 5
    assert [order for order, targets in waiting.items() if targets] == [order.id for order in pending]
    assert [target.status for target in done] == ["reached"]


async def test_pending_orders_that_do_not_fit_the_shops_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 pending orders cannot be spread over 2 shops"):
        await fill(tmp_path / "s.db", Wanted(orders=9, pending=3, shops=2), NOW)
