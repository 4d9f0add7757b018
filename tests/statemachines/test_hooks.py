"""A platform's machine says what is its own by hooks and by nothing else: its door to the planner."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.registry import PLATFORMS
from statemachines.hooks import HOOKS, Hooks, foreign_overrides
from statemachines.machine import DefinitionError, PlatformMachine
from statemachines.table import Table

LISTED = {
    # planning
    "wanted",
    "has_reached",
    "route",
    "with_actions",
    "allowed",
    "pending_actions",
    "with_record",
    "satisfied",
    "wait",
    # guards
    "guard",
    "whole",
    "location_of",
    "withdrawn_reason",
    # parcels
    "open_lines",
    "departed",
    "shows_parcel",
    "with_parcel",
    # what calls and reads show
    "destination",
    "observe",
    "merged_facts",
    "is_done",
    "is_evident",
    "after",
    "came_back",
    "after_lost_answer",
    # for people
    "shown_rows",
    # not asked, said
    "takes_several_trackings",
    "parcel_step",
    "delivers_parcels",
}
GUIDE = Path(__file__).parents[2] / "docs" / "add-a-platform.md"
FIXED = sorted(
    {
        name
        for base in (PlatformMachine, Hooks, Table)
        for name in vars(base)
        if not name.startswith("__") and name not in LISTED
    }
)


def test_the_hooks_are_these() -> None:
    assert set(HOOKS) == LISTED


def test_every_hook_says_what_it_means() -> None:
    methods = [getattr(Hooks, name) for name in HOOKS if callable(getattr(Hooks, name))]
    assert [each.__name__ for each in methods if not each.__doc__] == []


def test_the_guide_names_exactly_these() -> None:
    section = re.search(r"^## Hooks\n(.*?)(?=^## |\Z)", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert section is not None
    assert set(re.findall(r"^- `(\w+)`", section[1], re.MULTILINE)) == LISTED


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_a_platform_overrides_hooks_alone(platform: str) -> None:
    machine = type(PLATFORMS[platform].machine({}))
    assert foreign_overrides(machine) == ()


@pytest.mark.parametrize("name", FIXED)
def test_whatever_else_is_overridden_is_refused_when_the_class_is_made(name: str) -> None:
    with pytest.raises(DefinitionError, match=rf"Odd overrides {name}, .* hooks are after, "):
        type("Odd", (PlatformMachine,), {name: lambda *_: None})


def test_neither_a_mixin_nor_a_grandchild_gets_round_that() -> None:
    mixin = type("Mixin", (), {"plan": lambda *_: None})
    with pytest.raises(DefinitionError, match="Odd overrides plan"):
        type("Odd", (mixin, PlatformMachine), {})
    child = type("Child", (PlatformMachine,), {"route": lambda *_: ()})
    with pytest.raises(DefinitionError, match="Odd overrides apply"):
        type("Odd", (child,), {"apply": lambda *_: ""})
