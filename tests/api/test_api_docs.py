"""docs/api.md names everything that the API has, and nothing that it has not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.api.problems import STATUS_BY_SLUG
from orchestrator.api.routes import ROUTES
from orchestrator.event_types import EVENT_TYPES
from storage.records import Situation

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
SOURCES = Path(__file__).parents[2] / "orchestrator"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_call_is_described(route: object) -> None:
    method, path = route.method, route.path  # type: ignore[attr-defined]
    assert re.search(rf"`{method} {re.escape(path)}`", PAGE)


def test_only_calls_that_there_are_are_described() -> None:
    known = {(route.method, route.path) for route in ROUTES}
    assert set(re.findall(r"`(GET|POST|DELETE) (/[^`?]*)`", PAGE)) == known


def test_every_problem_is_described_with_its_status() -> None:
    reported = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", PAGE, re.MULTILINE))
    assert reported == {slug: str(status) for slug, status in STATUS_BY_SLUG.items()}


def test_every_event_type_is_described() -> None:
    lines = re.findall(r"^\| (`[a-z]+\.[a-z_]+`.*?) \|", PAGE, re.MULTILINE)
    reported = [name for line in lines for name in re.findall(r"`([a-z]+\.[a-z_]+)`", line)]
    assert reported == list(EVENT_TYPES)


def test_every_event_that_the_code_sends_has_a_known_type() -> None:
    sent: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        if "testing" in path.parts:
            continue  # the suites make events up
        text = path.read_text("utf-8")
        sent |= set(re.findall(r'\bemit\(\s*"([a-z_.]+)"', text))
        sent |= set(re.findall(r'\bappend_event\(\s*\w+,\s*[^,]+,\s*"([a-z_.]+)"', text))
    assert {"order.imported", "step.started", "shop.paused"} <= sent
    assert sent <= set(EVENT_TYPES)


def test_every_situation_is_described() -> None:
    assert all(f"| `{situation.value}` |" in PAGE for situation in Situation)
