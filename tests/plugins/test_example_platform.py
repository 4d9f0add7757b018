"""A platform of another package: three files and an entry point, and everything that ours pass it passes too."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import plugin
from orchestrator.registry import API, GROUP

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "example_platform"
INSIDE = ("orchestrator", "statemachines", "storage")


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python in which the example's package is installed."""
    info = tmp_path / "site" / "platform_example-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: platform-example\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nexample = tests.plugins.example_platform:PLATFORM\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nmarkers = e2e\n  crash\n")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    kept |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_asyncio.plugin"}  # others take a second
    return {**kept, "PYTHONPATH": os.pathsep.join([str(info.parent), str(ROOT)])}


def run(installed: dict[str, str], folder: Path, *arguments: str) -> str:
    """What a Python program says, which has to succeed."""
    done = subprocess.run(
        [sys.executable, *arguments], check=False, cwd=folder, env=installed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_plug_in_passes_the_suite_without_a_line_elsewhere(installed: dict[str, str], tmp_path: Path) -> None:
    output = run(installed, tmp_path, "-m", "pytest", "-q", "--pyargs", "orchestrator.testing.platform_suite")
    passed = re.search(r"(\d+) passed", output)
    assert passed is not None, output
    assert int(passed[1]) > 40


@pytest.mark.e2e
@pytest.mark.crash
def test_a_plug_in_passes_the_crash_matrix(installed: dict[str, str], tmp_path: Path) -> None:
    matrix = str(ROOT / "tests" / "e2e" / "test_crash_platforms.py")
    output = run(installed, tmp_path, "-m", "pytest", "-q", "-c", "pytest.ini", matrix, "-k", "example")
    assert "4 passed" in output, output


def test_a_plug_in_is_named_with_its_package(installed: dict[str, str], tmp_path: Path) -> None:
    machines = run(installed, tmp_path, "-m", "orchestrator", "machines")
    assert re.search(r"^example\b", machines, re.MULTILINE), machines
    script = "from orchestrator.registry import PLATFORMS; print(PLATFORMS.origin('example'))"
    assert run(installed, tmp_path, "-c", script).strip() == "platform-example 1.2"


def test_a_plug_in_that_lacks_something_learns_all_of_it(installed: dict[str, str], tmp_path: Path) -> None:
    script = (
        "from dataclasses import replace; from orchestrator import registry;"
        "from tests.plugins import example_platform as ours;"
        "from tests.plugins.example_platform import sandbox;"
        "ours.PLATFORM = replace(ours.PLATFORM, example={'ex': {'platform': 'other'}}, identity=('shop',));"
        "walk = replace(sandbox.WALK, moves=sandbox.WALK.moves[:1], delivered=('fly',));"
        "sandbox.ExamplePlatform.walk = staticmethod(lambda: walk);"
        "del sandbox.Office.actions['edit'];"
        "from orchestrator.testing.lacking import lacking; print('\\n'.join(lacking('example')))"
    )
    assert run(installed, tmp_path, "-c", script).splitlines() == [
        "Platform.example: the shop 'ex' is not one of platform 'example'",
        "Platform.example shows no token: every key has to be there once",
        "Platform.identity names shop, which its options do not have",
        "walk() does not make finish, send: add moves, or name them in `beside`",
        "walk() names fly, which are not steps that the machine lets us make",
        "its back office cannot edit",
    ]


@pytest.mark.parametrize(
    ("leads_to", "words"),
    [
        ("tests.plugins.no_such_platform:PLATFORM", "cannot be loaded from tests.plugins.no_such_platform:PLATFORM"),
        ("broken_machine:PLATFORM", "Platform.machine({}) has to make a machine without options: DefinitionError: bad"),
        (None, "no package that is installed here has an entry point of the group fulfilld.platforms"),
    ],
    ids=["cannot be loaded", "bad machine", "no entry point"],
)
def test_a_plug_in_that_cannot_be_tried_fails_the_suite(
    installed: dict[str, str], tmp_path: Path, leads_to: str | None, words: str
) -> None:
    entry = "" if leads_to is None else f"[{GROUP}]\nexample = {leads_to}\n"
    next(tmp_path.glob("site/*/entry_points.txt")).write_text(entry)
    (tmp_path / "site" / "broken_machine.py").write_text(
        "from dataclasses import replace\nfrom orchestrator.plugin.machine import DefinitionError\n"
        "from tests.plugins import example_platform as ours\n\n"
        "def build(options):\n    raise DefinitionError('bad table')\n\n"
        "PLATFORM = replace(ours.PLATFORM, machine=build)\n"
    )
    suite = ("-m", "pytest", "-q", "--pyargs", "orchestrator.testing.platform_suite")
    done = subprocess.run(
        [sys.executable, *suite], check=False, cwd=tmp_path, env=installed, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout
    assert words in done.stdout
    assert "1 failed" in done.stdout


def test_a_plug_in_that_cannot_be_loaded_is_not_called_unknown(installed: dict[str, str], tmp_path: Path) -> None:
    next(tmp_path.glob("site/*/entry_points.txt")).write_text(f"[{GROUP}]\nexample = no_such_module:PLATFORM\n")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "machines", "example"],
        check=False,
        cwd=tmp_path,
        env=installed,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "platform-example 1.2 cannot be loaded from no_such_module:PLATFORM" in done.stderr


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*.py")), ids=lambda file: file.name)
def test_the_example_imports_the_plug_in_interface_alone(file: Path) -> None:
    found = {node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)}
    inside = {module for module in found if module.split(".")[0] in INSIDE}
    assert {module for module in inside if not module.startswith("orchestrator.plugin")} == set()


def test_a_platform_is_three_files_of_few_lines() -> None:
    lines = {file.name: len(file.read_text().splitlines()) for file in PACKAGE.glob("*.py")}
    assert lines.keys() == {"__init__.py", "client.py", "sandbox.py"}
    assert lines["__init__.py"] + lines["client.py"] <= 450
    assert lines["sandbox.py"] <= 220


def test_the_interface_has_the_version_that_platforms_are_made_for() -> None:
    assert plugin.API == API == 1
    assert plugin.Platform.__dataclass_fields__["api"].default == API
