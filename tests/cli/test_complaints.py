"""What commands say on stderr, on a terminal and into a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "orchestrator"]
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


def on_a_terminal(columns: int, *arguments: str) -> list[str]:
    """The lines that a command writes on stderr, which is a terminal of so many columns."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        subprocess.run(
            [*COMMAND, *arguments],
            stdout=subprocess.DEVNULL, stderr=theirs, cwd=ROOT, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        return os.read(ours, 65536).decode().splitlines()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    "arguments", [("--config", "nowhere.json", "config", "check"), ("status", "--config", "nowhere.json")]
)
def test_what_goes_wrong_is_broken_between_words_on_a_terminal(arguments: tuple[str, ...]) -> None:
    piped = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_SECONDS, check=False
    ).stderr
    (reported,) = [line for line in piped.splitlines() if line.startswith(("fulfilld: ", "Error: "))]
    shown = on_a_terminal(50, *arguments)
    lines = shown[next(at for at, line in enumerate(shown) if line.startswith(reported[:7])) :]
    assert len(reported) > 50
    assert max(map(len, lines)) <= 50
    assert " ".join(lines).split() == reported.split()


def test_the_program_is_named_as_it_was_called() -> None:
    lines = " ".join(on_a_terminal(50, "config", "check", "--config", "x.json"))
    assert "python -m orchestrator --config FILE config check" in " ".join(lines.split())
