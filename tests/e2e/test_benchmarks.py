"""The benchmarks still run: each once, with next to nothing. How fast is not asked here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks

pytestmark = pytest.mark.e2e

FOLDER = Path(benchmarks.__file__).parent
TINY = {
    "fill": ("{folder}/s.db --orders=9 --pending=4 --shops=2 --with-events=1", r"9 orders in \d+ s, \d+ MiB"),
    "rest": ("--orders=20", r"20 orders at rest: \d+ MB resident .*\nGET /v1/status: median [\d.]+ ms"),
    "run": ("--cycles=1 --orders=3 --latency=1", r"3 orders a turn.*\n  cycle 1: bare .*\n  median ratio \d+\.\d\d"),
    "webhooks": ("--bursts=1 --webhooks=6", r"burst 1: 6 webhooks, median \d+ ms.*\nmedian of the bursts: .*\nworst"),
}
"""Of each benchmark the least that it can measure, and what it then prints."""


def test_every_benchmark_is_run_here() -> None:
    assert {path.stem for path in FOLDER.glob("[!_]*.py")} == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_measures_and_says_what(name: str, tmp_path: Path) -> None:
    options, printed = TINY[name]
    command = [sys.executable, "-m", f"benchmarks.{name}", *options.format(folder=tmp_path).split()]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(printed, done.stdout), done.stdout
