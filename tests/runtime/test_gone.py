"""An order that the platform has no more: people see it, nobody asks for it for ever, it is healed when it is back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.adoption import note_gone
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.views.orders import order_view
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import TargetRequest
from storage.due_orders import stalest_orders
from storage.events import EventFilter, list_events
from storage.records import Event, Order, Situation, TargetStatus
from tests.support.driven import ORDER, SHOP, DrivenOrder
from tests.support.shopfloor import Shopfloor, shopfloor


def shown(order: Order) -> dict[str, Any]:
    """The order as the API answers it."""
    return dict(order_view(order, (), None, None, 0))


async def updates(floor: Shopfloor, order: str) -> list[dict[str, Any]]:
    return [event.data for event in await floor.events("order.updated", order=order)]


async def test_a_step_that_finds_the_order_gone_says_so_on_the_order_and_in_the_feed(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.delete(order.id)
        assert (await floor.reach(order.id, "shipped")).status is TargetStatus.FAILED
        gone = await floor.order(order.id)
        problem = shown(gone)["problem"]
        assert (problem["type"], problem["step"]) == ("order-not-found", None)
        assert problem["detail"]
        assert (gone.situation, gone.state) == (Situation.IDLE, "CheckQueue")
        (event_data,) = await updates(floor, order.id)
        assert (event_data["problem"]["type"], event_data["state"]) == ("order-not-found", "CheckQueue")


async def test_a_refresh_that_finds_the_order_gone_says_so_once(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.selldone.panel.delete(order.id)
        for _ in range(2):
            with pytest.raises(Refused, match="has no order") as refused:
                await floor.commands.refresh("acme", order.id)
            assert refused.value.slug == "order-not-found"
        assert len(await updates(floor, order.id)) == 1
        assert shown(await floor.order(order.id))["problem"]["type"] == "order-not-found"


async def test_a_target_for_an_order_that_is_gone_is_refused_and_one_that_is_back_takes_it(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        basket = sandbox.selldone.panel.basket(order.id)
        sandbox.selldone.panel.delete(order.id)
        with pytest.raises(Refused):
            await floor.commands.refresh("acme", order.id)
        for asks in (floor.commands.submit, floor.commands.preview):
            with pytest.raises(Refused) as refused:
                await asks("acme", order.id, TargetRequest("new"))
            assert refused.value.slug == "order-not-found", "a state that it had last is not reached either"
        sandbox.selldone.panel.shop.baskets[basket.id] = basket
        assert (await floor.reach(order.id, "accepted")).status is TargetStatus.REACHED
        back = await floor.order(order.id)
        assert (back.gone_at, shown(back)["problem"]) == (None, None)
        assert (await updates(floor, order.id))[1]["found_again"] is True


async def test_a_poll_that_rereads_shows_once_that_an_order_is_gone(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, platform="xsale") as floor:
        (order,) = await floor.orders()
        sandbox.xsale.panel.delete(order.id)
        for _ in range(3):
            await floor.commands.sync(order.shop, 30)
        assert len(await updates(floor, order.id)) == 1
        assert (await floor.order(order.id, order.shop)).gone_at is not None


class Gone(DrivenOrder):
    """One order that a look at START + 1000 found gone."""

    def __init__(self) -> None:
        super().__init__()
        self.platform.is_gone = True
        self.now_ms += 1000
        self.gone_at = self.now_ms
        self.look()

    def look(self) -> None:
        self.store.run(lambda tx: note_gone(tx, self.context(), ORDER, "404", self.now_ms))

    def events(self) -> list[Event]:
        return self.store.run(lambda tx: list_events(tx, 0, 1000, EventFilter(types=("order.updated",))))


def test_an_order_that_is_gone_is_asked_for_ever_more_seldom() -> None:
    floor = Gone()
    looks = 0
    for _ in range(24 * 60):  # a poll a minute for a day
        floor.now_ms += 60_000
        if floor.store.run(lambda tx: stalest_orders(tx, SHOP, (), floor.now_ms, 10)):
            floor.look()
            looks += 1
    assert 5 <= looks <= 15
    assert len(floor.events()) == 1
    floor.store.close()


def test_a_poll_that_shows_it_as_it_was_heals_it() -> None:
    floor = Gone()
    floor.platform.is_gone = False
    floor.now_ms += 1
    assert floor.adopt(floor.platform.snapshot(), floor.now_ms) == "updated"
    row = floor.row()
    assert (row.gone_at, row.gone_detail) == (None, None)
    assert floor.events()[-1].data["found_again"] is True
    floor.store.close()


def test_a_list_that_is_older_than_the_read_does_not_bring_it_back() -> None:
    floor = Gone()
    floor.platform.is_gone = False
    assert floor.adopt(floor.platform.snapshot(), floor.gone_at - 1) == "stale"
    assert floor.row().gone_at == floor.gone_at
    floor.store.close()


def test_an_order_in_an_unknown_state_that_is_gone_waits_for_nobody() -> None:
    floor = DrivenOrder()
    floor.platform.state = "Teleported"
    floor.now_ms += 1
    floor.adopt(floor.platform.snapshot(), floor.now_ms)
    assert floor.row().situation is Situation.BLOCKED
    floor.now_ms += 1
    floor.store.run(lambda tx: note_gone(tx, floor.context(), ORDER, "404", floor.now_ms))
    row = floor.row()
    assert (row.situation, shown(row)["problem"]["type"]) == (Situation.IDLE, "order-not-found")
    floor.platform.is_gone = False
    floor.now_ms += 1
    floor.adopt(floor.platform.snapshot(), floor.now_ms)
    assert floor.row().situation is Situation.BLOCKED, "back, and still in a state that nobody knows"
    floor.store.close()
