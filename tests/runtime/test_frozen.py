"""A node that stands still for longer than its leases, while another one takes its shops, and then goes on: it changes
nothing of them, sends nothing, and its workers end."""

from __future__ import annotations

import ast
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config
from orchestrator.metrics import Metrics
from orchestrator.operations.commands import DaemonCommands
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.engine_suite.scratch import NOW
from statemachines.target import TargetRequest
from storage.changes import Change
from storage.engines import open_store
from storage.errors import StaleLease
from storage.events import EventFilter, append_event, list_events
from storage.leases import lease_of
from storage.orders import get_order, step_row
from storage.records import Event
from storage.store import Store
from storage.transaction import Transaction
from tests.support.committed import Committed
from tests.support.engines import store_url
from tests.support.shopfloor import SHOP, config_of

pytestmark = pytest.mark.engines("postgresql")

LEASE_SECONDS = 300.0
DRIVING = ("step.started", "step.done", "step.failed", "order.blocked", "target.reached")
RUNTIME = Path(__file__).parents[2] / "orchestrator/runtime"


class Frozen:
    """A store to which nothing comes through while it is frozen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.thawed = anyio.Event()
        self.thawed.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, unit: Any) -> Any:
        await self.thawed.wait()
        return await self._store.write(unit)

    async def write_bulk(self, unit: Any) -> Any:
        await self.thawed.wait()
        return await self._store.write_bulk(unit)

    async def write_first(self, unit: Any) -> Any:
        await self.thawed.wait()
        return await self._store.write_first(unit)

    async def change(self, change: Change) -> bool:
        await self.thawed.wait()
        return await self._store.change(change)


class Node:
    """A node that a test freezes, and whose monotonic clock it moves."""

    def __init__(self, plain: Store, name: str, committed: Committed) -> None:
        self.frozen = Frozen(plain)
        self.store, self.name, self.committed = cast("Store", self.frozen), name, committed
        self.ahead_seconds = 0.0
        self.points = Checkpoints()
        real = Clock()
        clock = Clock(monotonic=lambda: real.monotonic() + self.ahead_seconds)
        chance, metrics = Chance(random.Random(1)), Metrics()
        self.supervisor = Supervisor(self.store, name, clock, chance, self.points, metrics, lease_seconds=LEASE_SECONDS)
        self.commands = DaemonCommands(self.store, self.supervisor, clock, chance, self.points, metrics)

    async def has(self, shop: str) -> None:
        """Returns once the shop's lease is this node's."""

        def holder(tx: Transaction) -> str | None:
            lease = lease_of(tx, shop)
            return None if lease is None else lease.holder

        await self.committed.until(lambda: self.store.read(holder), lambda found: found == self.name)

    async def events(self, *types: str) -> list[Event]:
        return await self.store.read(lambda tx: list_events(tx, 0, 1000, EventFilter(types=types)))


@asynccontextmanager
async def two(tmp_path: Path, config: Config) -> AsyncIterator[tuple[Node, Node]]:
    """The first node works for the shop; the second is started by the test."""
    one, other = Committed(), Committed()
    async with (
        open_store(store_url(tmp_path), NOW, on_group=one) as first,
        open_store(store_url(tmp_path), NOW, on_group=other) as second,
        anyio.create_task_group() as group,
    ):
        frozen, taker = Node(first, "frozen", one), Node(second, "taker", other)
        await frozen.supervisor.start(group, config)
        await frozen.commands.sync(SHOP, 30)
        try:
            yield frozen, taker
        finally:
            with anyio.CancelScope(shield=True):
                for node in (frozen, taker):
                    await node.supervisor.drain(5)
            group.cancel_scope.cancel()


async def freeze(node: Node, taker: Node) -> None:
    """Nothing of the node comes through any more, and its leases run out for the others."""
    node.frozen.thawed = anyio.Event()
    for table, column in (("shops", "lease_expires_at"), ("nodes", "expires_at")):
        sql = f"UPDATE {table} SET {column} = {column} - ?"
        await taker.store.write(lambda tx, sql=sql: tx.execute(sql, (int(LEASE_SECONDS * 1000),)))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("point", "knows"),
    # a clock that stood still, as a virtual machine's may, cannot keep a call from leaving that has not yet
    [("after_call", True), ("after_call", False), ("after_intent", True)],
)
async def test_a_step_is_made_once_though_its_node_was_frozen_around_the_call(
    tmp_path: Path, point: str, knows: bool
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), two(tmp_path, config_of(sandbox, tmp_path)) as (frozen, taker):
        (order,) = sandbox.selldone.order_ids()
        with frozen.points.hold(point) as held, anyio.fail_after(60):
            await frozen.commands.submit(SHOP, order, TargetRequest.from_json({"state": "accepted"}))
            await held.reached()
            worker = frozen.supervisor.worker(SHOP)
            assert worker is not None
            await freeze(frozen, taker)
            async with anyio.create_task_group() as group:
                await taker.supervisor.start(group, config_of(sandbox, tmp_path))
                await taker.committed.until(lambda: taker.events("target.reached"), len)
                before = len(await taker.events(*DRIVING))
                frozen.ahead_seconds = 2 * LEASE_SECONDS if knows else 0.0
                held.release()
                frozen.frozen.thawed.set()
                while frozen.supervisor.worker(SHOP) is worker:  # noqa: ASYNC110 - what it wrote is refused, which ends it
                    await anyio.sleep(0.01)
                with pytest.raises(StaleLease):
                    await worker.took_credentials("others")
                assert len(await taker.events(*DRIVING)) == before, "nothing is recorded twice"
                await taker.supervisor.drain(5)
        assert sandbox.ledger.effects(order) == ["confirm"]
        assert sandbox.ledger.repeats_after_effect() == []


async def test_a_worker_whose_shop_was_taken_ends(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), two(tmp_path, config_of(sandbox, tmp_path)) as (frozen, taker):
        await freeze(frozen, taker)
        async with anyio.create_task_group() as group:
            await taker.supervisor.start(group, config_of(sandbox, tmp_path))
            with anyio.fail_after(60):
                await taker.has(SHOP)
                frozen.frozen.thawed.set()
                while frozen.supervisor.worker(SHOP) is not None:  # noqa: ASYNC110 - its next heartbeat ends it
                    await anyio.sleep(0.01)
            await taker.supervisor.drain(5)


async def test_whatever_way_a_worker_writes_its_lease_is_checked(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), two(tmp_path, config_of(sandbox, tmp_path)) as (frozen, _):
        worker = frozen.supervisor.worker(SHOP)
        assert worker is not None
        (order,) = sandbox.selldone.order_ids()
        kept = await frozen.store.read(lambda tx: get_order(tx, SHOP, order))
        assert kept is not None
        change = Change(SHOP, order, worker.store.epoch, step_row(kept))
        await frozen.store.write(lambda tx: tx.execute("UPDATE shops SET lease_epoch = lease_epoch + 1"))
        before = await frozen.events()
        for write in (worker.store.write, worker.store.write_bulk):
            with pytest.raises(StaleLease):
                await write(lambda tx: append_event(tx, NOW, "too.late"))
        assert await worker.store.change(change) is False
        assert await frozen.events() == before


#: who may write to the store past the fence: what is not a worker's
UNFENCED = {"departures.py", "duties.py", "leases.py", "membership.py", "shop_store.py", "supervisor.py", "wakeups.py"}


def test_nothing_of_a_worker_can_write_past_the_fence() -> None:
    """Of `storage` a worker's modules may know anything but the store itself: theirs is `ShopStore`."""

    def imports_store(path: Path) -> bool:
        found: list[Any] = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        return any(node.module == "storage.store" and "Store" in {each.name for each in node.names} for node in found)

    assert {path.name for path in RUNTIME.glob("*.py") if imports_store(path)} <= UNFENCED
