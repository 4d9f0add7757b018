"""A store for the nodes of a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engines import store_url


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a store that several nodes share; on SQLite they are in one process, which no real ones could be."""
    return store_url(tmp_path)
