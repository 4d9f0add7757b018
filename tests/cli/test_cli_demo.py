"""What the demo asks for, and (as a whole) that everything arrives and nothing is left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.api.requests import TARGET
from orchestrator.cli.demo.script import Item, cast, items_of, personal, scenes
from statemachines import BUILDERS
from statemachines.machine import Refusal, Standing
from statemachines.selldone import MACHINE

FACTS: dict[str, dict[str, Any]] = {
    "selldone": {"status": "Payed", "items": ["1", "2"]},
    "cloudsuite": {"payment_status": "paid", "lines": {"1": {"quantity": "1"}, "2": {"quantity": "2"}}},
}
ITEMS = [Item("1", 1.0), Item("2", 2.5)]


@pytest.mark.parametrize("platform", sorted(BUILDERS))
def test_the_machine_agrees_with_every_scene(platform: str) -> None:
    machine = BUILDERS[platform]({})
    for scene in scenes(machine.describe()):
        standing = Standing(machine.initial, machine.initial, "paid", FACTS.get(platform, {}))
        for act in scene.acts:
            request = TARGET.validate_json(json.dumps(act.body("77", ITEMS))).to_request()
            plan = machine.plan(standing, request)
            if isinstance(plan, Refusal):
                assert plan.slug == act.expected, (scene.title, plan)
                continue
            assert act.expected == "reached", scene.title
            for step in plan.steps:
                standing = machine.after(standing, step.step, request, None, {})
        assert machine.milestone(standing.state) == scene.final_state


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
    assert items_of({"items": [{"id": 1, "count": 3}, {"id": 2}]}) == [Item("1", 3), Item("2", 1)]
    assert items_of({"order_lines": [{"id": 1, "quantity": "2.5"}]}) == [Item("1", 2.5)]
    assert items_of("raw text") == items_of({"items": 3}) == items_of(None) == []
