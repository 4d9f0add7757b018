"""Other versions of the program: the release before, out of git, and one to come, which is this one with migrations."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.previous import PREVIOUS
from tests.support.process import DaemonProcess
from tests.support.skips import absent

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "statemachines", "storage")


def previous_release(folder: Path) -> Path:
    """The source of the release before. Skips the test where the checkout has not got it, as one without history."""
    made = subprocess.run(["git", "archive", PREVIOUS.commit, *PACKAGES], cwd=ROOT, check=False, capture_output=True)
    if made.returncode:
        absent(f"{PREVIOUS.version} ({PREVIOUS.commit[:12]}) is not in this checkout", "git fetch --unshallow --tags")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=made.stdout, check=True)
    return folder


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
