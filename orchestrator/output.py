"""What the daemon says on stderr: its log, and the one line with which it ends. Neither ever keeps it waiting."""

from __future__ import annotations

import io
import sys
from typing import Final

from orchestrator.config import Config
from orchestrator.logs import configure
from orchestrator.masking import Mask
from orchestrator.process.descriptors import occupy_standard_descriptors
from orchestrator.process.log_writer import LineWriter

_LAST_SECONDS: Final = 2.0
"""How long the end waits for the reader of the log."""


class Output:
    """Stderr of this process. Made before any file is opened."""

    def __init__(self) -> None:
        occupy_standard_descriptors()
        self._mask = Mask()
        descriptor = _descriptor_of_stderr()
        self._writer = None if descriptor is None else LineWriter(descriptor)

    @property
    def lines_lost(self) -> int:
        """How many lines of the log could not be written so far."""
        return 0 if self._writer is None else self._writer.lost

    def follow(self, config: Config) -> None:
        """Logs as the config says from now on, and hides its secrets beside those of earlier ones."""
        self._mask.add(config.secret_values())
        configure(config.log.format, config.log.level, mask=self._mask, writer=self._writer)

    def fail(self, message: str, code: int) -> int:
        """Says why the daemon ends, to a person; returns the exit code."""
        line = f"fulfilld: {message}\n"
        if self._writer is None:
            sys.stderr.write(line)
        else:
            self._writer.put(line.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
            self.close()
        return code

    def close(self) -> None:
        """Waits a little until everything is written."""
        if self._writer is not None:
            self._writer.close(_LAST_SECONDS)


def _descriptor_of_stderr() -> int | None:
    """None where stderr is not a file (in tests)."""
    try:
        return sys.stderr.fileno()
    except (io.UnsupportedOperation, AttributeError, ValueError):
        return None
