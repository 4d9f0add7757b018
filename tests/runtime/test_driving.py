"""A target is walked to its end, step by step, and the feed tells what the platform saw."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import anyio
import pytest

from orchestrator.decisions.draft import Draft
from orchestrator.decisions.due import due_drafts
from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Situation, TargetStatus
from tests.support.shopfloor import shopfloor

WALK = ["confirm", "prepare", "set_tracking", "send", "deliver"]
TRACKING = {"code": "1Z827WK74630", "url": "https://example.com/track/1Z827WK74630"}


async def test_two_hundred_orders_walk_to_delivered_once_in_order_and_side_by_side(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=200, latency_ms=2))
    async with shopfloor(sandbox, tmp_path) as floor:
        orders = [order.id for order in await floor.orders()]
        async with anyio.create_task_group() as group:
            for order in orders:
                group.start_soon(partial(floor.reach, order, "delivered", tracking=TRACKING))
        assert len(orders) == 200
        for order in orders:
            calls = [call.step for call in sandbox.ledger.calls(order) if call.step != "read"]
            assert calls == WALK
            steps = [event.data["step"] for event in await floor.events("step.done", order=order)]
            assert steps == WALK
        assert 2 <= sandbox.ledger.max_concurrency <= 16


@pytest.mark.parametrize(("calls_a_second", "rounds"), [(10_000, 2), (3, 1)], ids=["fast", "slow"])
async def test_due_orders_are_listed_a_few_at_a_time_by_one_question_for_all_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls_a_second: int, rounds: int
) -> None:
    slots, asked, listed = 4, threading.Lock(), list[int]()

    def counted(*given: object) -> tuple[list[Draft], list[str]]:
        assert asked.acquire(blocking=False), "two slots ask at once"
        try:
            found = due_drafts(*given)  # type: ignore[arg-type]
        finally:
            asked.release()
        listed.append(len(found[0]))
        return found

    monkeypatch.setattr("orchestrator.runtime.dispatcher.due_drafts", counted)
    rate = {"rate_per_second": calls_a_second, "burst": 10_000, "window": {"calls": 0}}
    limits = {"limits": {"concurrency": slots, **rate}}
    async with shopfloor(Sandbox(SandboxSettings(orders=40)), tmp_path, limits) as floor:
        await floor.commands.pause("acme", None)
        targets = [await floor.submit(order.id, "accepted") for order in await floor.orders()]
        del listed[:]
        await floor.commands.resume("acme")
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert max(listed) <= (rounds + 1) * slots, "so often the slots, and what is being driven"
        assert sum(listed) <= 2 * len(targets), "none is listed again and again"


async def test_the_feed_has_a_walk_in_sequence(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "preparing")
        found = [(event.type, event.data.get("step")) for event in await floor.events(order=order.id)]
        assert target.status is TargetStatus.REACHED
        assert found == [
            ("order.imported", None),
            ("target.submitted", None),
            ("step.started", "confirm"),
            ("step.done", "confirm"),
            ("step.started", "prepare"),
            ("step.done", "prepare"),
            ("target.reached", None),
        ]


async def test_an_intent_is_durable_before_its_call_takes_effect(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm")
        target = await floor.submit(order.id, "accepted")
        await held_call.arrived()
        now = await floor.order(order.id)
        assert now.situation is Situation.RUNNING
        assert now.intent is not None
        assert now.intent.step == "confirm"
        held_call.release()
        assert (await floor.finished(target)).status is TargetStatus.REACHED


async def test_part_of_the_items_is_confirmed_when_the_target_names_them(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12))
    async with shopfloor(sandbox, tmp_path) as floor:
        order = next(found for found in await floor.orders() if len(found.facts["items"]) > 1)
        chosen = order.facts["items"][:1]
        await floor.reach(order.id, "accepted", items=chosen)
        (call,) = sandbox.ledger.calls(order.id, "confirm")
        assert call.sent["list"] == [int(chosen[0])]


async def test_all_items_are_confirmed_when_the_target_names_none(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "accepted")
        (call,) = sandbox.ledger.calls(order.id, "confirm")
        assert call.sent["list"] is None


async def test_delivery_info_travels_with_prepare(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        info = {"type": "Cargo", "weight": 2}
        await floor.reach(order.id, "preparing", delivery_info=info)
        (call,) = sandbox.ledger.calls(order.id, "prepare")
        assert call.sent["delivery_info"].items() > info.items()


async def test_a_returned_order_is_sent_again(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        await floor.reach(order.id, "returned")
        returned = await floor.order(order.id)
        assert (returned.state, returned.platform_state) == ("Returned", "PreparingOrder")
        await floor.commands.sync("acme", 30)
        assert (await floor.order(order.id)).state == "Returned", "what the platform shows after a return is no drift"
        assert await floor.events("order.drifted") == []
        target = await floor.reach(order.id, "delivered")
        assert target.status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "send", "return_delivery", "send", "deliver"]


async def test_a_record_only_milestone_is_reached_without_a_call(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        target = await floor.reach(order.id, "attention", reason="the ERP could not import it")
        assert target.status is TargetStatus.REACHED
        (done,) = await floor.events("step.done", order=order.id)
        assert done.data["step"] == "record"
        assert (await floor.order(order.id)).state == "CheckQueue"
        assert [call for call in sandbox.ledger.calls(order.id) if call.step not in ("read", "list")] == []


async def test_a_reached_target_is_answered_without_a_call(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped")
        calls = len(sandbox.ledger.calls(order.id))
        target = await floor.submit(order.id, "accepted")
        assert (target.status, target.plan) == (TargetStatus.REACHED, ())
        assert len(sandbox.ledger.calls(order.id)) == calls


async def test_new_tracking_on_a_reached_target_is_still_sent(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "shipped", tracking={"code": "A"})
        target = await floor.reach(order.id, "shipped", tracking={"code": "B"})
        again = await floor.submit(order.id, "shipped", tracking={"code": "B"})
        assert [entry.step for entry in target.plan] == ["set_tracking"]
        assert again.status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "set_tracking", "send", "set_tracking"]


async def test_targets_of_an_order_run_first_in_first_out(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm")
        first = await floor.submit(order.id, "accepted")
        await held_call.arrived()
        second = await floor.submit(order.id, "shipped")
        third = await floor.submit(order.id, "returned")
        assert [entry.step for entry in second.plan] == ["prepare", "send"]
        assert [entry.step for entry in third.plan] == ["return_delivery"]
        held_call.release()
        await floor.finished(third)
        reached = [event.target for event in await floor.events("target.reached")]
        assert reached == [first.id, second.id, third.id]


@pytest.mark.parametrize(
    ("chaining", "state", "slug"),
    [
        ("strict", "preparing", "not-adjacent"),
        ("auto", "returned", "unreachable"),
        ("auto", "Nonsense", "unknown-state"),
    ],
)
async def test_what_cannot_be_reached_is_refused_at_once_and_changes_nothing(
    tmp_path: Path, chaining: str, state: str, slug: str
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, {"chaining": chaining}) as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, state)
        assert refused.value.slug == slug
        assert refused.value.extra["allowed"]
        assert await floor.events("target.submitted") == []


async def test_strict_chaining_takes_one_state_at_a_time(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, {"chaining": "strict"}) as floor:
        (order,) = await floor.orders()
        for state in ("accepted", "preparing", "shipped", "delivered"):
            assert (await floor.reach(order.id, state)).status is TargetStatus.REACHED
        assert sandbox.ledger.effects(order.id) == ["confirm", "prepare", "send", "deliver"]


async def test_a_guard_says_why_it_refuses(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await floor.orders()
        with pytest.raises(Refused) as refused:
            await floor.submit(order.id, "shipped", tracking={"code": "A", "url": "nonsense"})
        assert refused.value.slug == "not-allowed"
        assert "nonsense" in refused.value.extra["reason"]


async def test_an_unknown_order_is_read_from_the_platform_first(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        order = sandbox.selldone.panel.add()
        assert (await floor.reach(order, "accepted")).status is TargetStatus.REACHED
        with pytest.raises(Refused) as refused:
            await floor.submit("999999999", "accepted")
        assert refused.value.slug == "order-not-found"


async def test_a_preview_of_an_unknown_order_changes_nothing(tmp_path: Path) -> None:
    from statemachines.target import TargetRequest

    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        order = sandbox.selldone.panel.add()
        plan = await floor.commands.preview("acme", order, TargetRequest("shipped"))
        assert [step.step for step in plan.steps] == ["confirm", "prepare", "send"]
        assert order not in [found.id for found in await floor.orders()]


async def test_what_is_known_for_too_long_is_read_before_the_first_step_and_before_a_blind_one(
    tmp_path: Path,
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, {"fresh_seconds": 0}) as floor:
        (order,) = await floor.orders()
        await floor.reach(order.id, "delivered")
        assert [call.step for call in sandbox.ledger.calls(order.id)] == [
            "read",
            "confirm",
            "prepare",
            "read",  # no step's answer tells whether the buyer withdrew the order
            "send",
            "deliver",
        ]


async def test_a_newer_target_replaces_what_is_queued_when_it_says_so(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        held_call = sandbox.faults.hold(step="confirm")
        first = await floor.submit(order.id, "accepted")
        await held_call.arrived()
        second = await floor.submit(order.id, "delivered")
        third = await floor.submit(order.id, "preparing", replace=True)
        held_call.release()
        assert (await floor.finished(third)).status is TargetStatus.REACHED
        assert (await floor.target(first.id)).status is TargetStatus.REACHED
        replaced = await floor.target(second.id)
        assert replaced.status is TargetStatus.CANCELLED
        assert replaced.problem is not None
        assert replaced.problem.type == "superseded"
        assert (await floor.order(order.id)).state == "PreparingOrder"


async def test_an_idempotency_key_answers_with_the_same_target(tmp_path: Path) -> None:
    from statemachines.target import TargetRequest

    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        (order,) = await floor.orders()
        first = await floor.commands.submit("acme", order.id, TargetRequest("accepted"), key="k1")
        await floor.finished(first)
        again = await floor.commands.submit("acme", order.id, TargetRequest("accepted"), key="k1")
        assert again.id == first.id
        with pytest.raises(Refused) as refused:
            await floor.commands.submit("acme", order.id, TargetRequest("shipped"), key="k1")
        assert refused.value.slug == "idempotency-key-reused"
        assert len(await floor.events("target.submitted")) == 1
