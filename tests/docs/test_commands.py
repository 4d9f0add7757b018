"""Commands that the pages and the benchmarks name can be run, and tokens that they have people copy stay out of git."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS

ROOT = Path(__file__).parents[2]
PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "benchmarks").rglob("*.py")]
TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in PAGES if path.name != "CHANGELOG.md"}
OURS = r"python3? -m ((?:benchmarks|deploy|orchestrator|tests)[\w.]*\w)"


def named(pattern: str) -> list[tuple[str, str]]:
    """Each page with what it names by a pattern."""
    return sorted({(page, found) for page, text in TEXTS.items() for found in re.findall(pattern, text)})


@pytest.mark.parametrize(("page", "module"), named(OURS))
def test_a_module_that_is_to_be_run_is_there(page: str, module: str) -> None:
    spec = find_spec(module)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = find_spec(f"{module}.__main__")
    assert spec is not None, f"{page}: there is no {module}"
    assert spec.origin is not None
    assert '__name__ == "__main__"' in Path(spec.origin).read_text("utf-8")


@pytest.mark.parametrize(("page", "part"), named(r"python3? -m benchmarks ([a-z]+)"))
def test_a_part_of_the_benchmarks_is_there(page: str, part: str) -> None:
    assert part in {*PARTS, "page"}, page


@pytest.mark.parametrize(("page", "goal"), named(r"`make ([a-z-]+)"))
def test_a_goal_of_make_is_there(page: str, goal: str) -> None:
    assert re.search(rf"^{goal}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), page


@pytest.mark.parametrize("place", ["acme-token", "deploy/acme-token"])
def test_the_token_of_the_installation_stays_out_of_git(place: str) -> None:
    assert place in TEXTS["docs/install.md"]
    assert subprocess.run(["git", "check-ignore", "-q", place], cwd=ROOT, check=False).returncode == 0
