"""`python -m tests.chaos`: one run by the variables of `Settings.of`. Exit code 1: something broke, 2: a wrong call."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio

from tests.chaos import arrival
from tests.chaos.run import run
from tests.chaos.settings import Settings

_HELP = """\
Runs the daemon as a process against simulated platforms while it is killed, stopped, frozen and reloaded, platforms
fail, clocks are wrong, people and an ERP work; then lets it come to rest and checks what docs/guarantees.md promises.
The folder with its log and store is printed and kept.
"""
_WHAT = """\
storm (default): everything goes wrong; arrival: nobody disturbs what the ERP wants, and every order is delivered by
several daemons on PostgreSQL, whatever fails
"""
_VARIABLES = f"""\
settings, from the environment:
  CHAOS_SECONDS  how long the storm lasts (default {Settings.seconds})
  CHAOS_KILLS    kills after which it ends earlier (default: one in three seconds)
  CHAOS_SEED     repeats what every actor decides (default: by chance, printed)
  CHAOS_ORDERS   orders of each shop at the beginning (default {Settings.orders})
  ENGINE         sqlite (default) or postgresql: then the database fails, too
  NODES          daemons on one database of PostgreSQL (default 3)
  CHAOS_SHOPS    shops of each platform, in an arrival (default 6)

exit codes: 0 every promise was kept, 1 one was broken, 2 a wrong argument or setting
"""


def settings_of(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[str, Settings]:
    """The run that was asked for, and how it is to be. Raises SystemExit: 0 after `--help`, 2 for an argument or a
    setting that is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=_HELP,
        epilog=_VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("storm", "arrival"), default="storm", help=_WHAT)
    what: str = parser.parse_args(arguments).what
    try:
        return what, Settings.of(environ) if what == "storm" else Settings.of_arrival(environ)
    except ValueError as error:
        parser.error(str(error))


def main() -> int:
    """Runs and reports."""
    what, settings = settings_of(sys.argv[1:], os.environ)
    folder = Path(tempfile.mkdtemp(prefix="fulfilld-chaos-"))
    print(f"chaos: {settings.command if what == 'storm' else settings.arrival_command}\nfolder: {folder}", flush=True)
    print(f"a storm of {settings.seconds:g} s or {settings.kills} kills, whichever ends first; then a calm", flush=True)
    world, lines = anyio.run(run if what == "storm" else partial(arrival.run, is_timed=True), settings, folder)
    print("\n".join(lines), flush=True)
    return 1 if world.findings else 0


if __name__ == "__main__":
    sys.exit(main())
