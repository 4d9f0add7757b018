"""Carries jobs out: a few orders of one shop at a time, each few in one unit of work, at the pace of the shop.

A node works on the orders of the shops that it works for, so several nodes share a job without knowing of each other.
What a unit takes from a job it takes in the transaction that changes the orders, so a job goes on after a death where
it was, and no order is operated twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskGroup

from orchestrator.decisions.bulk import Action, Pace
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.commands.job_unit import MISTAKE, Read, Unit, unknown_states
from orchestrator.operations.commands.services import CommandServices
from storage.errors import StoreError
from storage.jobs import (
    PIECE,
    Job,
    Piece,
    fail_job,
    get_job,
    get_piece,
    job_action,
    jobs_of_shop,
    read_job,
    shops_with_pieces,
)
from storage.rows import DamagedRow
from storage.transaction import Transaction

log = structlog.get_logger()

_CHANNEL = "jobs"
_REST_SECONDS = 30.0
_LOOK_SECONDS = 5.0  # where another node may have accepted a job
_AGAIN_SECONDS = 5.0
_START_SECONDS = 1.0  # until a shop that is being started can read
_READS = 10
"""So many orders are read from their platform before what was found is written."""


class JobRunner:
    """Works on what waits, each shop in a task of its own: none waits for another's platform. `run` lasts until it is
    cancelled, `wake` says that a job was accepted."""

    def __init__(self, services: CommandServices, pace: Pace | None = None) -> None:
        self._services, self._pace = services, pace or Pace()
        self._wake = anyio.Event()
        self._busy: set[str] = set()
        self._asked = 0
        self._rests: dict[str, float] = {}  # until when a shop rests, by the monotonic clock

    def wake(self) -> None:
        """There may be something to do."""
        self._asked += 1
        self._rests.clear()
        self._wake.set()

    async def run(self) -> None:
        """Carries out what waits, and what comes."""
        async with anyio.create_task_group() as group:
            if not self._services.store.is_exclusive:
                group.start_soon(self._listen)
            while True:
                self._wake = anyio.Event()
                rest_seconds = await self._begin(group)
                with anyio.move_on_after(rest_seconds):
                    await self._wake.wait()

    async def accepted(self) -> None:
        """A job was accepted here, for shops of whatever nodes."""
        self.wake()
        if not self._services.store.is_exclusive:
            await self._services.store.notify(_CHANNEL, "")

    async def _listen(self) -> None:
        async with self._services.store.listen(_CHANNEL) as notices:
            async for _ in notices:
                self.wake()

    async def _begin(self, group: TaskGroup) -> float:
        """Begins with each shop that does not rest; returns how long the others do, in seconds."""
        services = self._services
        if services.supervisor.is_draining:
            return _REST_SECONDS
        try:
            waiting = await services.store.read(shops_with_pieces)
        except StoreError as error:
            log.warning("jobs.postponed", detail=str(error))
            return _AGAIN_SECONDS
        now, rests = services.clock.monotonic(), [_REST_SECONDS if services.store.is_exclusive else _LOOK_SECONDS]
        for shop in waiting:
            if shop in self._busy or not self._is_ours(shop):
                continue
            left = self._rests.get(shop, now) - now
            if left > 0:
                rests.append(left)
            else:
                self._busy.add(shop)
                group.start_soon(self._work_off, shop)
        return min(rests)

    async def _work_off(self, shop: str) -> None:
        """Does what can be done of a shop now."""
        rest_seconds, asked = 0.0, self._asked
        try:
            while not rest_seconds and not self._services.supervisor.is_draining:
                asked = self._asked
                rest_seconds = await self._work(shop)
        except StoreError as error:
            log.warning("jobs.postponed", shop=shop, detail=str(error))
            rest_seconds = _AGAIN_SECONDS
        except Exception:  # supervised: one shop's fault is not the daemon's
            log.exception("jobs.crashed", shop=shop)
            rest_seconds = _AGAIN_SECONDS
        finally:
            self._busy.discard(shop)
            if asked == self._asked:  # else a job was accepted after the last look
                self._rests[shop] = self._services.clock.monotonic() + (rest_seconds or _REST_SECONDS)
            self._wake.set()

    def _is_ours(self, shop: str) -> bool:
        """Whether this node works on the shop's orders: on those of a shop that no node has configured any may."""
        supervisor = self._services.supervisor
        is_known = supervisor.is_configured(shop) or supervisor.is_elsewhere(shop)
        is_anyones = self._services.store.is_exclusive or not is_known
        return is_anyones or supervisor.worker(shop) is not None

    async def _work(self, shop: str) -> float:
        """Does a few orders of a shop; returns how long it then has to rest, in seconds. Raises StoreError."""
        services, now = self._services, self._services.clock.now_ms()
        spacing_ms = self._spacing_ms(shop)
        room = self._pace.room(shop, now, spacing_ms)
        found = await services.store.read(lambda tx: _next(tx, shop, has_room=room > 0))
        if found is None:
            return _REST_SECONDS if room else self._pace.seconds_to_room(shop, now)
        try:
            return await self._carry_out(*await services.store.read(found.read), room or PIECE, spacing_ms)
        except StoreError:
            raise
        except DamagedRow as damage:
            log.error("job.damaged", job=found.job, shop=shop, detail=str(damage))
            detail = f"{damage}; check the disk, then ask for it again"
        except Exception:  # supervised: one job's fault is not the others'
            log.exception("job.failed", job=found.job, shop=shop)
            detail = MISTAKE
        await services.store.write(lambda tx: fail_job(tx, found.job, shop, detail, services.clock.now_ms()))
        return 0.0

    def _spacing_ms(self, shop: str) -> float:
        facts = self._services.supervisor.shops().get(shop)
        if facts is None:
            return self._pace.spacing_ms(None)
        limits = facts.rate_limit.limits
        window = limits.window
        of_window = limits.rate_per_second if window is None else window.calls / window.seconds
        return self._pace.spacing_ms(min(limits.rate_per_second, of_window))

    async def _carry_out(self, job: Job, piece: Piece | None, room: int, spacing_ms: float) -> float:
        """Does as many orders of a piece as have room; returns as `_work`."""
        if piece is None:  # the job was cancelled, or another node came first
            return 0.0
        services, shop, supervisor = self._services, piece.shop, self._services.supervisor
        orders, rules, configured = piece.orders[:room], supervisor.rules(shop), supervisor.shops()
        read: Read = {}
        if job.action == Action.RETRY and rules is not None:
            unknown = await services.store.read(lambda tx: unknown_states(tx, configured, job, shop, orders))
            if unknown:
                if supervisor.worker(shop) is None or supervisor.is_draining:
                    return _START_SECONDS
                orders = orders[: orders.index(unknown[:_READS][-1]) + 1] if unknown[_READS:] else orders
                read = await self._read(shop, unknown[:_READS])
        now = services.clock.now_ms()
        unit = Unit(job, rules, configured, shop, read, now, self._pace.next_at(shop, now), spacing_ms)
        outcome = await services.store.write_bulk(lambda tx: unit.run(tx, piece.seq, len(orders)))
        self._pace.reached(shop, outcome.next_at)
        worker = supervisor.worker(shop)
        if job.action == Action.SKIP and worker is not None:
            for order in outcome.operated:
                worker.refresh_soon(order)
        if outcome.operated:
            await supervisor.wake(shop)
        return 0.0

    async def _read(self, shop: str, orders: Sequence[str]) -> Read:
        """Reads orders in a state that is not known: only that can show one that is."""
        read: dict[str, Refused | None] = {}
        for order in orders:
            try:
                await (await self._services.holder(shop)).read(order)
                read[order] = None
            except Refused as refusal:
                read[order] = refusal
        return read


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A piece of a job."""

    job: str
    piece: int

    def read(self, tx: Transaction) -> tuple[Job, Piece | None]:
        """Raises DamagedRow."""
        job = get_job(tx, self.job, read_job)
        assert job is not None
        return job, get_piece(tx, self.piece)


def _next(tx: Transaction, shop: str, *, has_room: bool) -> _Waiting | None:
    """What is to be done next of a shop, oldest job first. While there is no room for orders that go on, what stops
    them need not wait; but it never overtakes a release, which would undo a later hold."""
    for job, piece in jobs_of_shop(tx, shop):
        action = job_action(tx, job)
        if has_room or action in (Action.HOLD, Action.CANCEL):
            return _Waiting(job, piece)
        if action == Action.RELEASE:
            return None
    return None
