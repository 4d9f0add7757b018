"""The page about WooCommerce names every option and step, and shows the machine as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.config import is_other_account
from orchestrator.config.explain import models_in
from orchestrator.diagrams.drawing import mermaid
from orchestrator.platforms.woocommerce import WooCommerceOptions
from orchestrator.registry import PLATFORMS
from tests.support.config_files import ENVIRON, loaded

PAGE = (Path(__file__).parents[2] / "docs" / "platforms" / "woocommerce.md").read_text()
MACHINE = PLATFORMS["woocommerce"].machine({})


def keys(model: Any, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        below = list(models_in(field.annotation))
        for inner in below:
            yield from keys(inner, f"{prefix}{name}.")
        if not below:
            yield prefix + name


def first_cells(text: str) -> set[str]:
    """What the first column of tables names."""
    rows = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_page_names_every_option_and_no_other() -> None:
    assert first_cells(section("Options")) == set(keys(WooCommerceOptions))


def test_the_page_names_every_step_and_how_its_effect_is_found_out() -> None:
    assert first_cells(section("Statuses")) == set(MACHINE.steps)
    ours = {name for name, step in MACHINE.steps.items() if step.by == "daemon"}
    assert first_cells(section("What is done when an answer is lost")) == ours


def test_the_page_shows_the_machine_as_it_is() -> None:
    (shown,) = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert shown == mermaid(MACHINE)


def test_the_pages_config_is_good_and_another_address_another_shop(tmp_path: Path) -> None:
    shown, _ = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    tree = json.loads(shown)
    was = loaded(tmp_path, tree, ENVIRON).shops["woo"]
    tree["shops"]["woo"]["base_url"] = "https://shop.example/other"
    now = loaded(tmp_path, tree, ENVIRON).shops["woo"]
    assert is_other_account(was.identity(), now.identity())
    assert not is_other_account(was.identity(), was.identity())
