"""One parcel means the same on every platform: this box left. A platform that sends parts is told of it at once; where
whole orders are sent it is kept, and the buyer hears once nothing is left or the last one was told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.api.schema.bodies import TargetBody
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.content_view import content_view
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.machine import OrderState
from statemachines.target import TargetRequest
from storage.payloads import get_kept
from storage.records import Order, Target, TargetStatus
from tests.support.shopfloor import Shopfloor, config_of, shopfloor, working_on

NAMES = sorted(PLATFORMS)
RECORDING = [name for name in NAMES if PLATFORMS[name].machine({}).parcel_step is None]
SENDING = [name for name in NAMES if name not in RECORDING]


def request(state: str, **parcel: Any) -> TargetRequest:
    """A target as it comes over the API."""
    return TargetBody.model_validate({"state": state, "parcel": parcel}).to_request()


class Goods:
    """An order that may be shipped, its lines, and targets about its parcels."""

    def __init__(self, floor: Shopfloor, platform: str, shop: str, order: Order, lines: Mapping[str, Decimal]) -> None:
        self.floor, self.platform, self.shop, self.order, self.lines = floor, platform, shop, order.id, lines

    async def submit(self, state: str, **parcel: Any) -> Target:
        return await self.floor.commands.submit(self.shop, self.order, request(state, **parcel))

    async def reach(self, state: str, **parcel: Any) -> Target:
        return await self.floor.finished(await self.submit(state, **parcel))

    async def refused(self, state: str, **parcel: Any) -> str:
        """The reason of a refusal, which changes nothing."""
        before = (await self.parcels(), self.effects())
        with pytest.raises(Refused) as refusal:
            await self.submit(state, **parcel)
        assert refusal.value.slug == "not-allowed", refusal.value.detail
        assert (await self.parcels(), self.effects()) == before
        return refusal.value.detail

    async def parcels(self) -> list[dict[str, Any]]:
        return (await self.floor.order(self.order, self.shop)).parcels or []

    def effects(self) -> list[str]:
        return self.floor.sandbox.ledger.effects(self.order)

    async def milestone(self) -> str | None:
        return (await self.floor.order(self.order, self.shop)).milestone

    def parts(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The lines in two boxes."""
        (first, count), *others = self.lines.items()
        if not others:
            return [{"id": first, "quantity": 1}], [{"id": first, "quantity": str(count - 1)}]
        rest = [{"id": line, "quantity": str(each)} for line, each in others]
        return [{"id": first, "quantity": float(count)}], rest


async def goods(floor: Shopfloor, platform: str) -> Goods:
    """The first order with at least two pieces that may be shipped."""
    shop = next(iter(floor.supervisor.shops()))
    machine = PLATFORMS[platform].machine({})
    for order in await floor.orders():
        try:
            plan = await floor.commands.preview(shop, order.id, TargetRequest("shipped"))
        except Refused:
            continue
        found = machine.whole(OrderState(order.state, order.platform_state, order.payment, order.facts)).lines or {}
        lines = {line: Decimal(str(count)) for line, count in found.items() if count is not None}
        if plan.steps and sum(lines.values()) >= 2 and all(count >= 1 for count in lines.values()):
            return Goods(floor, platform, shop, order, lines)
    raise AssertionError(f"{platform} has no order of two pieces that may be shipped")


def steps_of(platform: str) -> set[str]:
    return {row.name for row in PLATFORMS[platform].machine({}).rows}


def sandbox() -> Sandbox:
    return Sandbox(SandboxSettings(orders=6))


