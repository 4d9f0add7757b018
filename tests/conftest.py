"""What holds for every test: nobody inherits how another one set up the logging of this process; skips are told."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from orchestrator import logs
from tests.support.skips import pytest_sessionfinish, pytest_terminal_summary

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary"]


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.setLevel(level)
    for handler in list(root.handlers):
        if isinstance(handler, logs._LibraryHandler):
            root.removeHandler(handler)
