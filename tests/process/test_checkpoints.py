"""Named points: armed by the environment, gone at the right count, held and awaited in tests, nothing in production."""

from __future__ import annotations

import signal

import anyio
import pytest

from orchestrator.checkpoints import POINTS, CheckpointError, Checkpoints, Watch


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals that would have killed this process."""
    sent: list[int] = []
    monkeypatch.setattr("orchestrator.checkpoints.os.kill", lambda pid, number: sent.append(number))
    return sent


async def test_the_armed_point_kills_at_its_count_and_no_other_point_does(kills: list[int]) -> None:
    points = Checkpoints("after_call:3")
    for point in POINTS:
        if point != "after_call":
            await points.reach(point)
    await points.reach("after_call")
    await points.reach("after_call")
    assert kills == []
    await points.reach("after_call")
    assert kills == [signal.SIGKILL]


@pytest.mark.parametrize("spec", ["after_intent", "after_intent:", "after_intent:1"])
async def test_without_a_count_the_first_time_kills(kills: list[int], spec: str) -> None:
    await Checkpoints(spec).reach("after_intent")
    assert kills == [signal.SIGKILL]


@pytest.mark.parametrize("environ", [{}, {"FULFILLD_CRASH": ""}])
async def test_unarmed_points_never_kill(kills: list[int], environ: dict[str, str]) -> None:
    points = Checkpoints.from_environment(environ)
    for point in POINTS * 3:
        await points.reach(point)
    assert kills == []


@pytest.mark.parametrize(
    "spec", ["after_lunch", "after_call:x", "after_call:0", "after_call:-1", "after_call:²", "a:1:2"]
)
def test_what_is_no_point_is_refused_with_the_names_that_there_are(spec: str) -> None:
    with pytest.raises(CheckpointError, match="not a crash point; known are after_import, after_submit"):
        Checkpoints.from_environment({"FULFILLD_CRASH": spec})


async def test_who_waits_for_a_point_is_notified_each_time_that_it_is_reached() -> None:
    points = Checkpoints()
    reported: list[int] = []

    async def wait(watch: Watch, count: int) -> None:
        await watch.reached(count)
        reported.append(count)

    with points.signal("after_call") as watch:
        async with anyio.create_task_group() as group:
            for count in (1, 2):
                group.start_soon(wait, watch, count)
            await anyio.wait_all_tasks_blocked()
            await points.reach("after_read")
            assert reported == []
            await points.reach("after_call")
            await anyio.wait_all_tasks_blocked()
            assert reported == [1]
            await points.reach("after_call")
        await watch.reached(2)
    assert reported == [1, 2]


@pytest.mark.parametrize("ends_block", [False, True])
async def test_whoever_reaches_a_held_point_stays_until_it_is_released(ends_block: bool) -> None:
    points = Checkpoints()
    gone: list[str] = []

    async def work() -> None:
        await points.reach("after_intent")
        gone.append("on")

    async with anyio.create_task_group() as group:
        with points.hold("after_intent") as held:
            group.start_soon(work)
            await held.reached()
            await anyio.wait_all_tasks_blocked()
            assert gone == []
            if not ends_block:
                held.release()
                await points.reach("after_intent")  # nor is anybody else held
    assert gone == ["on"]
    await points.reach("after_intent")


@pytest.mark.parametrize("name", ["signal", "hold"])
def test_a_point_that_is_not_there_can_not_be_watched(name: str) -> None:
    with pytest.raises(CheckpointError, match="'after_lunch' is not a checkpoint; known are after_import"):
        getattr(Checkpoints(), name)("after_lunch").__enter__()
