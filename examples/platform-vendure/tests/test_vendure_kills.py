"""The daemon is killed, calls fail and people change orders in the dashboard, while a real Vendure is driven.

What happened is read in Vendure itself: its fulfillments, its history, its states. The sandbox's ledger has to agree.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.sandbox.base import encode
from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from platform_vendure.sandbox.server import REMEDY, missing
from platform_vendure.sandbox.shop import Office
from tests.e2e import test_crash_platforms as matrix
from tests.support.process import DaemonProcess, Unreachable, daemon_process
from tests.support.skips import skip

if (trouble := missing()) is not None:
    skip(trouble, REMEDY)

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.timeout(2700)]

ORDERS = 200
KILLS = (15, 50, 90, 130, 170)
"""The daemon dies when so many orders are where they are wanted, with others on their way."""
FAULTS = {"mixed": 0.1, "stall": 0.02}
CLERKS = 12
"""So many orders are on their way at a time."""

Body = dict[str, Any]


@pytest.mark.parametrize("point", ["after_intent:4", "after_call:4", "after_outcome:4"])
async def test_a_kill_repeats_and_loses_nothing(tmp_path: Path, point: str) -> None:
    await matrix.test_a_kill_repeats_and_loses_nothing_on_any_platform(tmp_path, "vendure", point)


async def test_with_a_fifth_of_all_calls_failing_a_kill_still_repeats_nothing(tmp_path: Path) -> None:
    await matrix.test_with_a_fifth_of_all_calls_failing_a_kill_still_repeats_nothing(tmp_path, "vendure")


async def test_two_hundred_orders_reach_their_targets_through_kills_faults_and_people(tmp_path: Path) -> None:
    settings = SandboxSettings(orders=ORDERS, stall_seconds=0.2)
    sandbox = Sandbox(settings)
    office = sandbox.vendure.panel
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "vendure", timeout_seconds=30)
        sandbox.faults.set_rates(FAULTS)
        work = Work(daemon, shop, office, sandbox.vendure.order_ids())
        with anyio.fail_after(2400):
            await work.done()
        sandbox.faults.set_rates({})
        await daemon.ready()
        status, report = await daemon.call("POST", f"/v1/shops/{shop}/sync?wait=60")
        assert status == 200, report
        for order, wish in work.wishes.items():
            await _is_as_wanted(daemon, shop, office, order, wish)
            assert sandbox.ledger.effects(order) == [step for step, _ in wish.effects], sandbox.ledger.calls(order)
        assert daemon.starts == len(KILLS) + 1
        assert sandbox.ledger.repeats_after_effect() == []
        assert sandbox.ledger.overlapping() == []
        await _told_once(daemon, work)
        assert await daemon.terminate() == 0


# -- what is wanted ----------------------------------------------------------------------------------------------------


class Wish:
    """What the ERP wants of an order, one target after another, and what has to happen in Vendure for it.

    `parcels`: goods by line and the code of each; `effects`: the steps of the ledger with what the history calls them;
    `before`: what a person does first, `after`: and at the end.
    """

    def __init__(self, n: int, order: str, lines: Mapping[str, int]) -> None:
        kettles, *rest = lines
        code, other = f"T-{order}-1", f"T-{order}-2"
        self.before: str | None = None
        self.after: str | None = None
        self.parcels: dict[str, dict[str, int]] = {code: dict(lines)}
        self.state = "Delivered"
        match n % 6:
            case 0:
                self.targets: list[Body] = [{"state": "delivered", "tracking": {"code": code}}]
            case 1:  # in two parcels, with other goods each
                self.parcels = {code: {kettles: lines[kettles]}, other: {line: lines[line] for line in rest}}
                self.targets = [_parcel(name, goods) for name, goods in self.parcels.items()]
                self.targets.append({"state": "delivered"})
            case 2:  # in two parcels, with some of the same goods; the second one is not delivered by us
                self.parcels = {code: {kettles: 1}, other: {kettles: lines[kettles] - 1, **{r: lines[r] for r in rest}}}
                self.targets = [_parcel(name, goods) for name, goods in self.parcels.items()]
                self.state = "Shipped"
            case 3:
                self.targets = [{"state": "cancelled", "reason": "out of stock"}]
                self.parcels, self.state = {}, "Cancelled"
            case 4:  # the buyer takes a piece less, which a person notes before anything is shipped
                self.before = "cancel_item"
                self.parcels = {code: {**lines, kettles: lines[kettles] - 1}}
                self.targets = [{"state": "delivered", "tracking": {"code": code}}]
            case _:  # and gets some money back after all
                self.after = "refund"
                self.targets = [{"state": "shipped", "tracking": {"code": code}}, {"state": "delivered"}]

    @property
    def effects(self) -> list[tuple[str, tuple[str, str] | None]]:
        """Each step that takes effect, with the transition of a fulfillment that it is."""
        if self.state == "Cancelled":
            return [("cancel", None)]
        each = [("fulfill", ("Created", "Pending")), ("mark_shipped", ("Pending", "Shipped"))]
        ends = [("mark_delivered", ("Shipped", "Delivered"))] if self.state == "Delivered" else []
        count = len(self.parcels)
        return [*(each * count), *(ends * count)]


def _parcel(code: str, goods: Mapping[str, int]) -> Body:
    items = [{"id": line, "quantity": count} for line, count in goods.items()]
    return {"state": "shipped", "tracking": {"code": code}, "items": items}


# -- who works ---------------------------------------------------------------------------------------------------------


class Work:
    """An ERP that submits until it is heard, people in the dashboard, and somebody who kills the daemon."""

    def __init__(self, daemon: DaemonProcess, shop: str, office: Office, orders: Sequence[str]) -> None:
        self.daemon, self.shop, self.office = daemon, shop, office
        self.wishes = {
            order: Wish(n, order, {line["id"]: line["quantity"] for line in office.seen(order)["lines"]})
            for n, order in enumerate(orders)
        }
        self.reached: list[str] = []
        self._rng = random.Random(7)
        self._ended = 0

    async def done(self) -> None:
        """Works until every target is reached."""
        self.daemon.start()
        async with anyio.create_task_group() as clerks:
            waiting = iter(self.wishes)
            for _ in range(CLERKS):
                clerks.start_soon(self._clerk, waiting)

    async def _clerk(self, waiting: Any) -> None:
        for order in waiting:
            wish = self.wishes[order]
            if wish.before is not None:
                self.office.operate({"action": wish.before, "order": order})
            for n, body in enumerate(wish.targets):
                await self._reach(order, f"{order}-{n}", body)
            if wish.after is not None:
                self.office.operate({"action": wish.after, "order": order, "amount": 500})
            self._ended += 1
            if self._ended in KILLS:
                self.daemon.kill()
                self.daemon.start()

    async def _reach(self, order: str, key: str, body: Body) -> None:
        target = await self._submit(order, key, body)
        held = self._meddle(order)
        while True:
            _, answer = await self._call("GET", f"/v1/targets/{target}?wait=1")
            if held is not None:
                self._let_go(order, held)
                held = None
                await self._refresh(order)
            if answer["status"] == "reached":
                self.reached.append(target)
                return
            assert answer["status"] in ("queued", "running"), encode([answer, self.office.seen(order)])

    async def _refresh(self, order: str) -> None:
        """Until it is read: the daemon looks only every few minutes for the end of what it waits for."""
        while True:
            status, answer = await self._call("POST", f"/v1/shops/{self.shop}/orders/{order}/refresh")
            if status == 200:
                return
            assert status == 503, answer
            await anyio.sleep(0.05)  # as in `_submit`

    async def _submit(self, order: str, key: str, body: Body) -> str:
        while True:
            path = f"/v1/shops/{self.shop}/orders/{order}/targets"
            status, answer = await self._call("POST", path, body, {"Idempotency-Key": key})
            if status == 202:
                return str(answer["id"])
            assert status == 503, answer
            await anyio.sleep(0.05)  # the daemon said so: it cannot ask the platform just now

    async def _call(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any]:
        """One call, made again until a daemon is there that answers."""
        while True:
            try:
                return await self.daemon.call(method, path, body, headers)
            except Unreachable:
                assert self.daemon.is_running, self.daemon.errors.read_text()
                await anyio.sleep(0.05)  # nothing reports the start of a process

    def _meddle(self, order: str) -> str | None:
        """A person does something to the order that is just being driven; the state that it was in, where they have
        begun to modify it and not ended yet."""
        action = self._rng.choice(("edit", "note", "modify", None))
        before: str = self.office.seen(order)["state"]
        given = {"receiver_name": f"Name {order}", "text": "ring twice"}
        if action is not None:
            try:
                self.office.operate({"action": action, "order": order, **given})
            except PanelError:
                return None  # a cancelled or delivered order is past that
        return before if action == "modify" else None

    def _let_go(self, order: str, state: str) -> None:
        """Ends a modification. What was shipped or delivered meanwhile has moved the order on, or keeps it from where
        it was: then it goes by way of PaymentSettled."""
        for to in (state, "PaymentSettled", "Delivered"):
            try:
                self.office.operate({"action": "end_modification", "order": order, "state": to})
            except PanelError:
                if self.office.seen(order)["state"] != "Modifying":
                    return
            else:
                if to == state:
                    return


# -- what came of it ---------------------------------------------------------------------------------------------------


async def _is_as_wanted(daemon: DaemonProcess, shop: str, office: Office, order: str, wish: Wish) -> None:
    """Vendure holds just what was wanted, each parcel once and each of its steps once, and the daemon says the same."""
    seen = office.seen(order)
    parcels = {
        each["trackingCode"]: {line["orderLineId"]: line["quantity"] for line in each["lines"]}
        for each in seen["fulfillments"]
    }
    assert len(seen["fulfillments"]) == len(parcels)
    assert parcels == wish.parcels
    assert seen["state"] == wish.state
    entries = [entry["data"] for entry in seen["history"]["items"] if entry["type"] == "ORDER_FULFILLMENT_TRANSITION"]
    told = [(entry["from"], entry["to"]) for entry in entries]
    assert seen["history"]["totalItems"] == len(seen["history"]["items"]), "there is more than one page of it"
    assert told == [moved for _, moved in wish.effects if moved is not None]
    _, found = await daemon.call("GET", f"/v1/shops/{shop}/orders/{order}")
    assert found["state"] == wish.state, found
    assert found["situation"] in ("idle", "ended"), found


async def _told_once(daemon: DaemonProcess, work: Work) -> None:
    """The feed has each target once, and each step of each order once, in sequence."""
    after, events = 0, []
    while True:
        _, page = await daemon.call("GET", f"/v1/events?after={after}&limit=1000")
        if not page["events"]:
            break
        events += page["events"]
        after = page["next"]
    assert sorted(each["target"] for each in events if each["type"] == "target.reached") == sorted(work.reached)
    for order, wish in work.wishes.items():
        mine = [each for each in events if each["order"] == order]
        done = [each["data"]["step"] for each in mine if each["type"] == "step.done"]
        assert done == [step for step, _ in wish.effects], encode(mine)
