"""A call that does not leave because the shop's lease may be over: it waits, and counts as nothing's failure."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from orchestrator.platforms.failures import NotSent, Transient, Unreadable
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.worker import ShopWorker
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import TargetStatus
from tests.support.shopfloor import SHOP, Shopfloor, shopfloor

#: the first failure opens the circuit for an hour, and is the last attempt
STRICT = {
    "retry": {"attempts": 1, "base_seconds": 3600, "max_seconds": 3600},
    "circuit": {"failures": 1, "cooldown_seconds": 3600},
}


def worker_of(floor: Shopfloor) -> ShopWorker:
    worker = floor.supervisor.worker(SHOP)
    assert worker is not None
    return worker


class Doubt:
    """Whether calls may leave, as the lease says: those numbered here may not."""

    def __init__(self, *withheld: int) -> None:
        self.asked, self._withheld = 0, withheld

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked not in self._withheld


@pytest.mark.parametrize("platform", ["selldone", "cloudsuite", "xsale", "shopify", "woocommerce"])
async def test_a_step_that_was_not_sent_costs_no_attempt_and_opens_no_circuit(tmp_path: Path, platform: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, STRICT, platform=platform) as floor:
        (shop,) = floor.supervisor.shops()
        worker = floor.supervisor.worker(shop)
        assert worker is not None
        (order,) = await floor.orders()
        # whichever call of a step it is that does not leave: its look before, its change or its look behind
        doubt = Doubt(1, 3, 6)
        worker.admission.meter.send_while(doubt)
        with anyio.fail_after(60):
            target = await floor.reach(order.id, "delivered", shop, tracking={"code": "A1"})
        assert (target.status, target.problem) == (TargetStatus.REACHED, None)
        assert doubt.asked > 1
        assert await floor.events("step.failed", "read.failed", "order.blocked") == []
        assert worker.admission.circuit == "closed"
        assert (await floor.order(order.id, shop)).attempts == 0
        assert sandbox.ledger.repeats_after_effect() == []


async def test_a_read_that_was_not_sent_is_not_admitted_and_counts_as_no_failed_sync(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path, STRICT) as floor:
        worker = worker_of(floor)
        (order,) = await floor.orders()
        worker.admission.meter.send_while(lambda: False)
        with pytest.raises(NotAdmitted):
            await worker.reads.read(order.id)
        assert worker.admission.is_unsure
        assert not worker.admission.admits_calls
        with pytest.raises(NotAdmitted):
            await worker.sync_schedule.ask()
        worker.admission.meter.send_while(lambda: True)
        worker.resume()
        assert (await worker.sync_schedule.ask()).seen == 1
        assert await floor.events("sync.failed") == []
        assert worker.admission.circuit == "closed"


def test_what_a_failure_means_behind_an_effect() -> None:
    unsent = NotSent("why").after_effect()
    assert isinstance(unsent, NotSent)
    assert unsent.is_ambiguous
    asked_to_wait = Transient("why", retry_after_seconds=7).after_effect()
    assert (asked_to_wait.is_ambiguous, asked_to_wait.retry_after_seconds) == (True, 7)
    assert Unreadable("why", b"").after_effect().is_ambiguous
