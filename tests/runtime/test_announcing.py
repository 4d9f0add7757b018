"""An order is announced once more to readers who are past what was said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.platforms import SHOPS
from tests.support.shopfloor import config_of, shopfloor, working_on


def sandbox_of(orders: int = 1) -> Sandbox:
    return Sandbox(SandboxSettings(orders=orders))


@pytest.mark.parametrize("platform", SHOPS)
async def test_an_order_is_announced_as_often_as_it_is_asked_for(tmp_path: Path, platform: str) -> None:
    shop = SHOPS[platform]
    async with shopfloor(sandbox_of(), tmp_path, platform=platform) as floor:
        (order,) = await floor.orders()
        for _ in range(2):
            await floor.commands.announce(shop, order.id)
        events = await floor.events("order.announced", order=order.id)
        assert len(events) == 2
        assert events[0].shop == shop
        assert events[0].data == {
            "state": order.state,
            "milestone": "new",
            "reference": order.reference,
            "payment": order.payment,
        }
        assert await floor.order(order.id, shop) == order, "nothing of the order changes"


async def test_a_key_announces_once_also_after_a_restart(tmp_path: Path) -> None:
    sandbox = sandbox_of(2)
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            first, second = await floor.orders()
            await floor.commands.announce("acme", first.id, key="erp-1")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.announce("acme", first.id, key="erp-1")
            assert len(await floor.events("order.announced")) == 1
            with pytest.raises(Refused) as refused:
                await floor.commands.announce("acme", second.id, key="erp-1")
            assert refused.value.slug == "idempotency-key-reused"
            await floor.commands.announce("acme", first.id, key="erp-2")
            assert len(await floor.events("order.announced")) == 2


async def test_an_unknown_order_is_not_announced_and_uses_no_key(tmp_path: Path) -> None:
    async with shopfloor(sandbox_of(), tmp_path) as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.commands.announce("acme", "404404", key="k")
        assert refused.value.slug == "order-not-found"
        await floor.commands.announce("acme", order.id, key="k")
        assert len(await floor.events("order.announced")) == 1
