"""What changed on the platform is found, although the look that a webhook or a list led to came to nothing: a step of
ours was out, which may fail and leave no trace, or the platform did not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.platforms.client import OrderSnapshot, Page, StepAnswer
from orchestrator.platforms.failures import Rejected, Transient
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.intake.front import SECRET, facing
from tests.intake.pushing import pushing
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, worked_off, working_on

SHOP = "shopy"
_LONG_AGO_MS = 60_000  # a list that shows a change of just now has it read once more


def refused_late(out: anyio.Event, go_on: anyio.Event) -> Callable[..., Awaitable[StepAnswer]]:
    """A step that is out from `out` to `go_on` and is refused then."""

    async def perform(*_: Any) -> StepAnswer:
        out.set()
        await go_on.wait()
        raise Rejected("no such carrier")

    return perform


async def edit(floor: Shopfloor, order: str) -> None:
    panel = floor.sandbox.shopify.panel
    before = panel.order(order).updated
    panel.edit(order, "Somebody Else")
    panel.order(order).updated = before + 1000


async def test_a_poll_finds_what_the_one_before_saw_while_a_step_was_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path, platform="shopify") as floor:
        (order,) = await floor.orders()
        floor.sandbox.shopify.panel.order(order.id).updated -= _LONG_AGO_MS
        await floor.commands.sync(SHOP, 30)
        worker = floor.supervisor.worker(SHOP)
        assert worker is not None
        out, go_on = anyio.Event(), anyio.Event()
        monkeypatch.setattr(worker.client, "perform", refused_late(out, go_on))
        target = await floor.submit(order.id, "shipped", SHOP)
        await out.wait()
        await edit(floor, order.id)
        await floor.commands.sync(SHOP, 30)
        assert await floor.events("order.updated", order=order.id) == []
        go_on.set()
        await floor.finished(target)
        await floor.commands.sync(SHOP, 30)
        assert len(await floor.events("order.updated", order=order.id)) == 1


async def test_a_webhook_that_came_while_a_step_was_out_is_looked_into_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        (order,) = await floor.orders()
        await sender.flush()
        await worked_off(floor)
        worker = floor.supervisor.worker(name)
        assert worker is not None
        out, go_on, read = anyio.Event(), anyio.Event(), anyio.Event()
        look = worker.client.read

        async def noted(order_id: str) -> OrderSnapshot:
            read.set()
            return await look(order_id)

        monkeypatch.setattr(worker.client, "perform", refused_late(out, go_on))
        monkeypatch.setattr(worker.client, "read", noted)
        target = await floor.submit(order.id, "shipped", name)
        await out.wait()
        floor.sandbox.shopify.panel.edit(order.id, "Somebody Else")
        await sender.flush()
        await read.wait()
        go_on.set()
        await floor.finished(target)
        await worked_off(floor)
        assert len(await floor.events("order.updated", order=order.id)) == 1


async def test_what_a_hint_is_about_is_found_though_the_poll_that_it_led_to_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"poll": {"enabled": False}})
        async with working_on(sandbox, config, tmp_path) as floor, facing(floor, config.shops["acme"]) as it:
            await floor.commands.sync("acme", 30)
            worker = floor.supervisor.worker("acme")
            assert worker is not None
            with monkeypatch.context() as down:

                async def list_page(*_: Any) -> Page:
                    raise Transient("no answer")

                down.setattr(worker.client, "list_page", list_page)
                added = sandbox.selldone.panel.add()
                async with anyio.create_task_group() as group:
                    group.start_soon(it.inbox.run)
                    assert await it.post(f"/webhooks/acme/orders/{SECRET}", b"{}") == 200
                    await floor.event("sync.failed")
                    group.cancel_scope.cancel()
            await floor.event("order.imported", added)
