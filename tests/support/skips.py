"""Tests that this machine cannot run say so at the end, with the line that helps; where CI is set, none may be skipped.

A pytest plugin: `tests/conftest.py` takes its hooks.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

import pytest

_FORGIVEN = " (also left out in CI)"


def skip(what: str, remedy: str) -> NoReturn:
    """Skips a test, or the module that says so, for lack of `what`; `remedy` is the one line that brings it."""
    pytest.skip(f"{what}; to run it: {remedy}", allow_module_level=True)


def absent(what: str, remedy: str) -> NoReturn:
    """As `skip`, for what no installation brings: a run in CI does not fail for it."""
    pytest.skip(f"{what}; to run it: {remedy}{_FORGIVEN}", allow_module_level=True)


def may_skip() -> bool:
    """Whether tests may be skipped here: not in CI, which installs all that they need."""
    return os.environ.get("CI", "").lower() in ("", "0", "false")


def _reasons(config: pytest.Config) -> dict[str, int]:
    """Why tests were skipped, and how many for each reason."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    found: dict[str, int] = {}
    for report in [] if reporter is None else reporter.stats.get("skipped", ()):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = text.removeprefix("Skipped: ")
        found[reason] = found.get(reason, 0) + 1
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run in CI that skipped anything."""
    counted = [reason for reason in _reasons(session.config) if not reason.endswith(_FORGIVEN)]
    if not may_skip() and counted and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Tells each reason once."""
    if reasons := _reasons(config):
        terminalreporter.section("NOT TESTED HERE", sep="=", yellow=True, bold=True)
        for reason, count in reasons.items():
            terminalreporter.write_line(f"{count} {'test' if count == 1 else 'tests'}: {reason}", yellow=True)
        if not may_skip() and not all(reason.endswith(_FORGIVEN) for reason in reasons):
            terminalreporter.write_line("CI is set: nothing may be skipped, so this run has failed", red=True)
