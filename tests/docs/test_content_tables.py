"""Each platform's page says what of an order's content the platform fills, as reading its orders shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.registry import BUILT_IN
from orchestrator.testing.fill_table import BEGIN, fill_table, rewritten

PAGES = Path(__file__).parents[2] / "docs" / "platforms"


@pytest.mark.parametrize("platform", BUILT_IN)
async def test_the_table_is_as_make_docs_writes_it(platform: str) -> None:
    page = (PAGES / f"{platform}.md").read_text("utf-8")
    assert BEGIN in page, "a chapter Content with the two comments is missing"
    assert page == rewritten(page, await fill_table(platform)), "run `make docs`"
