"""Long lists of many shops: a few pages at once, and no platform that is silent keeps the others waiting."""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from orchestrator.platforms.client import OrderSnapshot, Page
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.selldone.client import SelldoneClient
from orchestrator.runtime import supervisor, walk_turns
from orchestrator.runtime.list_adoption import ListAdoption
from orchestrator.runtime.walk_turns import WalkTurns
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.shopfloor import config_of, working_on


class Crowd:
    """How many are inside, and how many were at most."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def enter(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def leave(self) -> None:
        self.now -= 1


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No turn is taken over, however loaded the machine is."""
    monkeypatch.setattr(supervisor, "WalkTurns", partial(WalkTurns, patience_seconds=600))
    monkeypatch.setattr(walk_turns, "_SHORT_PATIENCE_SECONDS", 600)


@pytest.mark.usefixtures("patient")
async def test_first_syncs_have_a_few_pages_at_once_whatever_the_number_of_shops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd, list_page, adopt_page = Crowd(), SelldoneClient.list_page, ListAdoption.adopt_page

    async def listed(client: SelldoneClient, position: Any, cursor: Any) -> Page:
        crowd.enter()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        return await list_page(client, position, cursor)

    async def adopted(adoption: ListAdoption, *given: Any) -> None:
        await adopt_page(adoption, *given)
        crowd.leave()

    monkeypatch.setattr(SelldoneClient, "list_page", listed)
    monkeypatch.setattr(ListAdoption, "adopt_page", adopted)
    sandbox = Sandbox(SandboxSettings(orders=3, shops=12))
    async with sandbox.running(), working_on(sandbox, config_of(sandbox, tmp_path), tmp_path) as floor:
        await floor.event("sync.completed", count=12)
        assert len(await floor.orders()) == 36
        assert 1 < crowd.most <= 4


@pytest.mark.usefixtures("patient")
async def test_a_start_takes_up_a_few_shops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, list_page, adopt_page = Crowd(), SelldoneClient.list_page, ListAdoption.adopt_page
    taken, all_taken = 0, anyio.Event()

    async def listed(client: SelldoneClient, position: Any, cursor: Any) -> Page:
        assert position is not None
        crowd.enter()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        return await list_page(client, position, cursor)

    async def adopted(adoption: ListAdoption, *given: Any) -> None:
        nonlocal taken
        await adopt_page(adoption, *given)
        crowd.leave()
        taken += 1
        if taken == 24:
            all_taken.set()

    sandbox = Sandbox(SandboxSettings(orders=1, shops=24))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.event("sync.completed", count=24)
        monkeypatch.setattr(SelldoneClient, "list_page", listed)
        monkeypatch.setattr(ListAdoption, "adopt_page", adopted)
        with anyio.fail_after(60):
            async with working_on(sandbox, config, tmp_path):
                await all_taken.wait()
    assert 1 < crowd.most <= 16


async def test_short_pages_of_platforms_that_are_silent_keep_no_others_waiting() -> None:
    turns, answered, done = walk_turns.short_turns(), anyio.Event(), []

    async def walk(name: str, call: Any) -> None:
        async with turns.turn() as turn:
            await turn.during(call)
        done.append(name)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(walk, f"silent {number}", answered.wait)
            await anyio.lowlevel.checkpoint()
            async with anyio.create_task_group() as others:
                for number in range(5):
                    others.start_soon(walk, f"answers {number}", anyio.lowlevel.checkpoint)
            assert sorted(done) == [f"answers {number}" for number in range(5)]
            answered.set()
    assert len(done) == 105


@pytest.mark.usefixtures("patient")
async def test_no_shop_that_waits_for_its_turn_has_a_page_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshots() -> int:
        return sum(type(each) is OrderSnapshot for each in gc.get_objects())

    gc.collect()
    list_page, most, others = SelldoneClient.list_page, 0, snapshots()

    async def listed(client: SelldoneClient, position: Any, cursor: Any) -> Page:
        nonlocal most
        most = max(most, snapshots() - others)
        return await list_page(client, position, cursor)

    monkeypatch.setattr(SelldoneClient, "list_page", listed)
    sandbox = Sandbox(SandboxSettings(orders=60, shops=12))
    # a call that a busy machine has given up keeps its page for as long as its failure is told
    changes = {"poll": {"interval_seconds": 3600, "page_size": 25}, "timeout_seconds": 120}
    async with sandbox.running(), working_on(sandbox, config_of(sandbox, tmp_path, changes), tmp_path) as floor:
        await floor.event("sync.completed", count=12)
        assert len(await floor.orders()) == 720
    assert 0 < most <= 4 * 25


async def test_a_call_that_does_not_return_gives_its_turn_to_others() -> None:
    turns, answered, done = WalkTurns(at_once=2, patience_seconds=0.001), anyio.Event(), []

    async def walk(name: str, call: Any) -> None:
        async with turns.turn() as turn:
            await turn.during(call)
        done.append(name)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(walk, f"silent {number}", answered.wait)
            await anyio.lowlevel.checkpoint()
            async with anyio.create_task_group() as others:
                for number in range(5):
                    others.start_soon(walk, f"answers {number}", anyio.lowlevel.checkpoint)
            assert sorted(done) == [f"answers {number}" for number in range(5)]
            answered.set()
    assert len(done) == 13


async def test_where_every_call_takes_long_not_all_of_them_go_out() -> None:
    turns, crowd = WalkTurns(at_once=2, patience_seconds=0.001), Crowd()
    answered, all_out = anyio.Event(), anyio.Event()

    async def call() -> None:
        crowd.enter()
        if crowd.now == 10:
            all_out.set()
        await answered.wait()

    async def walk() -> None:
        async with turns.turn() as turn:
            await turn.during(call)
            crowd.leave()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(walk)
            await all_out.wait()
            with anyio.move_on_after(0.05):
                await turns.take()
            assert crowd.most == 10
            answered.set()
    assert crowd.now == 0


async def test_who_lost_its_turn_waits_for_another_one() -> None:
    turns, crowd, answered = WalkTurns(at_once=1, patience_seconds=0.001), Crowd(), anyio.Event()

    async def walk(call: Any) -> None:
        async with turns.turn() as turn:
            await turn.during(call)
            crowd.enter()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            crowd.leave()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(walk, answered.wait)
            await anyio.lowlevel.checkpoint()
            async with anyio.create_task_group() as others:
                for _ in range(5):
                    others.start_soon(walk, anyio.lowlevel.checkpoint)
                answered.set()
    assert crowd.most == 1


@pytest.mark.parametrize("is_taken_over", [False, True])
async def test_a_call_that_fails_leaves_as_many_turns_as_there_were(is_taken_over: bool) -> None:
    turns = WalkTurns(at_once=1, patience_seconds=0.001)

    async def fail(until: anyio.Event) -> None:
        await until.wait()
        raise Transient("no answer")

    async def walk(until: anyio.Event) -> None:
        with pytest.raises(Transient):
            async with turns.turn() as turn:
                await turn.during(partial(fail, until))

    with anyio.fail_after(60):
        for _ in range(3):
            until = anyio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(walk, until)
                await anyio.lowlevel.checkpoint()
                if is_taken_over:
                    async with turns.turn():
                        pass
                until.set()
        async with turns.turn():
            with anyio.move_on_after(0.01) as waited:
                await turns.take()
        assert waited.cancelled_caught, "there is one turn, not two"
