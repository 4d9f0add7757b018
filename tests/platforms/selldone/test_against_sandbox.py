"""What is Selldone's own, against the simulated Selldone in all the ways that the facts leave open."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.clock import Clock
from orchestrator.platforms.failures import OutOfSequence, Rejected, Transient
from orchestrator.sandbox.selldone.shop import SelldoneOptions
from orchestrator.testing.stage import Stage, moves_of, staged
from statemachines.selldone import REJECT_COUNTDOWN_MS
from statemachines.target import TargetRequest, Tracking

WAY = moves_of("selldone")


def selldone(**options: Any) -> dict[str, Any]:
    return {"platform": "selldone", "simulated": {"selldone": SelldoneOptions(**options)}}


async def state_of(stage: Stage) -> str:
    snapshot = (await stage.client.read(stage.order)).order_state()
    return stage.machine.observe(None, snapshot)


@pytest.mark.parametrize("envelope", ["bare", "basket", "order"])
async def test_any_envelope_is_read(envelope: str) -> None:
    async with staged(**selldone(envelope=envelope)) as stage:
        snapshot = await stage.client.read(stage.order)
        assert json.loads(snapshot.payload)["id"] == int(stage.order)


async def test_an_id_beyond_what_a_float_holds_walks_the_whole_way() -> None:
    async with staged(**selldone(has_big_id=True)) as stage:
        assert stage.order == str(2**53 + 15003)
        assert stage.order in await stage.snapshots()
        await stage.walk(WAY)
        assert await state_of(stage) == "ToCustomer"


@pytest.mark.parametrize("unit", ["s", "ms"])
async def test_changes_are_asked_for_in_the_shops_unit(unit: str) -> None:
    options = {"updated_at_unit": unit}
    async with staged(orders=30, lookback_seconds=0, options=options, **selldone(**options)) as stage:
        _, position = await stage.list_pages()
        new = stage.operate("add")["order"]
        found = await stage.snapshots(position)
        assert new in found
        assert len(found) < 5


@pytest.mark.parametrize("refusal", ["constant", "text", "status"])
@pytest.mark.parametrize("place", [3, 6])
async def test_a_refusal_in_any_shape_is_out_of_sequence(refusal: str, place: int) -> None:
    async with staged(**selldone(refusal=refusal)) as stage:
        with pytest.raises(OutOfSequence):
            await stage.perform(WAY[place])


@pytest.mark.parametrize("is_repeat_refused", [True, False])
async def test_a_repeat_is_confirmed_or_out_of_sequence_and_the_state_decides(is_repeat_refused: bool) -> None:
    async with staged(**selldone(is_repeat_refused=is_repeat_refused)) as stage:
        await stage.walk(WAY[:1])
        if is_repeat_refused:
            with pytest.raises(OutOfSequence):
                await stage.perform(WAY[0])
        else:
            assert (await stage.perform(WAY[0])).state == "OrderConfirm"
        assert await state_of(stage) == "OrderConfirm"


@pytest.mark.parametrize("state", ["PreparingOrder", "OrderConfirm", "CheckQueue", "Returned"])
async def test_the_state_after_a_return_is_what_the_platform_shows(state: str) -> None:
    async with staged(**selldone(returned_state=state)) as stage:
        await stage.walk(WAY[:4])
        assert (await stage.perform(WAY[4])).state == state


async def test_a_reject_countdown_holds_the_order_until_it_ends() -> None:
    async with staged("selldone") as stage:
        stage.operate("reject", order=stage.order)
        with pytest.raises(Transient) as caught:
            await stage.perform(WAY[0])
        assert not caught.value.is_ambiguous
        assert caught.value.wait is not None
        snapshot = await stage.client.read(stage.order)
        wait = stage.machine.wait(snapshot.order_state(), TargetRequest("shipped"))
        assert wait is not None
        assert wait.until_ms is not None
        assert 0 <= Clock().now_ms() + REJECT_COUNTDOWN_MS - wait.until_ms < 60_000
        stage.operate("unreject", order=stage.order)
        await stage.perform(WAY[0])


async def test_a_cancelled_order_is_out_of_sequence_and_reads_as_cancelled() -> None:
    async with staged("selldone") as stage:
        stage.operate("cancel", order=stage.order)
        with pytest.raises(OutOfSequence):
            await stage.perform(WAY[0])
        assert await state_of(stage) == "Canceled"


async def test_only_released_orders_are_new_to_the_erp() -> None:
    async with staged(orders=2, **selldone(unreleased_orders=6)) as stage:
        pages, _ = await stage.list_pages()
        marked = frozenset().union(*(page.skip_if_new for page in pages))
        found = {snapshot.id: snapshot.facts["status"] for page in pages for snapshot in page.orders}
        assert {status for order_id, status in found.items() if order_id in marked} == {"Canceled"}
        assert len(found) - len(marked) == 2


async def test_a_cancellation_shows_in_the_next_sync() -> None:
    async with staged(orders=30, lookback_seconds=0, platform="selldone") as stage:
        _, position = await stage.list_pages()
        stage.operate("cancel", order=stage.order)
        pages, _ = await stage.list_pages(position)
        assert stage.order in frozenset().union(*(page.skip_if_new for page in pages))


async def test_a_tracking_link_that_is_none_is_rejected_with_the_platforms_words() -> None:
    async with staged("selldone") as stage:
        await stage.walk(WAY[:2])
        request = TargetRequest("SentOrder", tracking=Tracking(url="no link"))
        with pytest.raises(Rejected, match="tracking"):
            await stage.client.perform(
                "set_tracking", stage.order, (await stage.client.read(stage.order)).order_state(), request
            )


async def test_an_item_of_another_order_is_rejected() -> None:
    async with staged("selldone") as stage:
        request = TargetRequest("OrderConfirm", items=("1",))
        with pytest.raises(Rejected, match="NOT_FOUNT_BASKET_ITEM_ERROR"):
            await stage.client.perform(
                "confirm", stage.order, (await stage.client.read(stage.order)).order_state(), request
            )


async def test_confirmed_items_and_delivery_info_arrive_as_they_were_given() -> None:
    async with staged("selldone") as stage:
        snapshot = await stage.client.read(stage.order)
        first = snapshot.facts["items"][0]
        info = {"type": "Pickup", "date": "żółć", "distance": 11312.99}
        await stage.client.perform(
            "confirm", snapshot.id, snapshot.order_state(), TargetRequest("OrderConfirm", items=(first,))
        )
        await stage.client.perform(
            "prepare", snapshot.id, snapshot.order_state(), TargetRequest("x", delivery_info=info)
        )
        sent = {call.step: call.sent for call in stage.sandbox.ledger.calls(snapshot.id)}
        assert sent["confirm"] == {"state": "OrderConfirm", "list": [int(first)]}
        assert sent["prepare"]["delivery_info"] == {**json.loads(snapshot.payload)["delivery_info"], **info}


async def test_a_refused_scope_names_the_constant() -> None:
    async with staged("selldone") as stage:
        stage.sandbox.faults.script_answer(403, b'{"error":"TOKEN_HAS_NO_ACCESS_ERROR"}', step="list")
        found = await stage.client.check()
        assert [(finding.check, finding.status) for finding in found][-1] == ("credentials", "failed")
        assert "TOKEN_HAS_NO_ACCESS_ERROR" in found[-1].detail


# -- what a call overwrites as a whole ---------------------------------------------------------------------------------


async def prepared(stage: Stage, info: dict[str, Any]) -> dict[str, Any]:
    """The order's delivery_info after a target that brings `info`, and what it was before."""
    await stage.perform(WAY[0])
    snapshot = await stage.client.read(stage.order)
    request = TargetRequest("PreparingOrder", delivery_info=info)
    await stage.client.perform("prepare", stage.order, snapshot.order_state(), request)
    before, after = snapshot.payload, (await stage.client.read(stage.order)).payload
    return {"before": json.loads(before)["delivery_info"], "after": json.loads(after)["delivery_info"]}


