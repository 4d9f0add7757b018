"""Writes finished log lines to a descriptor in a thread of its own: whoever logs never waits for whoever reads.

A pipe that nobody empties takes 64 KiB and then blocks its writer; were that the event loop, one stuck log collector
would stop every order. So a line is put into a queue and the thread writes it. The queue is bounded: what comes while
it is full is lost and counted, as is what the descriptor refuses (a closed pipe, a full disk). Where lines are missing,
one that says how many is written as soon as anything can be; the others keep their order.

The thread writes to the descriptor itself and keeps no buffer: one that could not be emptied would grow, and make the
interpreter exit with a code of its own.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 8 * 1024 * 1024
_POLL_MS = 1000


class LineWriter:
    """Lines on their way to a descriptor. `put` may be called from any thread and never blocks.

    `notice`: makes the line (without its end) that says how many were lost.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        notice: Callable[[int], str] = "{} lines were lost".format,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.notice = notice
        self.lost = 0
        self._descriptor = descriptor
        self._most_lines, self._most_bytes = most_lines, most_bytes
        self._lines: deque[bytes | int] = deque()  # a number stands for as many lines that are missing there
        self._bytes = 0
        self._dropped = 0
        self._unreported = 0
        self._is_midline = False
        self._is_closing = False
        self._there = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Takes a whole line, its end included; it is lost when the queue is full."""
        with self._there:
            if len(self._lines) >= self._most_lines or self._bytes + len(line) > self._most_bytes:
                self._dropped += 1
                self.lost += 1
                return
            if self._dropped:
                self._lines.append(self._dropped)
                self._dropped = 0
            self._lines.append(line)
            self._bytes += len(line)
            self._there.notify()

    def close(self, seconds: float) -> bool:
        """Ends once everything is written; False when that took longer than `seconds`, and the rest is left."""
        with self._there:
            self._is_closing = True
            self._there.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            if isinstance(entry, int):
                self._unreported += entry
            if self._unreported:
                self._report_dropped()
            if isinstance(entry, bytes) and not self._write(entry):
                self._unreported += 1
                with self._there:
                    self.lost += 1

    def _next(self) -> bytes | int | None:
        """What comes next; None at the end."""
        with self._there:
            while not self._lines:
                if self._dropped:  # nothing came since there is room again
                    dropped, self._dropped = self._dropped, 0
                    return dropped
                if self._is_closing:
                    return None
                self._there.wait()
            entry = self._lines.popleft()
            if isinstance(entry, bytes):
                self._bytes -= len(entry)
            return entry

    def _report_dropped(self) -> None:
        text = self.notice(self._unreported) + "\n"
        if self._write(text.encode("utf-8", "backslashreplace")):
            self._unreported = 0

    def _write(self, line: bytes) -> bool:
        rest = memoryview(b"\n" + line if self._is_midline else line)
        try:
            while rest:
                try:
                    count = os.write(self._descriptor, rest)
                except BlockingIOError:  # a descriptor that it shares with others who made it so
                    self._wait_for_room()
                    continue
                rest = rest[count:]
                self._is_midline = bool(rest) or not line.endswith(b"\n")
        except OSError:
            return False
        return True

    def _wait_for_room(self) -> None:
        poll = select.poll()
        with suppress(OSError):
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll(_POLL_MS)
