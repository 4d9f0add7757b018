"""No engine is registered without the suite: each has a way to make an empty store."""

from __future__ import annotations

from orchestrator.testing.engine_suite.scratch import SCRATCH
from storage.engines import ENGINES


def test_every_engine_that_is_registered_is_tried() -> None:
    assert sorted(ENGINES.keys() - SCRATCH.keys()) == [], "say in scratch.SCRATCH how an empty store of it is made"
