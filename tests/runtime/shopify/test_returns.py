"""What buyers send back of Shopify orders stands beside the state: a part that came back is not the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.operations.documents import Return
from orchestrator.operations.views.orders import order_view
from orchestrator.platforms.shopify.parts import ASK_AGAIN_SECONDS
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.platform import PanelError
from storage.records import TargetStatus
from tests.runtime.shopify.floor import SHOP, SPREAD, WHOLE, effects, floor_of, order_at, reach, shopify
from tests.support.shopfloor import Shopfloor

MACHINE = PLATFORMS["shopify"].machine({})


def panel(floor: Shopfloor, action: str, order: str, **fields: Any) -> dict[str, Any]:
    return floor.sandbox.platforms["shopify"].operate({"action": action, "order": order, **fields})


async def shown(floor: Shopfloor, order: str) -> tuple[str, list[Return]]:
    """The order after a poll: its state and its returns as the API shows them."""
    await floor.commands.sync(SHOP, 30)
    view = order_view(await floor.order(order, SHOP), [], None, MACHINE, 0)
    return view["state"], view["returns"]


async def updates(floor: Shopfloor, order: str) -> int:
    return len(await floor.events("order.updated", order=order))


def one_of(order: Any) -> list[dict[str, Any]]:
    """One piece of the order's first line."""
    return [{"id": next(iter(order.facts["lines"])), "quantity": 1}]


async def test_one_piece_that_came_back_leaves_the_rest_under_way(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "shipped")
        opened = panel(floor, "return", order.id, lines=one_of(order))
        state, returns = await shown(floor, order.id)
        assert state == "FULFILLED"
        assert returns == [{"id": opened["return"], "state": "CLOSED", "lines": one_of(order)}]
        assert (await reach(floor, order.id, "delivered")).status is TargetStatus.REACHED
        assert effects(floor, order.id).count("mark_delivered") == 1


async def test_an_order_is_returned_when_the_last_piece_came_back(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "delivered")
        panel(floor, "return", order.id, lines=one_of(order))
        assert (await shown(floor, order.id))[0] == "DELIVERED"
        rest = panel(floor, "open_return", order.id)
        assert (await shown(floor, order.id))[0] == "DELIVERED"
        panel(floor, "process_return", order.id, **{"return": rest["return"]})
        state, returns = await shown(floor, order.id)
        assert (state, [each["state"] for each in returns]) == ("RETURNED", ["CLOSED", "OPEN"])


async def test_each_move_of_a_return_is_reported_as_an_update(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "delivered")
        await floor.commands.sync(SHOP, 30)
        first = panel(floor, "request_return", order.id, lines=one_of(order))["return"]
        moves = [("RETURN_REQUESTED", "REQUESTED", None), ("IN_PROGRESS", "OPEN", "approve_return")]
        moves += [("RETURNED", "CLOSED", "close_return"), ("IN_PROGRESS", "OPEN", "reopen_return")]
        for summary, state, action in moves:
            before = await updates(floor, order.id)
            if action is not None:
                panel(floor, action, order.id, **{"return": first})
            found = await shown(floor, order.id)
            assert found == ("DELIVERED", [{"id": first, "state": state, "lines": one_of(order)}])
            assert (await floor.order(order.id, SHOP)).facts["return_status"] == summary
            assert await updates(floor, order.id) == before + 1


@pytest.mark.parametrize(("action", "state"), [("decline_return", "DECLINED"), ("cancel_return", "CANCELED")])
async def test_a_return_that_comes_to_nothing_is_shown_and_moves_nothing(
    tmp_path: Path, action: str, state: str
) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "delivered")
        begin = "request_return" if action == "decline_return" else "open_return"
        made = panel(floor, begin, order.id)["return"]
        panel(floor, action, order.id, **{"return": made})
        found, returns = await shown(floor, order.id)
        assert (found, [(each["id"], each["state"]) for each in returns]) == ("DELIVERED", [(made, state)])
        assert panel(floor, "return", order.id)["status"] == "CLOSED"  # its pieces are free to be returned again
        assert (await shown(floor, order.id))[0] == "RETURNED"


async def test_goods_in_exchange_are_still_to_be_sent(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "delivered")
        made = panel(floor, "open_return", order.id, exchange=2)["return"]
        assert (await shown(floor, order.id))[0] == "DELIVERED"
        panel(floor, "process_return", order.id, **{"return": made})
        panel(floor, "close_return", order.id, **{"return": made})
        assert (await shown(floor, order.id))[0] == "PARTIALLY_FULFILLED"
        assert (await reach(floor, order.id, "delivered")).status is TargetStatus.REACHED
        assert effects(floor, order.id)[-2:] == ["fulfill", "mark_delivered"]


async def test_an_exchange_brings_a_returned_order_back(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "delivered")
        made = panel(floor, "open_return", order.id, exchange=1)["return"]
        panel(floor, "process_return", order.id, **{"return": made, "lines": one_of(order)})
        panel(floor, "fulfill", order.id)
        panel(floor, "return", order.id)
        panel(floor, "process_return", order.id, **{"return": made})
        assert (await shown(floor, order.id))[0] == "RETURNED"


