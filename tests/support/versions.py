"""Other versions of the program: the release before, out of git, and one to come, which is this one with migrations."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.previous import PREVIOUS
from tests.support.process import DaemonProcess
from tests.support.skips import absent, skip

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "statemachines", "storage")


def previous_release(folder: Path) -> Path:
    """The source of the release before. Skips the test where the checkout has not got it, as one without history."""
    if not has_commit(ROOT, PREVIOUS.commit):
        absent(f"{PREVIOUS.version} ({PREVIOUS.commit[:12]}) is not in this checkout", "git fetch --unshallow --tags")
    made = _git(ROOT, "archive", PREVIOUS.commit, *PACKAGES)
    assert made.returncode == 0, made.stderr.decode()
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=made.stdout, check=True)
    return folder


def has_commit(checkout: Path, commit: str) -> bool:
    """Whether git has a commit there; not where there is no checkout at all. Any other trouble of git's fails the test:
    it would be left out unseen."""
    if not (checkout / ".git").exists():
        return False
    asked = _git(checkout, "cat-file", "-e", commit)
    assert asked.returncode in (0, 1), asked.stderr.decode()
    return asked.returncode == 0


def _git(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # it may be somebody else's clone, where root in a container looks at it
    command = ["git", "-c", "safe.directory=*", *arguments]
    try:
        return subprocess.run(command, cwd=checkout, check=False, capture_output=True)
    except FileNotFoundError:
        skip("git is not installed", "apt-get install git")


def later_release(folder: Path, migrations: Mapping[str, str]) -> Path:
    """This version with further migrations: what their files are called behind the number, and their text. Further ones
    are numbered on from the newest."""
    folder.mkdir()
    for name in PACKAGES:
        (folder / name).symlink_to(ROOT / name)
    (folder / "storage").unlink()
    shutil.copytree(ROOT / "storage", folder / "storage", ignore=shutil.ignore_patterns("__pycache__"))
    there = folder / "storage" / "migrations"
    newest = max(int(path.name[:4]) for path in there.glob("*.sql"))
    for number, (name, text) in enumerate(migrations.items(), start=newest + 1):
        (there / f"{number:04}_{name}.sql").write_text(text, "utf-8")
    return folder


@contextmanager
def daemon_of(source: Path, folder: Path) -> Iterator[DaemonProcess]:
    """A daemon that runs the program in `source`, and does not outlive the test."""
    folder.mkdir()
    daemon = DaemonProcess(folder)
    daemon.program = ("-P", "-m", "orchestrator")  # not the program that lies where the tests run
    daemon.variables = {"PYTHONPATH": str(source)}
    try:
        yield daemon
    finally:
        if daemon.is_running:
            daemon.kill()
