"""docs/operate.md: what the log says of daemons, shops and duties is in its table, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALL = re.compile(r"(?:\blog\.\w+|\blevel)\(\s*\"((?:state|daemon|node|shops?|duty)\.[a-z_]+)\"")


def test_lines_about_daemons_shops_and_duties_are_in_the_table() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "orchestrator").rglob("*.py")]
    logged = {name for text in sources for name in CALL.findall(text)}
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8").split("\n## The log\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)} == logged
    assert "node.gone" in logged
