"""The picture of the architecture is that of the code: each room is in it, and the line of imports is the contract."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def rooms() -> set[str]:
    return {path.parent.name for path in (ROOT / "orchestrator").glob("*/__init__.py")}


def test_every_room_is_in_the_tree_and_no_other() -> None:
    tree = PAGE.split("orchestrator/ ", 1)[1].split("```", 1)[0]
    named = {name for line in tree.splitlines() for name in re.findall(r"^  ((?:\w+/ +)+)", line)}
    assert {name for each in named for name in re.findall(r"\w+", each)} == rooms()
    modules = re.findall(r"^  (\w+\.py) ", tree, re.MULTILINE)
    assert modules
    assert all((ROOT / "orchestrator" / name).is_file() for name in modules)


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_line_of_imports_is_the_contract(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (line,) = re.findall(r"^cli → .*$", text, re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [each["layers"] for each in contracts if each.get("containers") == ["orchestrator"]]
    assert line.split(" → ") == [*(layer.replace(" | ", ", ") for layer in layers), "statemachines"]
