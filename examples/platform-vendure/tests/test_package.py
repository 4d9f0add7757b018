"""What the package promises of itself: its imports, its entry point, and the config that its README shows."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from orchestrator.plugin import GROUP
from platform_vendure import PLATFORM

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform_vendure"
INSIDE = ("orchestrator", "statemachines", "storage")


def imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return names | {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_it_imports_the_plug_in_interface_alone(file: Path) -> None:
    inside = {module for module in imported(file) if module.split(".")[0] in INSIDE}
    assert {module for module in inside if not module.startswith("orchestrator.plugin")} == set()


@pytest.mark.parametrize("file", sorted((PACKAGE / "sandbox").glob("*.py")), ids=lambda file: file.name)
def test_the_simulation_shares_nothing_with_the_client(file: Path) -> None:
    own = {module for module in imported(file) if module.startswith("platform_vendure")}
    assert {module for module in own if not module.startswith("platform_vendure.sandbox")} == set()


def test_the_entry_point_leads_to_the_platform() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][GROUP] == {PLATFORM.name: "platform_vendure:PLATFORM"}


def test_the_config_of_the_readme_is_valid() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (shop,) = json.loads(block)["shops"].values()
    own = {name: value for name, value in shop.items() if name not in ("platform", "base_url")}
    own["credentials"] = {"username": "u", "password": "p"}  # which come from the environment
    assert PLATFORM.options.model_validate(own)


@pytest.mark.parametrize("key", list(PLATFORM.options.model_fields))
def test_the_readme_names_every_key(key: str) -> None:
    assert f"`{key}`" in (ROOT / "README.md").read_text()