async def test_a_delivery_info_of_some_members_leaves_the_others_as_they_are() -> None:
    async with staged(**selldone()) as stage:
        delivery = await prepared(stage, {"type": "Cargo", "volume": {"width": 12.5}})
    before = delivery["before"]
    assert set(before) > {"type", "volume", "weight"}
    assert delivery["after"] == {**before, "type": "Cargo", "volume": {**before["volume"], "width": 12.5}}


async def test_a_whole_delivery_info_takes_the_place_of_the_other_without_a_look() -> None:
    async with staged(**selldone()) as stage:
        await stage.perform(WAY[0])
        snapshot = await stage.client.read(stage.order)
        whole = {**json.loads(snapshot.payload)["delivery_info"], "type": "Motorbike"}
        reads = len(stage.sandbox.ledger.calls(step="read"))
        request = TargetRequest("PreparingOrder", delivery_info=whole)
        await stage.client.perform("prepare", stage.order, snapshot.order_state(), request)
        assert len(stage.sandbox.ledger.calls(step="read")) == reads
        assert json.loads((await stage.client.read(stage.order)).payload)["delivery_info"] == whole


@pytest.mark.parametrize(
    ("tracking", "sent"),
    [
        (Tracking(url="https://t.example/new"), {"tracking_code": "A", "tracking_url": "https://t.example/new"}),
        (Tracking(code="A"), {"tracking_code": "A", "tracking_url": "https://t.example/A"}),
        (Tracking(code="B"), {"tracking_code": "B"}),
    ],
)
async def test_tracking_sends_once_more_what_it_does_not_change(tracking: Tracking, sent: dict[str, str]) -> None:
    async with staged(**selldone()) as stage:
        for step in WAY[:2]:
            await stage.perform(step)
        first = TargetRequest("shipped", tracking=Tracking("A", "https://t.example/A"))
        snapshot = await stage.client.read(stage.order)
        await stage.client.perform("set_tracking", stage.order, snapshot.order_state(), first)
        snapshot = await stage.client.read(stage.order)
        await stage.client.perform(
            "set_tracking", stage.order, snapshot.order_state(), TargetRequest("x", tracking=tracking)
        )
        assert stage.sandbox.ledger.calls(step="set_tracking")[-1].sent == sent
