"""Numbers on their way from the ERP to platforms and back: never made to fit in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import Json
from storage.records import TargetStatus
from tests.runtime.cloudsuite.floor import CS, cloudsuite, erp, floor_of
from tests.support.platforms import SHOPS
from tests.support.shopfloor import shopfloor


def with_price(sandbox: Sandbox, order: str, **line: Any) -> None:
    sandbox.cloudsuite.panel.order(order).lines[0].update(line)


async def test_a_price_below_a_cent_is_confirmed_as_a_plain_decimal(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with_price(sandbox, order.id, unit_price=0.00001, quantity=1000.0)
        target = await floor.reach(order.id, "accepted", CS, confirmation="cxml", **erp(order))
        assert target.status is TargetStatus.REACHED
        (call,) = sandbox.ledger.calls(step="confirm_order")
        sent_line = call.sent["lines"][0]
        assert (sent_line["price"], sent_line["quantity"]) == ("0.00001", "1000")


@pytest.mark.parametrize(
    ("quantity", "said"),
    [(0.00001, "has 0.00001 of line 10"), (1.00005, "has 1.00005 of line 10"), (1e8, "has 100000000 of line 10")],
)
async def test_what_a_slip_cannot_carry_is_refused_and_not_rounded(tmp_path: Path, quantity: float, said: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with_price(sandbox, order.id, quantity=quantity)
        await floor.commands.refresh(CS, order.id)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", CS, **erp(order, "A"))
        assert (refused.value.slug, said in refused.value.extra["reason"]) == ("not-allowed", True)
        assert "send quantity" in refused.value.extra["reason"]
        assert sandbox.ledger.effects(order.id) == []


async def test_a_slip_that_turns_out_not_to_fit_is_not_sent(tmp_path: Path) -> None:
    """The order changed after the target was taken: the read before the slip shows it."""
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "accepted", CS, **erp(order))).status is TargetStatus.REACHED
        with_price(sandbox, order.id, quantity=0.00001)
        target = await floor.reach(order.id, "shipped", CS, **erp(order, "A"))
        assert target.problem is not None
        assert target.status is TargetStatus.BLOCKED
        assert "0.00001" in target.problem.detail
        assert sandbox.cloudsuite.shop.slips == {}


async def test_an_order_without_a_quantity_is_confirmed_by_no_zero(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with_price(sandbox, order.id, quantity=None)
        await floor.commands.refresh(CS, order.id)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "accepted", CS, confirmation="cxml", **erp(order))
        assert "the order has no quantity of line" in refused.value.extra["reason"]


@pytest.mark.parametrize("quantity", ["1,5", "1_000", "NaN", True, {}])
async def test_a_quantity_that_is_no_number_is_not_guessed(tmp_path: Path, quantity: Json) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        with_price(sandbox, order.id, quantity=quantity)
        await floor.commands.refresh(CS, order.id)
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", CS, **erp(order, "A"))
        assert "the order has no quantity of line 10; send quantity" in refused.value.extra["reason"]


@pytest.mark.parametrize("platform", sorted(SHOPS))
@pytest.mark.parametrize("quantity", ["0.5", 0.5, "1.00001", 10**9])
async def test_a_quantity_that_the_platform_cannot_carry_is_refused(
    tmp_path: Path, platform: str, quantity: Json
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        (order,) = await floor.orders()
        facts = order.facts
        line, *others = facts.get("lines") or facts["items"]
        items = [{"id": line, "quantity": quantity}, *others]
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", SHOPS[platform], items=items)
        assert refused.value.slug in ("not-allowed", "unreachable")
        assert f"item {line}" in refused.value.detail
        assert sandbox.ledger.effects(order.id) == []
