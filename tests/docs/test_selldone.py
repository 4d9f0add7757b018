"""The page about Selldone names every option and shows the machine as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from orchestrator.diagrams.drawing import mermaid
from orchestrator.platforms.selldone.options import SelldoneOptions
from orchestrator.registry import PLATFORMS
from tests.support.config_files import ENVIRON, loaded

PAGE = (Path(__file__).parents[2] / "docs" / "platforms" / "selldone.md").read_text()


def test_the_page_names_every_option_and_no_other() -> None:
    table = PAGE.partition("## Options")[2].partition("## Steps")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row[1])}
    assert named == set(SelldoneOptions.model_fields)


def test_the_page_shows_the_machine_as_it_is() -> None:
    (shown,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert shown == mermaid(PLATFORMS["selldone"].machine({}))


def test_the_pages_config_is_good(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert loaded(tmp_path, json.loads(shown), ENVIRON).shops["acme"].platform == "selldone"
