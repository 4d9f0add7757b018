"""Says that opening the store takes long: a new version may have to bring a large one to its schema first."""

from __future__ import annotations

import anyio
import structlog

from orchestrator.process.systemd import notify

log = structlog.get_logger()

_SAY_SECONDS = 5.0
_EXTENSION_SECONDS = 60  # beyond each time that it is said: as long as it goes on, systemd does not give the start up


class Opening:
    """One opening of a store. `run` says every few seconds that it goes on, from `begin` to `end`."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._begun, self._ended = anyio.Event(), anyio.Event()

    def begin(self) -> None:
        """The store is being opened from now on."""
        self._begun.set()

    def end(self) -> None:
        """The store is open, or could not be opened."""
        self._ended.set()

    async def run(self) -> None:
        """Returns when the opening has ended."""
        await self._begun.wait()
        began = anyio.current_time()
        while True:
            with anyio.move_on_after(_SAY_SECONDS):
                await self._ended.wait()
                return
            notify(f"EXTEND_TIMEOUT_USEC={_EXTENSION_SECONDS * 1_000_000}", "STATUS=opening the store")
            log.info(
                "store.opening",
                place=self._place,
                seconds=round(anyio.current_time() - began),
                detail="a new version may be migrating it; ended midway, it begins again with nothing lost",
            )
