"""What wakes the tasks of a shop's worker. Made before any of them, so that each is given it and none the worker."""

from __future__ import annotations

import anyio


class Wakeup:
    """Somebody is to look again. Heard once however often it was rung; rung while nobody waits, it is heard at once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Look again."""
        self._event.set()

    async def wait(self) -> None:
        """Returns once it was rung since the last time."""
        await self._event.wait()
        self._event = anyio.Event()


class Wakeups:
    """`due`: the dispatcher, for something may be due. `gate`: the keeper of the gate's row."""

    def __init__(self) -> None:
        self.due, self.gate = Wakeup(), Wakeup()

    def gate_changed(self) -> None:
        """The gate opened, closed or changed its reason."""
        self.gate.ring()
        self.due.ring()
