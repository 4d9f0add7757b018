"""After our last step at an order it is read again soon, behind steps, and once; the feed then has it as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestrator.clock import Clock
from orchestrator.decisions.adoption import Adopted
from orchestrator.platforms.failures import Transient
from orchestrator.registry import BUILT_IN
from orchestrator.runtime.admission import Admission, Limits
from orchestrator.runtime.refreshes import Refreshes, Room
from orchestrator.runtime.wakeups import Wakeup
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from storage.store import Store
from tests.runtime.test_changes import the_order
from tests.runtime.test_content_age import content, payload, take
from tests.support.shopfloor import Shopfloor, shopfloor

every_platform = pytest.mark.parametrize("platform", BUILT_IN)


def refreshing(
    folder: Path, platform: str, seconds: float | None = 0.0, *, orders: int = 6, **changes: Any
) -> AbstractAsyncContextManager[Shopfloor]:
    """A shop at work that no poll and no webhook tells anything."""
    poll = {"interval_seconds": 3600, "after_step_seconds": seconds}
    sandbox = Sandbox(SandboxSettings(orders=orders))
    return shopfloor(sandbox, folder, {"poll": poll, **changes}, platform=platform)


def reads(floor: Shopfloor) -> Counter[str]:
    """How often each order was read."""
    return Counter(str(call.order) for call in floor.sandbox.ledger.calls(step="read") if call.order)


@every_platform
async def test_content_is_of_after_the_step_soon_and_without_a_poll(platform: str, tmp_path: Path) -> None:
    async with refreshing(tmp_path, platform) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        before = await payload(floor, shop, order)
        await take(floor, platform, shop, order)
        [event] = await floor.event("order.refreshed", order=order)
        assert not (await content(floor, shop, order))["stale"]
        assert await payload(floor, shop, order) != before
        assert await floor.events("order.updated", "order.drifted", order=order) == []
        [reached] = await floor.events("target.reached", order=order)
        assert event.cursor > reached.cursor


@every_platform
async def test_it_is_read_once_after_all_steps(platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there were, and however many targets; what a sync showed before its turn came is not read."""
    has_room = False
    monkeypatch.setattr(Admission, "has_spare", property(lambda _: has_room))
    async with refreshing(tmp_path, platform) as floor:
        shop, order = await the_order(floor)
        other = next(
            each.id for each in await floor.orders() if each.payment in ("paid", "invoice") and each.id != order
        )
        for milestone in ("accepted", "shipped"):
            await floor.reach(order, milestone, shop)
        await floor.reach(other, "shipped", shop)
        await floor.commands.refresh(shop, other)
        before = reads(floor)
        await floor.reach(order, "delivered", shop)
        walked = reads(floor)
        assert await floor.events("order.refreshed", order=order) == []
        has_room = True
        await floor.event("order.refreshed", order=order)
        assert reads(floor)[order] == walked[order] + 1
        assert reads(floor)[other] == before[other]
        assert len(await floor.events("order.refreshed", order=order)) == 1


async def test_steps_go_first(tmp_path: Path) -> None:
    """One slot, and orders that wait for it: none is read before the last step of all of them."""
    limits = {"concurrency": 1, "rate_per_second": 10000, "burst": 10000, "window": {"calls": 0}}
    async with refreshing(tmp_path, "selldone", orders=12, limits=limits) as floor:
        found = [each for each in await floor.orders() if each.state == "CheckQueue"]
        await floor.commands.pause("acme", None)
        for order in found:
            await floor.submit(order.id, "accepted")
        earlier = len(floor.sandbox.ledger.calls())
        await floor.commands.resume("acme")
        refreshed = await floor.event("order.refreshed", count=len(found))
        assert {each.order for each in refreshed} == {order.id for order in found}
        # not by events: a sync follows the resume, and may show an order between its step and its read
        is_read = [call.step == "read" for call in floor.sandbox.ledger.calls()[earlier:] if call.order]
        assert is_read == sorted(is_read)
        assert 0 < sum(is_read) < len(is_read)


async def test_what_it_shows_is_written_behind_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with refreshing(tmp_path, "selldone") as floor:
        shop, order = await the_order(floor)
        other = next(each.id for each in await floor.orders() if each.state == "CheckQueue" and each.id != order)
        held, may_go_on, write_bulk = anyio.Event(), anyio.Event(), type(floor.store).write_bulk

        async def written(store: Store, unit: Any) -> Any:
            held.set()
            await may_go_on.wait()
            return await write_bulk(store, unit)

        monkeypatch.setattr(type(floor.store), "write_bulk", written)
        await take(floor, "selldone", shop, order)
        with anyio.fail_after(60):
            await held.wait()
        assert (await floor.reach(other, "accepted", shop)).status is TargetStatus.REACHED
        assert await floor.events("order.refreshed") == []
        may_go_on.set()
        await floor.event("order.refreshed", order=order)


@every_platform
async def test_it_can_be_switched_off(platform: str, tmp_path: Path) -> None:
    async with refreshing(tmp_path, platform, None) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        await take(floor, platform, shop, order)
        assert await floor.events("order.refreshed") == []
        await floor.commands.sync(shop, 30)
        assert len(await floor.events("order.refreshed")) == 1


@pytest.mark.parametrize("fault", ["drop_before", "error_after", "garbage", "throttle"])
async def test_a_read_that_fails_is_made_again(tmp_path: Path, fault: str) -> None:
    async with refreshing(tmp_path, "selldone", 0.05) as floor:
        shop, order = await the_order(floor)
        await floor.commands.refresh(shop, order)
        floor.sandbox.faults.script(fault, step="read")
        await take(floor, "selldone", shop, order)
        await floor.event("order.refreshed", order=order)
        assert not (await content(floor, shop, order))["stale"]


