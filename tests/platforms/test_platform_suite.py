"""The suite for platforms, over those that are built in."""

from __future__ import annotations

from pathlib import Path

from orchestrator.registry import BUILT_IN
from orchestrator.testing.platform_suite import *  # noqa: F403 - its tests are ours

PLATFORMS = tuple(BUILT_IN)

ROOT = Path(__file__).parents[2]


def test_a_platform_that_is_built_in_lacks_no_page() -> None:
    """Everything outside the code that a new platform has to have, at once."""
    readme = (ROOT / "README.md").read_text()
    lacks = [
        f"README.md: a row that leads to docs/platforms/{name}.md"
        for name in PLATFORMS
        if f"platforms/{name}.md" not in readme
    ]
    for page in ("docs/platforms/{}.md", "docs/facts/{}.md"):
        lacks += [page.format(name) for name in PLATFORMS if not (ROOT / page.format(name)).is_file()]
    example = (ROOT / "config.example.json").read_text()
    lacks += [f"config.example.json: a shop of {name}" for name in PLATFORMS if f'"platform": "{name}"' not in example]
    assert lacks == []
