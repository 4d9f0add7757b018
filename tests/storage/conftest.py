"""Every test that asks for `engine` runs once on each engine, on an empty store of its own."""

from pathlib import Path

import pytest

from tests.storage.engines import ENGINES, Engine


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return ENGINES[request.param](tmp_path)
