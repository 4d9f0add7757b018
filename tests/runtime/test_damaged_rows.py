"""A row that the disk damaged is its own order's trouble: that one is blocked and shown, and the others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import Clock
from orchestrator.decisions.adoption import note_gone
from orchestrator.operations.order_pages import OrderQuery
from orchestrator.operations.queries import Queries
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.counts import correct_counts
from storage.events import EventFilter
from storage.orders import forget_observations
from storage.records import Situation, TargetStatus
from storage.transaction import Transaction
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

COLUMNS = pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("orders", "facts", "{"),
        ("orders", "facts", "[1]"),
        ("orders", "facts", b'{"a":"\xff"}'),
        ("orders", "intent", '["x"'),
        ("orders", "wait", "[]"),
        ("orders", "problem", "7"),
        ("orders", "parcels", "\x00"),
        ("orders", "situation", "no such"),
        ("targets", "plan", "[[1]]"),
        ("targets", "request", "null"),
        ("targets", "plan", b"[\xff]"),
        ("targets", "unused", "{"),
        ("targets", "status", ""),
    ],
)


async def damage(floor: Shopfloor, table: str, column: str, value: str | bytes, order: str) -> None:
    name = "id" if table == "orders" else "order_id"
    sql = f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {name} = ?"
    await floor.store.write(lambda tx: tx.execute(sql, (value, order)))


def queries(floor: Shopfloor) -> Queries:
    class Node:
        def shops(self) -> Any:
            return floor.supervisor.shops()

    node: Any = Node()
    for name in ("node", "pid", "started_at", "is_draining"):
        setattr(node, name, 0)
    return Queries(floor.store, node, floor.feed, Clock())


@COLUMNS
@pytest.mark.parametrize("restarts", [False, True])
async def test_the_others_are_driven(
    table: str, column: str, value: str | bytes, restarts: bool, tmp_path: Path
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            found = [each.id for each in await floor.orders() if each.state == "CheckQueue"][:3]
            await floor.commands.pause("acme", None)
            targets = {order: await floor.submit(order, "accepted") for order in found}
            bad = found[0]
            await damage(floor, table, column, value, bad)
            if restarts and column == "situation":  # its count is not damaged, and is put right at a start
                await floor.store.write(lambda tx: correct_counts(tx, "acme"))
            if not restarts:
                await floor.commands.resume("acme")
                await others_driven(floor, targets, bad)
        if restarts:
            async with working_on(sandbox, config, tmp_path) as floor:
                await floor.commands.resume("acme")
                await others_driven(floor, targets, bad)


async def others_driven(floor: Shopfloor, targets: dict[str, Any], bad: str) -> None:
    for order, target in targets.items():
        if order != bad:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
    (blocked,) = await floor.event("order.blocked", order=bad)
    assert "cannot be read" in blocked.data["problem"]["detail"]
    assert blocked.target == targets[bad].id
    asked = queries(floor)
    status: Any = await asked.status()
    assert [each["order"] for each in status["attention"]] == [bad]
    shown: Any = (await asked.order("acme", bad))[0]
    assert shown["situation"] == "blocked"
    assert "cannot be read" in shown["problem"]["detail"]
    page, _ = await asked.orders(OrderQuery(), 0, 100)
    assert len(page) == 12
    assert len([line async for line in asked.dump()]) > 12
    assert (await asked.target(targets[bad].id)).status is TargetStatus.BLOCKED
    assert [each for each in floor.sandbox.ledger.calls() if each.order == bad and each.step == "confirm"] == []
    await floor.commands.sync("acme", 30)  # which shows the damaged order, too, and passes it


async def test_once_corrected_it_goes_on(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=6)), tmp_path) as floor:
        order = next(each for each in await floor.orders() if each.state == "CheckQueue")
        [(facts,)] = await floor.store.read(lambda tx: tx.query("SELECT facts FROM orders WHERE id = ?", (order.id,)))
        await floor.commands.pause("acme", None)
        target = await floor.submit(order.id, "accepted")
        await damage(floor, "orders", "facts", "{", order.id)
        await floor.commands.resume("acme")
        await floor.event("order.blocked", order=order.id)
        await damage(floor, "orders", "facts", facts, order.id)
        assert (await floor.order(order.id)).situation is Situation.BLOCKED
        await floor.commands.retry("acme", order.id)
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_a_damaged_event_does_not_hold_up_the_feed(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=3)), tmp_path) as floor:
        before = await floor.events()
        bad = before[1]
        await floor.store.write(lambda tx: tx.execute("UPDATE events SET data = '{' WHERE cursor = ?", (bad.cursor,)))
        page = await queries(floor).events(0, 100, EventFilter())
        assert len(page.events) == len(before)
        assert (await floor.events())[1].data == {}


async def test_a_damaged_order_that_is_gone_does_not_stop_the_sync(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=3)), tmp_path) as floor:
        bad, other, _ = await floor.orders()
        await damage(floor, "orders", "facts", "{", bad.id)
        worker = floor.supervisor.worker("acme")
        assert worker is not None
        ctx = worker.context()

        def unit(tx: Transaction) -> None:
            forget_observations(tx)  # which may be of this very millisecond
            for order in (bad, other):
                note_gone(tx, ctx, order.id, "404", ctx.now)

        await floor.store.write(unit)
        await floor.event("order.blocked", order=bad.id)
        assert (await floor.order(other.id)).gone_at is not None


async def test_a_damaged_position_leads_to_a_whole_sync(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=3)), tmp_path) as floor:
        await floor.store.write(lambda tx: tx.execute("UPDATE shops SET sync_position = '{'"))
        status: Any = await queries(floor).status()
        assert status["totals"]["orders"] == 3
        assert (await floor.commands.sync("acme", 30)) is not None
