"""What holds for every test: nobody inherits how another one set up the logging of this process; skips are told."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from orchestrator import logs
from tests.support.engines import kept_on, pytest_addoption, pytest_collection_modifyitems, pytest_generate_tests
from tests.support.skips import pytest_sessionfinish, pytest_terminal_summary

__all__ = [
    "kept_on",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]

# How long examples take to draw says something of a machine's load, and nothing of what is tested.
settings.register_profile("patient", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what runs in its background ignore Ctrl-C, and that would have all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 1024**3
if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_BYTES:
    # Stores wait for the disk at every commit, which no test is about but those that look at how the store is set up.
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


# Daemons with a store on a server keep files in the user's directory: here in one that goes with this process.
_STATE = tempfile.TemporaryDirectory(prefix="fulfilld-state-", ignore_cleanup_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE.name


def pytest_collection_finish() -> None:
    """What is known by now stays to the end: collections of garbage need not look through it time and again."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two a core for `-n auto`: tests wait about half of their time, for processes, sockets and clocks."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture
def url() -> Iterator[str]:
    """Of an empty database on PostgreSQL, which is gone after the test."""
    from orchestrator.testing import postgres  # its driver is not everywhere

    yield postgres.server().database()
    postgres.server().forget()


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
