"""How much time really passed: no clock makes anything older than it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import Clock, Uptime
from orchestrator.process.passage import Watchman, advance
from storage.engines import open_store
from storage.events import append_event
from storage.passage import Passage
from storage.store import Store
from tests.support.engines import store_url

pytestmark = pytest.mark.engines("sqlite", "postgresql")

DAY = 86_400_000
NOW = 1_760_000_000_000
RETENTION = 400 * DAY


@dataclass
class Machine:
    """A machine with a clock, which a test sets, and a time that really passes."""

    wall_ms: int = NOW
    passed_ms: int = 0
    boots: int = 1
    booted_at_ms: int = 0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(lambda: self.wall_ms, lambda: self.passed_ms / 1000, self.uptime)

    def uptime(self) -> Uptime:
        return Uptime(f"boot-{self.boots}", self.passed_ms - self.booted_at_ms)

    def live(self, ms: int) -> None:
        self.wall_ms += ms
        self.passed_ms += ms

    def reboot(self, ahead_ms: int = 0) -> None:
        self.boots += 1
        self.booted_at_ms = self.passed_ms
        self.wall_ms += ahead_ms


def watchman(store: Store, machine: Machine) -> Watchman:
    return Watchman(store, machine.clock, lambda: RETENTION)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return store_url(tmp_path)


async def test_while_the_clock_is_right_it_is_what_counts(url: str) -> None:
    machine = Machine()
    async with open_store(url, NOW) as store:
        man = watchman(store, machine)
        for _ in range(5):
            assert await man.measure() == machine.wall_ms
            machine.live(30 * DAY)
        machine.wall_ms += 900  # set right a little
        assert await man.measure() == machine.wall_ms


async def test_a_clock_that_jumps_while_the_daemon_runs_makes_nothing_older(url: str) -> None:
    machine = Machine()
    async with open_store(url, NOW) as store:
        man = watchman(store, machine)
        await man.measure()
        machine.live(DAY)
        machine.wall_ms += 500 * DAY
        assert await man.measure() == NOW + DAY
        machine.live(DAY)
        assert await man.measure() == NOW + 2 * DAY


@pytest.mark.parametrize("reboots", [True, False])
async def test_nor_does_one_that_is_ahead_at_a_start(url: str, reboots: bool) -> None:
    machine = Machine()
    async with open_store(url, NOW) as store:
        await watchman(store, machine).measure()
    machine.reboot() if reboots else None
    machine.wall_ms += 500 * DAY
    async with open_store(url, NOW) as store:
        man = watchman(store, machine)
        assert await man.measure() == NOW
        machine.wall_ms -= 500 * DAY  # set right
        assert await man.measure() == NOW


async def test_a_restart_of_the_daemon_alone_loses_no_time(url: str) -> None:
    machine = Machine()
    async with open_store(url, NOW) as store:
        await watchman(store, machine).measure()
    machine.live(50 * DAY)
    async with open_store(url, NOW) as store:
        assert await watchman(store, machine).measure() == NOW + 50 * DAY


async def test_a_store_from_before_is_as_late_as_the_newest_of_what_it_holds(url: str) -> None:
    machine = Machine()
    async with open_store(url, NOW) as store:
        await store.write(lambda tx: append_event(tx, NOW - 5 * DAY, "x"))
        machine.wall_ms += 500 * DAY
        assert await watchman(store, machine).measure() == NOW - 5 * DAY


async def test_a_jump_is_forgiven_once_everything_before_it_is_old_by_any_measure(url: str) -> None:
    machine = Machine(wall_ms=0)
    async with open_store(url, NOW) as store:
        man = watchman(store, machine)
        await man.measure()
        machine.wall_ms = NOW  # the machine has found out what year it is
        for _ in range(400):
            late = await man.measure()
            assert late < DAY * 401
            machine.live(DAY)
        assert await man.measure() == machine.wall_ms


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30 * DAY),  # passes
            st.one_of(st.just(0), st.integers(-600 * DAY, 600 * DAY)),  # the clock jumps
            st.booleans(),  # seen by nobody: the machine is off meanwhile
        ),
        max_size=30,
    )
)
def test_nothing_that_is_younger_than_the_retention_is_ever_old(moves: list[tuple[int, int, bool]]) -> None:
    machine, known = Machine(), Passage(NOW, None, 0, 0, 0, 0)
    written: list[tuple[int, int]] = []  # what the clock showed, and when it really was
    for passes, jumps, is_off in moves:
        written.append((machine.wall_ms, machine.passed_ms))
        machine.live(passes)
        machine.wall_ms += jumps
        if is_off:
            machine.reboot()
        known = advance(known, machine.wall_ms, machine.uptime(), 0 if is_off else passes, RETENTION)
        before = machine.wall_ms - known.ahead_ms - RETENTION
        for stamp, at in written:
            if stamp < before - 60_000 * len(moves):
                assert machine.passed_ms - at >= RETENTION, "deleted too early"
