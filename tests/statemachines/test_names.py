"""One name, one thing: two constants or functions of one name in these modules would pass for one another."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import statemachines

ROOT = Path(statemachines.__file__).parent
EACH_PLATFORM = {"MACHINE", "build"}
"""What the modules of platforms have by convention."""


def public_names(module: Path) -> Iterator[str]:
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def test_no_public_name_means_two_things() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for module in sorted(ROOT.rglob("*.py")):
        for name in public_names(module):
            if not name.startswith("_") and name not in EACH_PLATFORM:
                places[name].append(str(module.relative_to(ROOT)))
    assert {"RECORD", "State", "PlatformMachine", "next_parcel"} <= set(places)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}
