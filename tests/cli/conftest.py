"""Fixtures of the command line's tests: a fake daemon, and a way to run commands against it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner, Result

from orchestrator.cli.app import app
from tests.cli.fake import FakeDaemon, Run


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="f-") as name:
        yield Path(name)


@pytest.fixture
def daemon(directory: Path) -> Iterator[FakeDaemon]:
    """The fake daemon, running."""
    fake = FakeDaemon(directory / "d.sock")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(fake.running()):
        yield fake


@pytest.fixture
def alone(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment that names no daemon."""
    for name in ("FULFILLD_SOCKET", "FULFILLD_URL", "FULFILLD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory / "run"))
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def run(alone: Path) -> Run:
    """Runs a command in this process, away from any real daemon."""

    def invoke(*arguments: str, stdin: bytes | None = None, **environ: str) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, env=environ)

    return invoke


@pytest.fixture
def fulfilld(run: Run, daemon: FakeDaemon) -> Run:
    """Runs a command against the fake daemon."""
    return lambda *arguments, **more: run("--socket", str(daemon.socket), *arguments, **more)
