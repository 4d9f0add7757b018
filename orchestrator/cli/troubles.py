"""What a client logs while a command uses it, for the command to say in its own words: such a command has no log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Trouble:
    """A warning or an error: what it is about (`tokens`, `calls`), the file where it is about one, and why."""

    about: str
    path: Path | None
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}" if self.path is not None else self.why


def troubles(logged: Iterable[Mapping[str, Any]]) -> list[Trouble]:
    """The warnings and errors among lines that `structlog.testing.capture_logs` caught, each once."""
    found = {
        Trouble(line["event"].partition(".")[0], Path(path) if (path := line.get("path")) else None, _why(line)): None
        for line in logged
        if line["log_level"] in ("warning", "error", "critical")
    }
    return list(found)


def _why(line: Mapping[str, Any]) -> str:
    return str(line.get("detail") or line["event"])
