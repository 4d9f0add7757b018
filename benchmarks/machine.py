"""What the machine was and did: its parts and versions, CPU by thread, and how busy other programs kept it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIBRARIES = ("aiohttp", "aiosqlite", "anyio", "pydantic", "uvloop")
CALM = 0.1
"""Other programs' share of all cores below which a turn counts as calm."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds of a process: `main` of its first thread (the event loop's), `other` of all others and children."""

    main: float = 0.0
    other: float = 0.0

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(self.main - before.main, self.other - before.other)

    @property
    def total(self) -> float:
        """Of all threads together."""
        return self.main + self.other


def cpu_of(pid: int) -> Cpu:
    """The CPU that a process took by now. Children count while they live; what is gone took nothing."""
    main = other = 0.0
    for task in _listed(Path(f"/proc/{pid}/task")):
        taken = _number(task / "schedstat") / 1e9
        if int(task.name) == pid:
            main += taken
        else:
            other += taken
        other += sum(cpu_of(child).total for child in _children(task))
    return Cpu(main, other)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii").split()[0])
    except (OSError, IndexError):
        return 0


def _children(task: Path) -> list[int]:
    try:
        return [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def busy_seconds() -> float:
    """CPU seconds for which all cores together were busy since the machine started."""
    fields = [int(value) for value in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Watch:
    """What other programs took while a block ran: `foreign` is their share of all cores, from 0 to 1."""

    foreign: float = 0.0
    seconds: float = 0.0
    cpu: dict[int, Cpu] = field(default_factory=dict)
    """By process of ours, what it took in the block."""


@contextmanager
def watched(pids: Iterable[int]) -> Iterator[Watch]:
    """Watches the machine and our own processes, this one among them."""
    watch = Watch()
    before = {pid: cpu_of(pid) for pid in {os.getpid(), *pids}}
    began, busy = time.monotonic(), busy_seconds()
    yield watch
    watch.seconds, taken = time.monotonic() - began, busy_seconds() - busy
    watch.cpu = {pid: cpu_of(pid) - cpu for pid, cpu in before.items()}
    # Our other processes are children of this one, so its figure alone holds them all.
    ours = watch.cpu[os.getpid()].total
    watch.foreign = min(1.0, max(0.0, (taken - ours) / watch.seconds / (os.cpu_count() or 1)))


def load() -> float:
    """Programs that ran or waited for a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def facts() -> dict[str, Any]:
    """Machine and versions, without names of hosts and paths."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return " ".join(line.split(":", 1)[1].split())
    return platform.machine()


def commit() -> str:
    """The commit that is measured, with `+` where files differ from it; "unknown" outside of a repository."""
    try:
        name = _git("rev-parse", "--short=7", "HEAD")
        is_changed = _git("status", "--porcelain", "--", "orchestrator", "statemachines", "storage")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}+" if is_changed else name


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
