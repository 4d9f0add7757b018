"""CloudSuite's page names every option and step, and its picture is the machine's."""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.diagrams.drawing import mermaid
from orchestrator.platforms.cloudsuite.options import CloudsuiteCredentials, CloudsuiteOptions
from orchestrator.registry import PLATFORMS

PAGE = (Path(__file__).parents[2] / "docs" / "platforms" / "cloudsuite.md").read_text()


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> set[str]:
    """What the first column of a section's table names."""
    rows = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_option_is_documented_and_no_other() -> None:
    own = set(CloudsuiteOptions.model_fields) - {"credentials"}
    inner = {f"credentials.{name}" for name in CloudsuiteCredentials.model_fields}
    assert first_cells(section("Options")) == own | inner


def test_every_step_is_documented_twice_what_it_does_and_how_its_effect_is_found_out() -> None:
    steps = set(PLATFORMS["cloudsuite"].machine({}).steps)
    assert first_cells(section("Steps and guards")) == steps
    assert first_cells(section("What is done when an answer is lost")) == steps


def test_the_picture_is_that_of_the_machine() -> None:
    assert f"```mermaid\n{mermaid(PLATFORMS['cloudsuite'].machine({}))}```" in PAGE


def test_the_shop_to_start_from_is_a_good_one() -> None:
    block = re.search(r"```json\n(.*?)```", section("Connect"), re.DOTALL)
    assert block is not None
    shop = json.loads(block[1])["shops"]["cs"]
    del shop["platform"]
    shop["credentials"] = dict.fromkeys(shop["credentials"], "x")
    CloudsuiteOptions(**shop)


def test_the_documented_rate_is_the_default() -> None:
    limits = PLATFORMS["cloudsuite"].default_limits
    assert f"{limits.rate_per_second} calls a second, {limits.concurrency} at a time" in PAGE