@pytest.mark.parametrize("platform", NAMES)
async def test_two_parcels_with_the_same_body_complete_an_order_anywhere(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        box = await order.reach("shipped", number="B-1", carrier="DHL", tracking=["T1", "T2"], lines=first)
        assert (box.status, box.unused) == (TargetStatus.REACHED, ())
        assert box.milestone in ("shipped", "delivered"), "the furthest of what the target's state means"
        assert await order.milestone() not in ("shipped", "delivered"), "a part of it left"
        rest = await order.reach("shipped", number="B-2", carrier="DHL", tracking=["T3"], lines=second)
        assert (rest.status, rest.unused) == (TargetStatus.REACHED, ())
        assert await order.milestone() in ("shipped", "delivered")
        kept = await order.parcels()
        assert [(each["number"], each["tracking"]) for each in kept] == [("B-1", ["T1", "T2"]), ("B-2", ["T3"])]
        events = await floor.events("parcel.recorded", order=order.order)
        assert [event.data["number"] for event in events] == ["B-1", "B-2"]
        assert floor.sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("platform", NAMES)
async def test_content_has_each_parcel_once_with_who_reported_it(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        await order.reach("shipped", number="B-1", tracking=["T1", "T2"], lines=first)
        await order.reach("shipped", number="B-2", tracking=["T3", "T4"], lines=second)
        await floor.commands.refresh(order.shop, order.order)
        row = await floor.order(order.order, order.shop)
        content = content_view(row, await floor.store.read(lambda tx: get_kept(tx, order.shop, order.order)))
        assert content is not None
        (event,) = await floor.events("order.refreshed", order=order.order)
        places = [int(each.split("/")[2]) for each in event.data["changed"] if each.startswith("/parcels/")]
        assert all(place < len(content["parcels"] or ()) for place in places), "what changed is there"
        found = {each["number"]: each for each in content["parcels"] or ()}
        assert len(content["parcels"] or ()) == len(found) == 2
        assert [found[number]["numbers"] for number in ("B-1", "B-2")] == [["T1", "T2"], ["T3", "T4"]]
        assert all("erp" in each["reported_by"] for each in found.values())  # type: ignore[typeddict-item]
        lines = {line["id"] for each in found.values() for line in each["lines"] or ()}
        assert lines == set(order.lines)
        known = {line["id"] for line in content["lines"] or ()}
        assert known == {None} or known >= set(order.lines), "lines are taken as content gives them; fees are in no box"


@pytest.mark.parametrize("platform", NAMES)
async def test_the_same_number_again_changes_nothing(tmp_path: Path, platform: str) -> None:
    box = sandbox()
    async with box.running():
        config = config_of(box, tmp_path, platform=platform)
        async with working_on(box, config, tmp_path) as floor:
            await floor.commands.sync(next(iter(floor.supervisor.shops())), 30)
            order = await goods(floor, platform)
            first, _ = order.parts()
            parcel: dict[str, Any] = {"number": "B-1", "tracking": ["T1"], "lines": first}
            await order.reach("shipped", **parcel)
            known, effects = await order.parcels(), order.effects()
        async with working_on(box, config, tmp_path) as floor:  # after a restart, and from other keys
            order.floor = floor
            for again in (parcel, {"number": "B-1"}, {"tracking": ["T1"]}, {"number": "B-1", "lines": first}):
                target = await order.reach("shipped", **again)
                assert (target.status, target.plan, target.unused) == (TargetStatus.REACHED, (), ())
            assert (await order.parcels(), order.effects()) == (known, effects)


@pytest.mark.parametrize("platform", NAMES)
async def test_what_contradicts_the_order_or_its_parcels_is_refused_with_the_numbers(
    tmp_path: Path, platform: str
) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        line, count = next(iter(order.lines.items()))
        assert f"{count + 1} of line {line}" in await order.refused(
            "shipped", number="B-0", lines=[{"id": line, "quantity": str(count + 1)}]
        )
        assert f"it has {', '.join(order.lines)}" in await order.refused(
            "shipped", number="B-0", lines=[{"id": "nope"}]
        )
        await order.reach("shipped", number="B-1", tracking=["T1"], lines=first)
        others = [{"id": line, "quantity": "7"}]
        assert "B-1 was recorded before with" in await order.refused("shipped", number="B-1", lines=others)
        assert "and not with T9" in await order.refused("shipped", number="B-1", tracking=["T9"])
        assert "T1 is that of parcel B-1" in await order.refused("shipped", number="B-2", tracking=["T1"], lines=second)
        assert "open" in await order.refused("shipped", number="B-2", lines=[{"id": line, "quantity": str(count)}])
        assert "no http(s) link" in await order.refused("shipped", number="B-2", url="javascript:1", lines=second)
        assert "no parcel of the order has number B-9: it has B-1 (T1)" in await order.refused(
            "delivered", number="B-9"
        )


@pytest.mark.parametrize("platform", NAMES)
async def test_the_last_one_sends_though_lines_are_left(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, _ = order.parts()
        target = await order.reach("shipped", number="B-1", tracking=["T1"], lines=first, last=True)
        assert target.status is TargetStatus.REACHED
        assert order.effects(), "the buyer hears of it"
        if not PLATFORMS[platform].machine({}).delivers_parcels:  # else it ships part by part, and shows what is left
            assert await order.milestone() in ("shipped", "delivered")


@pytest.mark.parametrize("platform", NAMES)
async def test_without_lines_it_is_all_that_is_left(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        await order.reach("shipped", number="B-1", lines=first)
        assert (await order.reach("shipped", number="B-2")).status is TargetStatus.REACHED
        assert await order.milestone() in ("shipped", "delivered")
        held = {each["id"]: Decimal(str(each["quantity"])) for each in second}
        kept = (await order.parcels())[1]["lines"]
        assert {line: Decimal(count) for line, count in kept.items()} == held
        assert "left" in await order.refused("shipped", number="B-3")


@pytest.mark.parametrize("platform", RECORDING)
async def test_what_is_sent_under_no_parcel_goes_out_with_the_codes_of_its_parcels(
    tmp_path: Path, platform: str
) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        await order.reach("shipped", number="B-1", tracking=["T1"], lines=order.parts()[0])
        sent = await floor.reach(order.order, "shipped", order.shop)
        assert (sent.status, sent.unused) == (TargetStatus.REACHED, ()), sent.problem
        assert order.effects().count("set_tracking") == int("set_tracking" in steps_of(platform))
        await floor.commands.refresh(order.shop, order.order)
        row = await floor.order(order.order, order.shop)
        content = content_view(row, await floor.store.read(lambda tx: get_kept(tx, order.shop, order.order)))
        assert content is not None
        assert [(each["number"], each["numbers"]) for each in content["parcels"] or ()] == [("B-1", ["T1"])]
        assert floor.sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("platform", NAMES)
async def test_a_parcel_that_arrived_is_marked_alone_and_the_order_with_the_last(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        await order.reach("shipped", number="B-1", tracking=["T1"], lines=first)
        await order.reach("shipped", number="B-2", tracking=["T2"], lines=second)
        sent, milestone = order.effects(), await order.milestone()
        one = await order.reach("delivered", number="B-1")
        assert one.status is TargetStatus.REACHED
        assert await order.milestone() in (milestone, None), "the other one is on its way"
        assert [each["is_delivered"] for each in await order.parcels()] == [True, False]
        if not PLATFORMS[platform].machine({}).delivers_parcels:
            assert order.effects() == sent
        assert (await order.reach("delivered", number="B-1")).plan == ()
        by_code = TargetRequest.from_json({"state": "delivered", "tracking": {"code": "T2"}})
        target = await floor.finished(await floor.commands.submit(order.shop, order.order, by_code))
        assert target.status is TargetStatus.REACHED
        assert await order.milestone() == "delivered"
        assert floor.sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("platform", NAMES)
async def test_parcels_that_come_at_once_go_one_after_the_other(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        bodies = [
            {"number": "B-1", "lines": first},
            {"number": "B-1", "lines": first},
            {"number": "B-2", "lines": second},
        ]
        targets: list[Target] = []

        async def submit(body: dict[str, Any]) -> None:
            targets.append(await order.submit("shipped", **body))

        async with anyio.create_task_group() as group:
            for body in bodies:
                group.start_soon(submit, body)
        assert [(await floor.finished(each)).status for each in targets] == [TargetStatus.REACHED] * 3
        assert sorted(each["number"] for each in await order.parcels()) == ["B-1", "B-2"]
        assert await order.milestone() in ("shipped", "delivered")
        assert floor.sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("platform", NAMES)
async def test_a_parcel_comes_with_no_other_state(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, _ = order.parts()
        for state in ("accepted", "attention", "cancelled"):
            with pytest.raises(Refused) as refusal:
                await order.submit(state, number="B-1", lines=first)
            assert refusal.value.slug in ("not-allowed", "unreachable")
        assert await order.parcels() == []


FAULTS = ["drop_after", "drop_before", "garbage"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("platform", SENDING)
async def test_a_lost_answer_to_a_parcel_sends_it_once(tmp_path: Path, platform: str, fault: str) -> None:
    step = str(PLATFORMS[platform].machine({}).parcel_step)
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        floor.sandbox.faults.script(fault, step=step)
        assert (await order.reach("shipped", number="B-1", lines=first)).status is TargetStatus.REACHED
        floor.sandbox.faults.script(fault, step=step)
        assert (
            await order.reach("shipped", number="B-2", tracking=["T2"], lines=second)
        ).status is TargetStatus.REACHED
        assert order.effects().count(step) == 2
        assert [each["number"] for each in await order.parcels()] == ["B-1", "B-2"]
        assert await order.milestone() == "shipped"


@pytest.mark.parametrize("platform", RECORDING)
async def test_a_closing_parcel_whose_order_was_not_sent_sends_it_when_it_comes_again(
    tmp_path: Path, platform: str
) -> None:
    async with shopfloor(sandbox(), tmp_path, {"retry": {"attempts": 1}}, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        await order.reach("shipped", number="B-1", lines=first)
        floor.sandbox.faults.script("error_before", order=order.order, status=503)
        target = await order.reach("shipped", number="B-2", lines=second)
        assert target.status is TargetStatus.BLOCKED
        assert [each["number"] for each in await order.parcels()] == ["B-1", "B-2"]
        await floor.commands.cancel_target(target.id)
        await floor.until(order.order, lambda found: found.situation.value == "idle", order.shop)
        assert await order.milestone() not in ("shipped", "delivered")
        assert (await order.reach("shipped", number="B-1", lines=first)).plan == (), "it was not the last one"
        assert (await order.reach("shipped", number="B-2", lines=second)).status is TargetStatus.REACHED
        assert await order.milestone() in ("shipped", "delivered")
        assert floor.sandbox.ledger.repeats_after_effect() == []


@pytest.mark.parametrize("platform", NAMES)
async def test_an_order_of_which_a_parcel_left_is_not_cancelled(tmp_path: Path, platform: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        first, second = order.parts()
        await order.reach("shipped", number="B-1", tracking=["T1"], lines=first)
        before = order.effects()
        with pytest.raises(Refused) as refusal:
            await floor.submit(order.order, "cancelled", order.shop)
        if platform != "shopify":  # which shows its parcels, and refuses by these
            assert refusal.value.slug == "not-allowed"
            assert "parcel B-1" in refusal.value.detail
        assert order.effects() == before
        assert (await order.reach("shipped", number="B-2", lines=second)).status is TargetStatus.REACHED
        assert await order.milestone() in ("shipped", "delivered")


@pytest.mark.parametrize("platform", [*RECORDING, "cloudsuite"])
@pytest.mark.parametrize("name", ["B-1", "T1"])
async def test_who_names_every_parcel_that_left_cancels_the_order(tmp_path: Path, platform: str, name: str) -> None:
    async with shopfloor(sandbox(), tmp_path, platform=platform) as floor:
        order = await goods(floor, platform)
        await order.reach("shipped", number="B-1", tracking=["T1"], lines=order.parts()[0])
        named = TargetRequest.from_json({"state": "cancelled", "tracking": {"code": name}})
        target = await floor.finished(await floor.commands.submit(order.shop, order.order, named))
        assert (target.status, target.unused) == (TargetStatus.REACHED, ())
        assert await order.milestone() == "cancelled"


async def test_an_order_whose_parcels_came_back_is_cancelled(tmp_path: Path) -> None:
    async with shopfloor(sandbox(), tmp_path, platform="selldone") as floor:
        order = await goods(floor, "selldone")
        first, second = order.parts()
        await order.reach("shipped", number="B-1", lines=first)
        await order.reach("shipped", number="B-2", lines=second)
        with pytest.raises(Refused, match=r"B-1, B-2 .* submit returned first"):
            await floor.submit(order.order, "cancelled", order.shop)
        assert (await floor.reach(order.order, "returned", order.shop)).status is TargetStatus.REACHED
        assert (await floor.reach(order.order, "cancelled", order.shop)).status is TargetStatus.REACHED
        again = await floor.reach(order.order, "cancelled", order.shop)
        assert (again.status, again.plan) == (TargetStatus.REACHED, ())
