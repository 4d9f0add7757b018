"""Sends the trace of each target that has ended, where somebody collects traces (orchestrator/tracing.py).

In a task of its own, after the commit, and never more than a bounded number behind: a collector that hangs costs
traces, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Final, NamedTuple

import anyio
import anyio.from_thread
import anyio.lowlevel
import structlog

from orchestrator.operations.timeline import order_events
from orchestrator.tracing import ENDS, Export, Span, spans_of
from storage.errors import StoreError
from storage.store import Store
from storage.transaction import Published

log = structlog.get_logger()

_MOST_WAITING: Final = 10_000
_AT_ONCE: Final = 50
_LAST_SECONDS: Final = 2.0


class _Ended(NamedTuple):
    shop: str
    order: str
    target: str


class Traces:
    """`note` is called with what was committed, `run` lasts until it is cancelled."""

    def __init__(self, store: Store, export: Export, shut: Callable[[], None]) -> None:
        self._store, self._export, self._shut = store, export, shut
        self._waiting: deque[_Ended] = deque(maxlen=_MOST_WAITING)
        self._lost = 0
        self._wake = anyio.Event()
        self._under_way: _UnderWay | None = None

    def note(self, published: list[Published]) -> None:
        """Notes the targets that ended; the oldest are let go when too many wait."""
        for event in published:
            if event.type in ENDS and event.shop is not None and event.order is not None and event.target is not None:
                self._lost += len(self._waiting) == _MOST_WAITING
                self._waiting.append(_Ended(event.shop, event.order, event.target))
                self._wake.set()

    async def run(self) -> None:
        """Sends them as they come; what waits at the end has two seconds."""
        try:
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                await self._send()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS):
                await self._arrive()
                await self._send()
            under_way = 0 if self._under_way is None else self._under_way.targets + self._under_way.lost
            if lost := len(self._waiting) + self._lost + under_way:
                log.warning("tracing.lost", targets=lost)
            self._shut()

    async def _send(self) -> None:
        while self._waiting:
            ended = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            lost, self._lost = self._lost, 0
            try:
                spans = [span for each in ended for span in await self._spans(each)]
                call = _Call(self._export, spans)
            except anyio.get_cancelled_exc_class():
                self._waiting.extendleft(reversed(ended))  # for the last two seconds
                self._lost += lost
                raise
            except StoreError as error:
                log.error("tracing.lost", targets=len(ended) + lost, detail=str(error))
                continue
            except Exception as error:  # supervised: a thread that cannot start must not stop orders
                log.error("tracing.lost", targets=len(ended) + lost, detail=str(error), exc_info=error)
                continue
            self._under_way = _UnderWay(call, len(ended), lost)
            await self._arrive()

    async def _arrive(self) -> None:
        """Waits for what is under way. It is not sent again where the wait is cut off: the collector may have it."""
        if (it := self._under_way) is None:
            return
        error = await it.call.outcome()
        self._under_way = None
        lost = it.lost + (0 if it.call.has_arrived else it.targets)
        if error is not None:  # supervised: whatever is wrong with the exporter must not stop orders
            log.error("tracing.lost", targets=lost, detail=str(error), exc_info=error)
        elif lost:
            log.warning("tracing.lost", targets=lost)

    async def _spans(self, ended: _Ended) -> list[Span]:
        events = await self._store.read(
            lambda tx: [each for each in order_events(tx, ended.shop, ended.order) if each.target == ended.target]
        )
        try:
            return spans_of(events) if events else []
        except Exception as error:  # supervised: one order's data is not the others'
            log.error("tracing.lost", targets=1, shop=ended.shop, order=ended.order, detail=str(error), exc_info=error)
            return []


class _Call:
    """An export in a thread that the process does not wait for, as it does for anyio's: a collector that hangs holds up
    no end of the daemon."""

    def __init__(self, export: Export, spans: list[Span]) -> None:
        self.has_arrived = False
        self._error: Exception | None = None
        self._done, self._token = anyio.Event(), anyio.lowlevel.current_token()
        Thread(target=self._work, args=(export, spans), name="traces", daemon=True).start()

    async def outcome(self) -> Exception | None:
        """What the exporter raised, once it has ended. A wait that is cancelled may begin again."""
        await self._done.wait()
        return self._error

    def _work(self, export: Export, spans: list[Span]) -> None:
        try:
            self.has_arrived = export(spans)
        except Exception as error:  # noqa: BLE001 - the one who waits says it
            self._error = error
        finally:
            with suppress(anyio.RunFinishedError):
                anyio.from_thread.run_sync(self._done.set, token=self._token)


class _UnderWay(NamedTuple):
    call: _Call
    targets: int
    lost: int
