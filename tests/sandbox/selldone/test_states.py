"""The simulated Selldone enforces the state machine of its facts (selldone.md §5, §6, §8)."""

from __future__ import annotations

import pytest

from tests.sandbox.probe import Probe, probing

WAY = ("OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer")


async def test_an_order_walks_its_chain_with_the_answers_of_the_samples() -> None:
    async with probing() as probe:
        order = await probe.read()
        items = [item["id"] for item in order["items"]]
        status, confirmed = await probe.state("OrderConfirm", list=items)
        assert status == 200
        assert list(confirmed) == ["delivery_state", "updated", "changed", "items"]
        assert confirmed["updated"] == len(items)
        assert [item["id"] for item in confirmed["items"]] == items
        assert await probe.state("PreparingOrder") == (200, {"delivery_state": "PreparingOrder", "changed": True})
        assert await probe.state("SentOrder") == (200, {"delivery_state": "SentOrder", "changed": True})
        _, done = await probe.state("ToCustomer")
        assert list(done) == ["delivery_state", "delivery_at", "changed"]
        after = await probe.read()
        assert after["delivery_at"] == done["delivery_at"] is not None
        assert probe.sandbox.ledger.effects(probe.order) == ["confirm", "prepare", "send", "deliver"]


@pytest.mark.parametrize("state", ["PreparingOrder", "SentOrder", "ToCustomer"])
async def test_a_state_that_is_not_next_is_refused_with_200_and_an_error(state: str) -> None:
    async with probing() as probe:
        status, answer = await probe.state(state)
        assert status == 200
        assert answer == {
            "error": "CAN_NOT_APPLY_CHANGE_ERROR",
            "error_msg": "The requested changes cannot be applied.",
        }
        assert [call.in_sequence for call in probe.sandbox.ledger.calls(probe.order)] == [False]
        assert probe.sandbox.ledger.effects(probe.order) == []


async def test_going_back_is_refused_unless_the_switch_allows_it() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder")
        assert (await probe.state("OrderConfirm"))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"
    async with probing(options={"is_backward_allowed": True}) as probe:
        await probe.walk("OrderConfirm", "PreparingOrder", "OrderConfirm", "PreparingOrder")
        assert [call.step for call in probe.sandbox.ledger.repeats_after_effect()] == ["confirm"]


async def test_a_repeated_state_changes_nothing_and_is_noted_as_a_repeat() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder", "SentOrder")
        before = await probe.read()
        assert await probe.state("SentOrder") == (200, {"delivery_state": "SentOrder", "changed": False})
        assert await probe.read() == before
        repeats = probe.sandbox.ledger.repeats_after_effect()
        assert [(call.step, call.took_effect, call.in_sequence) for call in repeats] == [("send", False, True)]


async def test_a_repeated_state_can_be_refused_by_a_switch() -> None:
    async with probing(options={"is_repeat_refused": True}) as probe:
        await probe.walk("OrderConfirm")
        assert (await probe.state("OrderConfirm"))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"


async def test_a_confirmation_takes_items_of_the_order_and_no_others() -> None:
    async with probing() as probe:
        items = [item["id"] for item in (await probe.read())["items"]]
        assert (await probe.state("OrderConfirm", list=[items[0], 1]))[0] == 404
        status, answer = await probe.state("OrderConfirm", list=items[:1])
        assert (status, answer["updated"]) == (200, 1)
        assert probe.sandbox.selldone.panel.basket(probe.order).confirmed == (items[0],)


async def test_preparing_replaces_the_delivery_info_or_leaves_it() -> None:
    async with probing() as probe:
        first, second = probe.sandbox.selldone.order_ids()[:2]
        for order in (first, second):
            await probe.state("OrderConfirm", order)
        kept = (await probe.read(second))["delivery_info"]
        await probe.state("PreparingOrder", first, delivery_info={"type": "Pickup"})
        await probe.state("PreparingOrder", second)
        assert (await probe.read(first))["delivery_info"] == {"type": "Pickup"}
        assert (await probe.read(second))["delivery_info"] == kept


async def test_tracking_is_taken_where_the_panel_offers_it() -> None:
    sent = {"tracking_code": "1Z827WK74630", "tracking_url": "https://example.com/track/1Z827WK74630"}
    async with probing() as probe:
        path = f"baskets/{probe.order}/tracking"
        assert (await probe.call("PUT", path, json=sent))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"
        await probe.walk("OrderConfirm", "PreparingOrder")
        status, answer = await probe.call("PUT", path, json=sent)
        assert status == 200
        assert answer["success"] is True
        assert answer["delivery_info"].items() >= sent.items()
        assert (await probe.read())["delivery_info"] == answer["delivery_info"]
        assert probe.sandbox.ledger.effects(probe.order)[-1] == "set_tracking"


async def test_the_same_tracking_again_is_a_repeat_and_another_code_is_none() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder")
        path = f"baskets/{probe.order}/tracking"
        for code in ("A", "B", "B"):
            await probe.call("PUT", path, json={"tracking_code": code})
        calls = probe.sandbox.ledger.calls(probe.order, "set_tracking")
        assert [(call.took_effect, call.is_repeat) for call in calls] == [(True, False), (True, False), (False, True)]


@pytest.mark.parametrize("url", ["example.com/x", "javascript:alert(1)", "https://", "https://a b", 7])
async def test_a_bad_tracking_link_is_a_validation_error(url: object) -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder")
        status, answer = await probe.call("PUT", f"baskets/{probe.order}/tracking", json={"tracking_url": url})
        assert status == 422
        assert answer == {
            "message": "The given data was invalid.",
            "errors": {"tracking_url": ["The tracking url format is invalid."]},
        }


