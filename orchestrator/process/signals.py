"""Signals, received in one place from before the lock is taken until everything is closed.

One receiver for all four, so there is no moment at which the default action (to die in the middle of a call) is in
force. It only sets events; who is concerned waits for them.
"""

from __future__ import annotations

import os
import signal

import anyio
from anyio.abc import TaskStatus

EXIT_AT_ONCE = 130


class Signals:
    """What the outside has asked of the process."""

    def __init__(self) -> None:
        self._stop = anyio.Event()
        self._asked = anyio.Event()
        self._reload = False
        self._status = False

    @property
    def is_stopping(self) -> bool:
        """Whether SIGTERM or SIGINT came."""
        return self._stop.is_set()

    async def stopped(self) -> None:
        """Returns at the first SIGTERM or SIGINT."""
        await self._stop.wait()

    async def asked(self) -> tuple[bool, bool]:
        """Waits for SIGHUP or SIGUSR1; returns whether a reload and whether a status dump was requested."""
        await self._asked.wait()
        self._asked = anyio.Event()
        requested = (self._reload, self._status)
        self._reload = self._status = False
        return requested

    async def listen(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Receives until cancelled. The second SIGTERM or SIGINT ends the process at once."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        with anyio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async for number in signals:
                self._received(number)

    def _received(self, number: signal.Signals) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stop.is_set():
                os._exit(EXIT_AT_ONCE)
            self._stop.set()
            return
        self._reload = self._reload or number == signal.SIGHUP
        self._status = self._status or number == signal.SIGUSR1
        self._asked.set()
