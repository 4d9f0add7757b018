"""What the demo asks for, and (as a whole) that everything arrives and nothing is left behind."""

from __future__ import annotations

from orchestrator.cli.demo.script import cast, item_ids, personal, scenes
from statemachines.machine import Plan, Refusal, Standing
from statemachines.selldone import MACHINE
from statemachines.target import TargetRequest


def test_the_machine_agrees_with_every_scene() -> None:
    for scene in scenes(MACHINE.describe()):
        standing = Standing("CheckQueue", "CheckQueue", "paid", {"status": "Payed", "items": ["1", "2"]})
        for act in scene.acts:
            request = TargetRequest.from_json(act.body(["1", "2"]))
            plan = MACHINE.plan(standing, request)
            if isinstance(plan, Refusal):
                assert plan.slug == act.expected, scene.title
                continue
            assert isinstance(plan, Plan)
            assert act.expected == "reached", scene.title
            for step in plan.steps:
                standing = MACHINE.after(standing, step.step, request, None, {})
        assert MACHINE.milestone(standing.state) == scene.final_state


def test_selldone_plays_returns_and_refusals() -> None:
    titles = {scene.title for scene in scenes(MACHINE.describe())}
    assert {"returned, then delivered again", "requests that are refused"} <= titles
    assert "cancelled" not in titles


def test_every_scene_is_played_when_there_are_enough_orders() -> None:
    played = scenes(MACHINE.describe())
    roles = cast([str(n) for n in range(8)], played)
    assert {scene.title for scene in roles.values()} == {scene.title for scene in played}


def test_tracking_codes_are_an_orders_own() -> None:
    scene = next(scene for scene in scenes(MACHINE.describe()) if "corrected" in scene.title)
    codes = [
        act.fields["tracking"]["code"]
        for number in range(1, 30)
        for act in personal(scene, number).acts
        if "tracking" in act.fields
    ]
    assert len(set(codes)) == len(codes) == 58


def test_items_are_found_in_what_a_platform_sent() -> None:
    assert item_ids({"items": [{"id": 1}, {"id": 2}]}) == ["1", "2"]
    assert item_ids("raw text") == item_ids({"items": 3}) == item_ids(None) == []
