"""The page about xSale names every option and shows the machine as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.config.explain import models_in
from orchestrator.diagrams.drawing import mermaid
from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.registry import PLATFORMS
from tests.support.config_files import ENVIRON, loaded

PAGE = (Path(__file__).parents[2] / "docs" / "platforms" / "xsale.md").read_text()


def keys(model: Any, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        below = list(models_in(field.annotation))
        for inner in below:
            yield from keys(inner, f"{prefix}{name}.")
        if not below:
            yield prefix + name


def test_the_page_names_every_option_and_no_other() -> None:
    table = PAGE.partition("## Options")[2].partition("## Steps")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row[1])}
    named |= {name for row in rows for name in re.findall(r"`(milestones\.[a-z]+)`", row[2])}
    assert named - {"milestones"} == set(keys(XsaleOptions))


def test_the_page_shows_the_machine_as_it_is() -> None:
    (shown,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert shown == mermaid(PLATFORMS["xsale"].machine({}))


def test_the_pages_config_is_good(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert loaded(tmp_path, json.loads(shown), ENVIRON).shops["xs"].platform == "xsale"
