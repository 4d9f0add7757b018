"""docs/guarantees.md: every promise names tests, and every file and link that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| (?!promise|---)(.+?) \|.*\| (.*) \|$", PAGE.split("## Assumptions")[0], re.MULTILINE)


def test_there_are_promises() -> None:
    assert {"Nothing is lost", "Nothing happens twice", "Nothing happens out of turn"} <= {name for name, _ in PROMISES}


@pytest.mark.parametrize(("promise", "shown_by"), PROMISES)
def test_each_promise_names_tests_that_exist(promise: str, shown_by: str) -> None:
    named = re.findall(r"`((?:tests|orchestrator/testing)/[^`]+)`", shown_by)
    assert named, promise
    for path in named:
        assert "def test_" in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", PAGE))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()


def test_the_readme_leads_to_it() -> None:
    assert "(docs/guarantees.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
