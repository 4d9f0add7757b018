"""Whoever prints a part of the running daemon sees in one line what it is doing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from orchestrator.clock import Chance, Clock
from orchestrator.intake.inbox import Inbox
from orchestrator.runtime.admission import Admission, Limits
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.push.erp import dispatching, running_erp, settings
from tests.support.shopfloor import shopfloor
from tests.support.stopwatch import Stopwatch


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


def test_an_admission_says_why_it_admits_no_calls(watch: Stopwatch) -> None:
    admission = Admission(Limits(1.0, 5, 2, 2, 30.0), watch)
    assert repr(admission) == "<Admission open: circuit closed, 5.0 permits, 0 waiting>"
    admission.throttled(4, "slow down")
    assert repr(admission) == "<Admission closed by retry_after for 4.0 s: circuit closed, 5.0 permits, 0 waiting>"
    admission.reset()
    admission.try_acquire()
    admission.set_paused(True)
    assert repr(admission) == "<Admission paused: circuit closed, 4.0 permits, 0 waiting>"


async def test_a_worker_says_what_is_driven_and_whether_calls_are_admitted(tmp_path: Path) -> None:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), tmp_path) as floor:
        worker = floor.supervisor.worker("acme")
        shown = repr(worker)
        assert "<ShopWorker acme: <Dispatcher of acme: 0 slots, 0 driven, 0 listed>, <Admission open" in shown
        assert "\n" not in shown
        inbox = Inbox(floor.store, floor.supervisor.worker, Clock(), Chance(random.Random(1)))
        assert repr(inbox) == "<Inbox: at work for [], waits for []>"


async def test_a_pusher_says_how_far_it_came(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.publish("7")
        await erp.takes(1)
        shown = repr(it.deliveries)
        assert "<Pusher to orders_url: at cursor" in shown
        assert "0 failed rounds" in shown
