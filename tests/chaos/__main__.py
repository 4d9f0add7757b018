"""`python -m tests.chaos`: one run, by the variables of `Settings.of`. Exit code 1 if something broke."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from tests.chaos.run import run
from tests.chaos.settings import Settings


def main() -> int:
    """Runs, reports, and keeps the folder when something broke."""
    settings = Settings.of()
    folder = Path(tempfile.mkdtemp(prefix="fulfilld-chaos-"))
    print(f"chaos: {settings.command}\nfolder: {folder}", flush=True)
    print(f"a storm of {settings.seconds:g} s or {settings.kills} kills, whichever ends first; then a calm", flush=True)
    world, lines = anyio.run(run, settings, folder)
    print("\n".join(lines), flush=True)
    return 1 if world.findings else 0


if __name__ == "__main__":
    sys.exit(main())
