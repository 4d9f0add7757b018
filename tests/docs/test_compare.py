"""docs/compare.md: what it says of fulfilld can be done, and its pictures are of the page that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.api.routes import ROUTES
from orchestrator.cli.app import app
from tests.cli.test_docs import commands

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "compare.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")][
    1:
]
IMAGES = ROOT / "docs" / "images"


def known() -> dict[str, Any]:
    return dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("row", [row for row in ROWS if not row[0].startswith("---")], ids=lambda row: row[0])
def test_what_a_row_says_of_this_daemon_is_there(row: list[str]) -> None:
    assert len(row) == 6
    assert row[1] not in ("", "–")
    for code in re.findall(r"`([^`]+)`", row[1]):
        if code.startswith("fulfilld "):
            words, options = re.findall(r" ([a-z]+)", code), re.findall(r"--[a-z-]+", code)
            command = known()[" ".join(words)]
            assert set(options) <= {option for parameter in command.params for option in parameter.opts}
        else:
            method, path = code.split()
            assert any((route.method, route.path) == (method, path) for route in ROUTES)


def test_every_source_of_the_table_is_named_and_used() -> None:
    defined = set(re.findall(r"^\[([a-z-]+)\]: https://", TEXT, re.MULTILINE))
    assert set(re.findall(r"\]\[([a-z-]+)\]", TEXT)) == defined


def test_pictures_are_those_that_the_command_takes_small_and_shown_somewhere() -> None:
    taken = set(re.findall(r'^    "([a-z-]+)": \(', (ROOT / "tests/browser/screenshots.py").read_text("utf-8"), re.M))
    kept = {path.stem: path.stat().st_size for path in IMAGES.glob("*.png")}
    assert set(kept) == taken
    assert max(kept.values()) < 250_000
    pages = [path.read_text("utf-8") for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md")]
    for name in kept:
        assert any(f"images/{name}.png" in page for page in pages), name
