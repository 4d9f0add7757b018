"""Daemons on each engine: a test that asks for `storage` runs once on each, with an empty store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.scratch import SCRATCH


@pytest.fixture(params=sorted(SCRATCH))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mapping[str, Any]]:
    """The section `storage` of a daemon's config. Who died keeps its shops for as short as can be."""
    yield {"url": SCRATCH[request.param](tmp_path), "lease_seconds": 1}
    if request.param == "postgresql":
        postgres.server().forget()
