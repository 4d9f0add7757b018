"""What a daemon that is ready asks of the interpreter."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from orchestrator.process.interpreter import settle_interpreter


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds, turn = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(turn)


def test_what_is_there_for_good_is_searched_no_more() -> None:
    settle_interpreter()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] > 700  # Python's own


def test_a_thread_that_computes_gives_way_within_a_millisecond() -> None:
    settle_interpreter()
    assert sys.getswitchinterval() == pytest.approx(0.001)
