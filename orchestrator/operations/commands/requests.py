"""Requests from node to node: what only a shop's holder can do is asked of it by a row, carried out by its worker, and
answered in the row.

The rows are what counts; notices only make it quick. Whoever asks waits until somebody has begun, and gives up soon
where nobody does; a holder that dies meanwhile is waited for, for the one that takes the shop over begins anew.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import partial
from typing import Any, Final, cast

import anyio
import structlog
from anyio.abc import TaskGroup

from orchestrator.clock import Chance, Clock
from orchestrator.decisions.problems import REFUSAL_TITLES, Help
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.commands.holder import LocalHolder
from orchestrator.operations.commands.silence import holding, unanswered, unconfirmed
from orchestrator.runtime.reports import SyncReport
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.runtime.worker import ShopWorker
from statemachines.machine import OrderState
from storage.errors import StoreError, store_errors
from storage.orders import get_order
from storage.records import Json, Order
from storage.requests import (
    Request,
    add_request,
    answer_request,
    begin_request,
    forget_request,
    get_requests,
    leave_request,
    open_requests,
)
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
"""How often a node looks by itself for requests and answers: a notice may be lost."""
_ASKED, _ANSWERED = "asked", "answered"  # channels: of shops, of requests
_BEGUN_SECONDS: Final = 5.0  # in which somebody has to begin
_LONGEST_SECONDS: Final = 90.0  # for one answer: a holder that died is replaced in that time
_APPLIED_SECONDS: Final = 5.0  # for the holder to confirm it
_AT_ONCE: Final = 32  # of one shop; a pause waits for nothing
_LAST_SECONDS: Final = 2.0


class Kind(StrEnum):
    """What is asked. A version that does not know a kind says so."""

    READ = "read"
    SHOW = "show"
    SYNC = "sync"
    SYNC_SOON = "sync_soon"
    REFRESH_SOON = "refresh_soon"
    PAUSE = "pause"
    RESUME = "resume"


_APPLIED: Final = (Kind.PAUSE, Kind.RESUME)
"""What the shop's row says already: it is carried out however late, for a worker that runs does not read the row."""


def _nothing(_tx: Transaction) -> None:
    """Nothing but to ask."""


class _Waiting:
    """Somebody who waits for an answer. `looked` wakes it after each look."""

    __slots__ = ("looked", "request")

    def __init__(self) -> None:
        self.request: Request | None = None
        self.looked = anyio.Event()

    @property
    def is_begun(self) -> bool:
        """Whether a holder has begun with it."""
        return self.request is not None and self.request.epoch is not None