async def test_an_order_whose_step_a_person_made_is_read_as_well(tmp_path: Path) -> None:
    async with refreshing(tmp_path, "selldone") as floor:
        shop, order = await the_order(floor)
        floor.sandbox.faults.script_answer(422, b"{}", step="confirm")
        assert (await floor.reach(order, "accepted", shop)).status is TargetStatus.BLOCKED
        await floor.commands.skip(shop, order, "confirmed in the panel")
        floor.sandbox.selldone.panel.move(order, "OrderConfirm")
        await floor.event("order.refreshed", order=order)
        assert not (await content(floor, shop, order))["stale"]


# -- by itself ---------------------------------------------------------------------------------------------------------


class Reads:
    """Stands for a shop whose orders are all outdated: what is asked for, in sequence, and whether there is room."""

    def __init__(self, failing: str = "", unread: str = "", times: int = 0) -> None:
        self.asked: list[str] = []
        self.failing, self.asked_for_room = failing, 0
        self.unread, self.times = unread, times
        self.read_last = anyio.Event()
        self.changed = Wakeup()
        self.room = Room(self.has_room, lambda: 0.0, self.changed)
        store = SimpleNamespace(read=self._is_outdated)
        self.services: Any = SimpleNamespace(
            store=store, clock=Clock(monotonic=lambda: 0.0), policy=SimpleNamespace(shop="acme")
        )

    async def _is_outdated(self, _unit: Any) -> bool:
        return True

    async def follow(self, order: str) -> Any:
        self.asked.append(order)
        if order == "last":
            self.read_last.set()
        if order == self.failing:
            raise Transient("502")
        is_stale = order == self.unread and self.asked.count(order) <= self.times
        return None, Adopted.STALE if is_stale else Adopted.UPDATED

    def has_room(self) -> bool:
        self.asked_for_room += 1
        return self.asked_for_room > 1


@pytest.mark.parametrize("failing", ["", "bad"])
async def test_an_order_that_cannot_be_read_is_left_to_the_next_sync(failing: str) -> None:
    shop = Reads(failing)
    refreshes = Refreshes(shop.services, shop.follow, 0.0, shop.room)
    async with anyio.create_task_group() as group:
        for order in ("good", "bad", "good"):
            refreshes.note(order)
        group.start_soon(refreshes.run)
        for _ in range(20):
            await checkpoint()
        assert shop.asked == [], "there was no room"
        await anyio.wait_all_tasks_blocked()
        refreshes.note("last")
        await shop.read_last.wait()
        group.cancel_scope.cancel()
    tries = shop.asked.count("bad")
    assert (tries, shop.asked.count("good")) == ((3, 1) if failing else (1, 1))


@pytest.mark.parametrize(("times", "tries"), [(0, 1), (1, 2), (9, 3)])
async def test_a_read_that_may_be_older_than_the_step_is_made_again(times: int, tries: int) -> None:
    """A step ended during it, or our clock was set back since: what it showed was not adopted."""
    shop = Reads(unread="1", times=times)
    refreshes = Refreshes(shop.services, shop.follow, 0.0, shop.room)
    refreshes.note("1")
    async with anyio.create_task_group() as group:
        group.start_soon(refreshes.run)
        with anyio.fail_after(60):
            while len(shop.asked) < tries:
                await checkpoint()
        await anyio.wait_all_tasks_blocked()
        refreshes.note("last")
        await shop.read_last.wait()
        group.cancel_scope.cancel()
    assert shop.asked == ["1"] * tries + ["last"]


async def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.runtime.refreshes._MOST", 2)
    shop = Reads()
    refreshes = Refreshes(shop.services, shop.follow, 0.0, shop.room)
    for order in ("1", "2", "last"):
        refreshes.note(order)
    async with anyio.create_task_group() as group:
        group.start_soon(refreshes.run)
        await shop.read_last.wait()
        group.cancel_scope.cancel()
    assert shop.asked == ["2", "last"]


def opened_circuit(admission: Admission) -> None:
    admission.failed("502")


def probing(admission: Admission) -> None:
    opened_circuit(admission)
    assert admission.try_acquire(), "its cooldown is over"


@pytest.mark.parametrize(
    ("closes", "opens"),
    [
        (lambda admission: admission.set_paused(True), lambda admission: admission.set_paused(False)),
        (opened_circuit, Admission.reset),
        (opened_circuit, Admission.succeeded),
        (probing, Admission.succeeded),
        (lambda admission: admission.throttled(3600, "429"), Admission.reset),
    ],
)
async def test_a_shop_that_admits_no_calls_is_asked_again_when_it_does(
    closes: Callable[[Admission], None], opens: Callable[[Admission], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes, and not every moment until then: thousands of shops may be paused."""
    monkeypatch.setattr("orchestrator.runtime.refreshes._NAP_SECONDS", 0.0)  # so that every nap is seen
    shop = Reads()
    asked = 0

    def has_room() -> bool:
        nonlocal asked
        asked += 1
        return admission.has_spare

    admission = Admission(Limits(100, 100, 8, 1, 0), lambda: 1.0, on_change=shop.changed.ring)
    room = Room(has_room, admission.seconds_without_spare, shop.changed)
    refreshes = Refreshes(shop.services, shop.follow, 0.0, room)
    closes(admission)
    refreshes.note("last")
    async with anyio.create_task_group() as group:
        group.start_soon(refreshes.run)
        for _ in range(100):
            await checkpoint()
        assert shop.asked == []
        assert asked <= 2, "at first, and once more when what closed it was signalled"
        opens(admission)
        with anyio.fail_after(60):
            await shop.read_last.wait()
        group.cancel_scope.cancel()