async def test_a_returned_order_is_sent_again_and_that_is_no_repeat() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder", "SentOrder")
        path = f"baskets/{probe.order}/delivery-returned"
        assert await probe.call("POST", path) == (200, {"delivery_state": "PreparingOrder", "changed": True})
        assert (await probe.call("POST", path))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"
        await probe.walk("SentOrder")
        ledger = probe.sandbox.ledger
        assert ledger.effects(probe.order) == ["confirm", "prepare", "send", "return_delivery", "send"]
        assert [call.step for call in ledger.repeats_after_effect()] == ["return_delivery"]


async def test_confirming_again_after_a_return_is_still_a_repeat() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder", "SentOrder")
        await probe.call("POST", f"baskets/{probe.order}/delivery-returned")
        await probe.state("OrderConfirm")
        assert [call.step for call in probe.sandbox.ledger.repeats_after_effect()] == ["confirm"]


async def reject(probe: Probe, **fields: object) -> tuple[int, dict[str, object]]:
    return await probe.call("PUT", f"baskets/{probe.order}/reject", json={"reject": "LackOfInventory", **fields})


async def test_writes_are_refused_during_the_reject_countdown_until_it_is_undone() -> None:
    async with probing() as probe:
        status, answer = await reject(probe, express=False)
        assert status == 200
        assert answer.keys() == {"success", "reject", "reject_at", "express"}
        assert (await probe.read())["reject_at"] == answer["reject_at"]
        assert (await probe.state("OrderConfirm"))[1]["error"] == "ORDER_ON_REJECT_PERIOD_ERROR"
        undone = await probe.call("DELETE", f"baskets/{probe.order}/reject")
        assert undone == (200, {"success": True, "reject": None, "reject_at": None})
        await probe.walk("OrderConfirm")


async def test_a_rejected_order_is_cancelled_when_48_hours_are_over() -> None:
    async with probing() as probe:
        await reject(probe)
        probe.time.pass_seconds(48 * 3600 - 1)
        assert (await probe.read())["status"] != "Canceled"
        probe.time.pass_seconds(1)
        assert (await probe.list("statuses[]=Canceled"))["total"] == 1
        assert (await probe.state("OrderConfirm"))[1]["error"] == "ORDER_CANCELED_ERROR"
        assert (await probe.call("DELETE", f"baskets/{probe.order}/reject"))[1]["error"] == "ORDER_CANCELED_ERROR"


async def test_an_express_rejection_cancels_at_once() -> None:
    async with probing() as probe:
        await reject(probe, express=True)
        assert (await probe.read())["status"] == "Canceled"
        assert (await reject(probe))[1]["error"] == "ORDER_CANCELED_ERROR"


async def test_a_delivered_order_cannot_be_rejected() -> None:
    async with probing() as probe:
        await probe.walk(*WAY)
        assert (await reject(probe))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"


async def test_an_unpaid_order_does_not_move() -> None:
    async with probing(orders=0, options={"unreleased_orders": 1}) as probe:
        assert (await probe.read())["status"] == "Reserved"
        assert (await probe.state("OrderConfirm"))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"
        probe.sandbox.selldone.panel.pay(probe.order)
        await probe.walk("OrderConfirm")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "state"),
        (b"{", "state"),
        (b"[1]", "state"),
        (b'{"state": "\\ud800"}', "state"),
        (b'{"state": {"a": 1}}', "state"),
        (b'{"state": "Shipped"}', "state"),
        (b'{"state": "OrderConfirm", "list": "all"}', "list"),
        (b'{"state": "OrderConfirm", "list": ["1"]}', "list"),
        (b'{"state": "OrderConfirm", "list": []}', "list"),
        (b'{"state": "PreparingOrder", "delivery_info": [1]}', "delivery_info"),
    ],
)
async def test_a_bad_state_body_is_a_validation_error_that_names_the_field(body: bytes, field: str) -> None:
    async with probing() as probe:
        status, answer = await probe.call("POST", f"baskets/{probe.order}/state", data=body)
        assert (status, list(answer["errors"])) == (422, [field])


@pytest.mark.parametrize("body", [{}, {"reject": "Mood"}, {"reject": ["x"]}, {"reject": "PricingFault", "express": 1}])
async def test_a_bad_rejection_is_a_validation_error(body: dict[str, object]) -> None:
    async with probing() as probe:
        assert (await probe.call("PUT", f"baskets/{probe.order}/reject", json=body))[0] == 422


@pytest.mark.parametrize(
    ("style", "status", "error"),
    [
        ("constant", 200, "CAN_NOT_APPLY_CHANGE_ERROR"),
        ("text", 200, True),
        ("status", 422, "CAN_NOT_APPLY_CHANGE_ERROR"),
    ],
)
async def test_refusals_come_as_the_switch_says(style: str, status: int, error: object) -> None:
    async with probing(options={"refusal": style}) as probe:
        got, answer = await probe.state("SentOrder")
        assert (got, answer["error"]) == (status, error)


async def test_a_state_that_nobody_knows_takes_no_further_step() -> None:
    async with probing() as probe:
        probe.sandbox.selldone.panel.move(probe.order, "Returned")
        assert (await probe.read())["delivery_state"] == "Returned"
        assert (await probe.state("SentOrder"))[1]["error"] == "CAN_NOT_APPLY_CHANGE_ERROR"