async def test_what_came_back_before_it_arrived_is_never_taken_for_delivered(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        await reach(floor, order.id, "shipped")
        look = sandbox.faults.hold(step="read", moment="before")
        target = await floor.submit(order.id, "delivered", SHOP)
        await look.arrived()
        panel(floor, "return", order.id)
        look.release()
        ended = await floor.finished(target)
        assert (ended.status, ended.steps_done) == (TargetStatus.FAILED, 0)
        assert "mark_delivered" not in effects(floor, order.id)
        assert (await shown(floor, order.id))[0] == "RETURNED"


async def test_a_colleagues_parcel_is_drift_and_no_step_of_ours(tmp_path: Path) -> None:
    sandbox = shopify()
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        look = sandbox.faults.hold(step="read", moment="before")
        target = await floor.submit(order.id, "shipped", SHOP, tracking={"code": "OURS"})
        await look.arrived()
        panel(floor, "fulfill", order.id, tracking="BY-HAND")
        look.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert "fulfill" not in effects(floor, order.id)
        assert [each.data["to"] for each in await floor.events("order.drifted", order=order.id)] == ["FULFILLED"]
        done = await floor.events("step.done", order=order.id)
        assert [each.data["step"] for each in done if each.data["step"] == "fulfill"] == []


async def test_a_colleagues_parcel_in_the_same_state_is_planned_from(tmp_path: Path) -> None:
    sandbox = shopify()
    order = sandbox.shopify.panel.add(0, 1, 3)
    found = sandbox.shopify.panel.order(order)
    first, second, _ = (str(line.id) for line in found.lines)
    async with floor_of(sandbox, tmp_path) as floor:
        await reach(floor, order, "shipped", items=[first], tracking={"code": "C1"})
        look = sandbox.faults.hold(step="read", moment="before")
        target = await floor.submit(order, "shipped", SHOP, items=[second], tracking={"code": "C2"})
        await look.arrived()
        (part,) = found.fulfillment_orders
        row = next(row for row in part.lines if str(row[1]) == second)
        sandbox.shopify.shop.ship(found, [(part, row, 1)], [])
        look.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert [each.lines for each in found.live()] == [{int(first): 1}, {int(second): 1}]
        done = await floor.events("step.done", order=order)
        assert [each.data["step"] for each in done].count("fulfill") == 1


async def test_without_the_right_to_read_returns_everything_else_works(tmp_path: Path) -> None:
    sandbox = shopify()
    sandbox.shopify.operate({"action": "revoke_scope", "scope": "read_returns"})
    async with floor_of(sandbox, tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        panel(floor, "return", order.id, lines=one_of(order))
        assert await shown(floor, order.id) == ("FULFILLED", [])
        assert (await floor.order(order.id, SHOP)).facts["return_status"] == "RETURNED"
        panel(floor, "return", order.id)
        assert await shown(floor, order.id) == ("RETURNED", [])  # nothing of any line is left
        asked = [call.sent["returns"] for call in sandbox.ledger.calls() if call.step == "read"]
        assert asked.count(True) == 2  # refused with a fresh token too, and not asked for again for an hour
        assert ASK_AGAIN_SECONDS == 3600


async def test_the_simulated_shop_refuses_what_shopify_refuses(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        with pytest.raises(PanelError, match="invalid quantity"):
            panel(floor, "return", order.id)  # nothing was shipped
        await reach(floor, order.id, "shipped")
        made = panel(floor, "return", order.id)["return"]
        for action in ("approve_return", "cancel_return", "process_return"):
            with pytest.raises(PanelError, match="status is invalid"):
                panel(floor, action, order.id, **{"return": made})
        with pytest.raises(PanelError, match="invalid quantity"):
            panel(floor, "open_return", order.id)  # every piece is in a return


async def test_goods_that_a_service_declined_are_the_merchants_to_ship_again(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, WHOLE)
        panel(floor, "decline_request", order.id)
        shows = floor.sandbox.shopify.panel.order(order.id).state(floor.sandbox.shopify.shop.clock.now_ms())
        assert shows == "REQUEST_DECLINED"
        assert (await shown(floor, order.id))[0] == "UNFULFILLED"
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["fulfill"]


async def test_a_part_that_a_service_declined_is_what_is_left(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        await reach(floor, order.id, "shipped", items=[next(iter(order.facts["lines"]))])
        panel(floor, "decline_request", order.id)
        floor.sandbox.shopify.panel.order(order.id).display = "REQUEST_DECLINED"
        assert (await shown(floor, order.id))[0] == "PARTIALLY_FULFILLED"
        assert (await reach(floor, order.id, "shipped")).status is TargetStatus.REACHED
        assert effects(floor, order.id) == ["fulfill", "fulfill"]
