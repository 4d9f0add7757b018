"""What a read that cannot be made, or finds nothing, is refused with: the right reason and what helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import DeliverySettings
from orchestrator.decisions.refusals import Refused
from orchestrator.metrics import Metrics
from orchestrator.operations.commands import DaemonCommands
from orchestrator.push.deliveries import Deliveries
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Order
from tests.support.shopfloor import Shopfloor, shopfloor


async def refused_sync(floor: Shopfloor) -> Refused:
    with pytest.raises(Refused) as refused:
        await floor.commands.sync("acme", 30)
    assert refused.value.slug == "platform-unreachable"
    return refused.value


async def test_a_shop_that_a_person_paused_is_reported_as_that(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        await floor.commands.pause("acme", "inventory")
        refused = await refused_sync(floor)
        assert "it is paused by a person (inventory); resume it" in refused.detail
        assert "credentials" not in refused.detail
        assert refused.extra["paused_by"] == "person"


async def test_a_shop_whose_access_is_denied_is_reported_as_that_at_once_and_later(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        sandbox.selldone.panel.change_token("another")
        for _ in ("the call that finds out", "the next one"):
            refused = await refused_sync(floor)
            assert "credentials" in refused.detail
            assert "send SIGHUP, or resume the shop" in refused.detail
            assert "person" not in refused.detail
            assert refused.extra["paused_by"] == "access_denied"


async def not_found(floor: Shopfloor, name: str) -> str:
    with pytest.raises(Refused) as refused:
        await floor.submit(name, "accepted", "shopy")
    assert refused.value.slug == "order-not-found"
    return refused.value.detail


async def test_a_reference_in_place_of_an_id_is_answered_with_the_id(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=2)), tmp_path, platform="shopify") as floor:
        order: Order = (await floor.orders())[0]
        assert order.reference is not None
        remedy = f"the order with the reference {order.reference} has the id {order.id}"
        assert remedy in await not_found(floor, order.reference)
        assert remedy in await not_found(floor, order.reference.removeprefix("#"))
        assert "the id" not in await not_found(floor, "#99999")


async def test_a_receiver_that_is_none_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        with pytest.raises(Refused, match="there is no receiver 'foo': the config has no delivery"):
            await floor.commands.pause_delivery("foo")
        settings = DeliverySettings(orders_url="https://erp.example", secret=SecretStr("whsec_c2VjcmV0LXNlY3JldA=="))
        deliveries = Deliveries(settings, floor.store, Clock(), Chance())
        commands = DaemonCommands(
            floor.store, floor.supervisor, Clock(), Chance(), Checkpoints(None), Metrics(), deliveries
        )
        with pytest.raises(Refused, match="there is no receiver 'foo'; the config has orders_url"):
            await commands.resume_delivery("foo")


async def test_a_gone_order_is_not_answered_with_its_own_id(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, {"fresh_seconds": 0}) as floor:
        order = (await floor.orders())[0]
        assert order.reference == order.id
        sandbox.selldone.panel.delete(order.id)
        for _ in ("the read that finds out", "the next one"):
            with pytest.raises(Refused) as refused:
                await floor.commands.refresh("acme", order.id)
            assert refused.value.detail == f"shop acme has no order {order.id}"


PAGE = b"<html><body>We are back soon</body></html>"


@pytest.mark.parametrize(
    ("body", "words"),
    [(PAGE, "HTTP 200"), (b"", "HTTP 200"), (b'{"orders": [', "HTTP 200"), (b"[]", "cannot be read")],
)
async def test_a_list_that_is_none_leaves_the_platform_unreachable(tmp_path: Path, body: bytes, words: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        sandbox.faults.script_answer(200, body, step="list")
        refused = await refused_sync(floor)
        assert words in refused.detail
        assert refused.retry_after_seconds is not None


@pytest.mark.parametrize("body", [PAGE, b"", b'{"delivery_state": "Che'])
async def test_an_answer_that_is_no_json_leaves_the_platform_unreachable(tmp_path: Path, body: bytes) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        order = (await floor.orders())[0]
        sandbox.faults.script_answer(200, body, step="read")
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh("acme", order.id)
        assert (refused.value.slug, refused.value.retry_after_seconds is None) == ("platform-unreachable", False)
        sandbox.faults.script_answer(200, b'{"id": "x", "delivery_state": "CheckQueue"}', step="read")
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh("acme", order.id)
        assert refused.value.slug == "not-allowed"  # asking again would not help
