"""CloudSuite's orders on the whole shop floor: guards, payment, and what people do meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from storage.records import Situation, TargetStatus
from tests.runtime.cloudsuite.floor import (
    CS,
    cloudsuite,
    effects,
    erp,
    floor_of,
)

# -- payment and other guards ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["started", "none", "closed_canceled", "something new"])
async def test_an_unpaid_order_is_imported_and_refused_until_its_payment_settles(tmp_path: Path, status: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add()
        sandbox.cloudsuite.panel.set_payment(order, status)
        await floor.commands.sync(CS, 30)
        assert (await floor.order(order, CS)).payment == "unpaid"
        with pytest.raises(Refused) as refused:
            await floor.submit(order, "accepted", CS)
        assert refused.value.slug == "not-allowed"
        assert status in refused.value.extra["reason"]
        sandbox.cloudsuite.panel.pay(order)
        await floor.commands.sync(CS, 30)
        (settled,) = await floor.events("order.payment_settled")
        assert (settled.order, settled.data["payment"]) == (order, "paid")
        assert (await floor.reach(order, "accepted", CS)).status is TargetStatus.REACHED


@pytest.mark.parametrize(("status", "payment"), [("paid", "paid"), ("closed_success", "paid"), ("account", "invoice")])
async def test_a_settled_payment_releases_the_order(tmp_path: Path, status: str, payment: str) -> None:
    sandbox = cloudsuite(0)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add(status)
        assert (await floor.reach(order, "accepted", CS)).status is TargetStatus.REACHED
        assert (await floor.order(order, CS)).payment == payment


async def test_an_unpaid_order_can_be_cancelled(tmp_path: Path) -> None:
    sandbox = cloudsuite(0, unpaid_orders=1)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "cancelled", CS)).status is TargetStatus.REACHED


async def test_a_shop_without_payments_asks_for_none(tmp_path: Path) -> None:
    sandbox = cloudsuite(0, unpaid_orders=1)
    async with floor_of(sandbox, tmp_path, payment_check="off") as floor:
        (order,) = await floor.orders()
        assert order.payment == "unknown"
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED


async def test_a_payment_that_fell_back_meanwhile_is_waited_for(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.cloudsuite.panel.set_payment(order.id, "closed_canceled")
        target = await floor.submit(order.id, "accepted", CS)
        waiting = await floor.until(order.id, lambda found: found.situation is Situation.WAITING, CS)
        assert waiting.wait is not None
        assert (waiting.wait.reason, waiting.payment) == ("payment", "unpaid")
        assert "closed_canceled" in waiting.wait.detail
        assert effects(sandbox, order.id) == []
        sandbox.cloudsuite.panel.pay(order.id)
        await floor.commands.sync(CS, 30)
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert len(await floor.events("order.payment_settled")) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"erp_lines": [{"line": "1", "erp_line_number": 10}]}, "lines 1 are not in this order"),
        ({"despatch": [{"number": "A"}]}, "no ERP line number yet"),
        ({"despatch": [{"number": "A", "lines": [{"erp_line_number": 99, "quantity": 1}]}]}, "99"),
        ({"despatch": [{"number": ""}]}, "number is missing"),
        ({"despatch": [{"number": "A"}, {"number": "A"}]}, "twice"),
        ({"confirmation": "cxml"}, "erp_order_number"),
        ({"confirmation": "fax"}, "neither json nor cxml"),
    ],
)
async def test_what_cannot_be_sent_is_refused_at_once(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", CS, **fields)
        assert refused.value.slug == "not-allowed"
        assert said in refused.value.extra["reason"]
        assert effects(sandbox, order.id) == []


# -- drift -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modified_filter", [None, "modified_date__gte"])
async def test_what_people_do_in_the_panel_is_found_by_the_next_poll(
    tmp_path: Path, modified_filter: str | None
) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path, modified_filter=modified_filter) as floor:
        moved, cancelled, shipped = await floor.orders()
        await floor.reach(shipped.id, "accepted", CS)
        sandbox.cloudsuite.panel.move(moved.id, "processing")
        sandbox.cloudsuite.panel.cancel(cancelled.id)
        sandbox.cloudsuite.panel.ship(shipped.id)
        await floor.commands.sync(CS, 30)
        assert {order.id: order.state for order in await floor.orders()} == {
            moved.id: "processing",
            cancelled.id: "cancel",
            shipped.id: "sent",
        }
        assert len(await floor.events("order.drifted")) == 3


async def test_a_filter_by_change_time_reads_only_what_changed_and_imports_no_old_order(tmp_path: Path) -> None:
    sandbox = cloudsuite(5)
    async with floor_of(sandbox, tmp_path, modified_filter="modified_date__gte") as floor:
        stranger = sandbox.cloudsuite.panel.add()
        sandbox.cloudsuite.panel.move(stranger, "done")
        reads = len(sandbox.ledger.calls(step="read"))
        await floor.commands.sync(CS, 30)
        assert len(sandbox.ledger.calls(step="read")) == reads
        assert len(await floor.orders()) == 5


async def test_an_order_cancelled_behind_our_back_is_not_brought_back_to_life(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.cloudsuite.panel.cancel(order.id)
        target = await floor.reach(order.id, "delivered", CS, **erp(order, "A"))
        assert target.status is TargetStatus.FAILED
        assert effects(sandbox, order.id) == []
        assert sandbox.cloudsuite.panel.order(order.id).state == "cancel"


async def test_a_step_that_somebody_did_by_hand_is_found_done(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.cloudsuite.panel.move(order.id, "processing")
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["mark_sent", "finish"]