class Requests:
    """Asks the holders of other nodes, and carries out what they ask of ours. `run` lasts until it is cancelled, where
    several processes can have the store open."""

    def __init__(self, store: Store, supervisor: Supervisor, clock: Clock, chance: Chance) -> None:
        self._store, self._supervisor, self._clock, self._chance = store, supervisor, clock, chance
        self._waiting: dict[str, _Waiting] = {}
        self._busy: set[str] = set()
        self._look = anyio.Event()
        self._permits: defaultdict[str, anyio.CapacityLimiter] = defaultdict(lambda: anyio.CapacityLimiter(_AT_ONCE))

    # -- asking ----------------------------------------------------------------------------------------------------

    async def ask(
        self,
        shop: str,
        kind: Kind,
        order: str | None = None,
        *,
        first: Callable[[Transaction], object] = _nothing,
        seconds: float = _LONGEST_SECONDS,
        goes_on: bool = False,
    ) -> Json:
        """What the holder of a shop answers within so many seconds. `first` is done in the transaction that asks: where
        it answers False nothing is asked, and the answer is None. `goes_on`: None, too, is answered when that time is
        over and the holder has begun. Whoever is cancelled has asked all the same.

        Raises Refused, StoreError.
        """
        request = self._request(shop, kind, order, is_awaited=True)
        waiting = self._waiting[request.id] = _Waiting()
        end = leave_request
        try:
            if not await self._add(request, first):
                return None
            answer = await self._answer(waiting, seconds, _BEGUN_SECONDS if goes_on else min(seconds, _BEGUN_SECONDS))
            if answer is not None:
                return _answered(answer)
            if goes_on and waiting.is_begun:
                return None
            end = leave_request if kind in _APPLIED else forget_request
            raise unanswered(shop, await self._store.read(partial(holding, shop=shop)))
        finally:
            del self._waiting[request.id]
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_SECONDS), suppress(StoreError):
                await self._store.write(lambda tx: end(tx, request.id))
                await self._store.notify(_ASKED, shop)  # whoever was cancelled may not have come to it

    async def leave(self, shop: str, kind: Kind, order: str | None = None) -> None:
        """Asks what nobody waits for. Raises StoreError."""
        await self._add(self._request(shop, kind, order, is_awaited=False), _nothing)

    def _request(self, shop: str, kind: Kind, order: str | None, *, is_awaited: bool) -> Request:
        now = self._clock.now_ms()
        return Request(self._chance.target_id(now), shop, kind.value, order, is_awaited, now)

    async def _add(self, request: Request, first: Callable[[Transaction], object]) -> bool:
        def unit(tx: Transaction) -> bool:
            is_asked = first(tx) is not False
            if is_asked:
                add_request(tx, request)
            return is_asked

        if not await self._store.write(unit):
            return False
        self._look.set()  # the shop may be ours by now
        await self._store.notify(_ASKED, request.shop)
        return True

    async def _answer(self, waiting: _Waiting, seconds: float, begun_seconds: float) -> str | None:
        """The answer; None where nobody began in time, or it took too long."""
        began = self._clock.monotonic()
        while True:
            looked = waiting.looked = anyio.Event()
            now = waiting.request
            if now is not None and now.answer is not None:
                return now.answer
            left = (seconds if waiting.is_begun else begun_seconds) - (self._clock.monotonic() - began)
            if left <= 0:
                return None
            with anyio.move_on_after(min(left, POLL_SECONDS)):
                await looked.wait()

    # -- both ------------------------------------------------------------------------------------------------------

    async def run(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Works until cancelled; returns at once where there can be no other node."""
        if self._store.is_exclusive:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen, _ASKED)
            group.start_soon(self._listen, _ANSWERED)
            while True:
                self._look = anyio.Event()
                try:
                    await self._look_at_all(group)
                except StoreError as error:
                    log.debug("requests.not_read", detail=str(error))
                with anyio.move_on_after(poll_seconds):
                    await self._look.wait()

    async def _listen(self, channel: str) -> None:
        async with self._store.listen(channel) as notices:
            async for text in notices:
                if channel == _ASKED or text in self._waiting:
                    self._look.set()

    async def _look_at_all(self, group: TaskGroup) -> None:
        """Begins what is asked of our shops, and wakes who waits for an answer."""
        awaited, node = list(self._waiting), self._supervisor.node
        asked, found = await self._store.read(lambda tx: (open_requests(tx, _APPLIED, node), get_requests(tx, awaited)))
        for request in asked:
            worker = self._supervisor.worker(request.shop)
            if worker is not None and not worker.admission.is_draining and request.id not in self._busy:
                self._busy.add(request.id)
                group.start_soon(self._carry_out, request, worker)
        for id_, waiting in self._waiting.items():
            waiting.request = found.get(id_, waiting.request)
            waiting.looked.set()

    # -- answering -------------------------------------------------------------------------------------------------

    async def _carry_out(self, request: Request, worker: ShopWorker) -> None:
        """Carries a request out; it stays open where the worker ended meanwhile, for the shop's next one."""
        try:
            async with nullcontext() if request.kind in _APPLIED else self._permits[request.shop]:
                if not await self._store.write(lambda tx: _begun(tx, worker, request)):
                    return
                answer = await self._outcome(request, worker)
                if self._supervisor.worker(request.shop) is not worker or worker.admission.is_draining:
                    return  # what it then refuses the next one need not
                await self._store.write(lambda tx: _keep(tx, worker, request, answer))
                await self._store.notify(_ANSWERED, request.id)
        except Exception as error:
            if (interrupted := store_errors(error)) is None:
                log.error("request.crashed", shop=request.shop, order=request.order, kind=request.kind, exc_info=error)
            else:
                log.info("request.postponed", shop=request.shop, kind=request.kind, detail=str(interrupted[0]))
        finally:
            self._busy.discard(request.id)

    async def _outcome(self, request: Request, worker: ShopWorker) -> str:
        try:
            result = await self._result(request, LocalHolder(self._store, self._clock, worker))
        except Refused as refusal:
            return json.dumps({"refused": [refusal.slug, refusal.detail, refusal.retry_after_seconds, refusal.extra]})
        except StoreError:
            raise
        except Exception as error:
            log.error("request.crashed", shop=request.shop, order=request.order, kind=request.kind, exc_info=error)
            detail = f"the node that works for shop {request.shop} made a mistake; its log has more"
            return json.dumps({"refused": ["overloaded", detail, None, {}]})
        return json.dumps({"result": result})

    async def _result(self, request: Request, holder: LocalHolder) -> Json:
        order = request.order or ""
        match request.kind:
            case Kind.READ:
                return (await holder.read(order)).id
            case Kind.SHOW:
                state = await holder.show(order)
                return {"state": state.state, "payment": state.payment, "facts": dict(state.facts)}
            case Kind.SYNC:
                report = await holder.sync(math.inf)
                assert report is not None
                return asdict(report)
            case Kind.SYNC_SOON:
                return await holder.sync(None)
            case Kind.REFRESH_SOON:
                return await holder.refresh_soon(order)
            case Kind.PAUSE:
                return await holder.follow_pause()
            case Kind.RESUME:
                return await holder.go_on()
            case _:
                detail = f"the node that works for shop {request.shop} runs another version, which cannot do this"
                raise Refused("overloaded", f"{detail}; try again when all nodes run the same")


@dataclass(frozen=True, slots=True)
class RemoteHolder:
    """The worker of a shop that another node has."""

    store: Store
    requests: Requests
    shop: str

    async def read(self, order: str) -> Order:
        """As `Holder.read`."""
        known = cast("str", await self.requests.ask(self.shop, Kind.READ, order))
        found = await self.store.read(lambda tx: get_order(tx, self.shop, known))
        if found is None:  # retention is quick
            raise Refused("order-not-found", f"no order {order} of shop {self.shop} is known")
        return found

    async def show(self, order: str) -> OrderState:
        """As `Holder.show`."""
        state = cast("dict[str, Any]", await self.requests.ask(self.shop, Kind.SHOW, order))
        return OrderState(state["state"], state["state"], state["payment"], state["facts"])

    async def sync(self, wait_seconds: float | None) -> SyncReport | None:
        """As `Holder.sync`."""
        if wait_seconds is None:
            await self.requests.ask(self.shop, Kind.SYNC_SOON)
            return None
        said = await self.requests.ask(self.shop, Kind.SYNC, seconds=wait_seconds, goes_on=True)
        if said is None:
            return None
        # The holder may be of another version, whose report says more.
        report = cast("dict[str, int]", said)
        return SyncReport(**{each.name: report[each.name] for each in fields(SyncReport) if each.name in report})

    async def refresh_soon(self, order: str) -> None:
        """As `Holder.refresh_soon`."""
        await self.requests.leave(self.shop, Kind.REFRESH_SOON, order)

    async def pause(self, unit: Callable[[Transaction], None]) -> None:
        """As `Holder.pause`."""
        await self._written(Kind.PAUSE, unit)

    async def resume(self, unit: Callable[[Transaction], bool]) -> None:
        """As `Holder.resume`."""
        await self._written(Kind.RESUME, unit)

    async def _written(self, kind: Kind, unit: Callable[[Transaction], object]) -> None:
        """The row says it, and the holder does as it says; one that does not answer will, or its successor does. Raises
        Refused as long as a holder may do otherwise."""
        try:
            await self.requests.ask(self.shop, kind, first=unit, seconds=_APPLIED_SECONDS)
        except Refused as refusal:
            found = await self.store.read(partial(holding, shop=self.shop))
            if found.is_free:
                return
            raise unconfirmed(self.shop, kind.value, found) from refusal


def _begun(tx: Transaction, worker: ShopWorker, request: Request) -> bool:
    worker.fence(tx)
    return begin_request(tx, request.id, worker.epoch)


def _keep(tx: Transaction, worker: ShopWorker, request: Request, answer: str) -> None:
    worker.fence(tx)
    answer_request(tx, request.id, answer)


def _answered(text: str) -> Json:
    answer = json.loads(text)
    if (refused := answer.get("refused")) is None:
        return cast("Json", answer["result"])
    slug, detail, seconds, extra, *_ = refused
    known = slug if slug in REFUSAL_TITLES else "overloaded"  # another version has refusals of its own
    raise Refused(known, detail, retry_after_seconds=seconds, extra=cast("Help", extra))
