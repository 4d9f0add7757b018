"""An ERP that has each order of a shop delivered, and what must hold of each once all have arrived."""

from __future__ import annotations

from orchestrator.sandbox.server import Sandbox
from tests.support.process import DaemonProcess, Unreachable

WALK = ["confirm", "prepare", "set_tracking", "send", "deliver"]


class Erp:
    """Submits each order's target until it is accepted, as an ERP does: with the same key, over and over."""

    def __init__(self, daemon: DaemonProcess, shop: str, orders: list[str]) -> None:
        self.daemon, self.shop = daemon, shop
        self.targets: dict[str, str | None] = dict.fromkeys(orders)

    async def submit_all(self) -> None:
        for order, target in self.targets.items():
            if target is None:
                self.targets[order] = await self._submit(order)

    async def _submit(self, order: str) -> str | None:
        body = {"state": "delivered", "tracking": {"code": f"T{order}"}}
        path = f"/v1/shops/{self.shop}/orders/{order}/targets"
        status, answer = await self.daemon.call("POST", path, body, {"Idempotency-Key": f"key-{order}"})
        assert status in (202, 503), answer
        return str(answer["id"]) if status == 202 else None

    async def all_reached(self) -> bool:
        if None in self.targets.values():
            return False
        for target in self.targets.values():
            _, answer = await self.daemon.call("GET", f"/v1/targets/{target}?wait=5")
            assert answer["status"] not in ("failed", "blocked", "cancelled"), answer
            if answer["status"] != "reached":
                return False
        return True


async def drive(daemon: DaemonProcess, erp: Erp) -> None:
    """Keeps the daemon alive and the ERP asking until everything is reached."""
    while True:
        if not daemon.is_running:
            daemon.start()
        try:
            await daemon.ready()
            await erp.submit_all()
            if await erp.all_reached():
                return
        except Unreachable:
            continue


async def reported_once(daemon: DaemonProcess, erp: Erp) -> None:
    """The feed has each target once, and each step of each order done once, in sequence."""
    after, events = 0, []
    while True:
        _, page = await daemon.call("GET", f"/v1/events?after={after}&limit=1000")
        if not page["events"]:
            break
        events += page["events"]
        after = page["next"]
    reached = [event["target"] for event in events if event["type"] == "target.reached"]
    assert sorted(reached) == sorted(str(target) for target in erp.targets.values())
    for order in erp.targets:
        done = [e["data"]["step"] for e in events if e["type"] == "step.done" and e["order"] == order]
        assert done == WALK


def did_nothing_twice(sandbox: Sandbox, orders: list[str]) -> None:
    """Each order took each of its steps once, in sequence."""
    for order in orders:
        assert sandbox.ledger.effects(order) == WALK
    assert sandbox.ledger.repeats_after_effect() == []
    assert sandbox.ledger.out_of_sequence() == []
