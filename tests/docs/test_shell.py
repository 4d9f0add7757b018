"""What the documentation has people type works in bash and in zsh, whose interactive shell knows no comments behind a
command and whose `jobs -p` prints more than process ids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:console|sh|bash|shell)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_command_has_a_comment_behind_it(page: Path) -> None:
    blocks = BLOCK.findall(page.read_text("utf-8"))
    typed = [line for block in blocks for line in block.splitlines() if "fulfilld " in line or line.startswith("$ ")]
    assert [line for line in typed if re.search(r"\s#\s", line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_processes_are_ended_by_their_ids(page: Path) -> None:
    assert "jobs -p" not in page.read_text("utf-8")
