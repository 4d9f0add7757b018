"""The shop worker: all work of one shop, on the one node that holds its lease.

Two duties run side by side: the dispatcher keeps lanes busy with orders that are due, the poller sweeps. A lane is a
task that drives one order after another and ends when nothing is due, so an order at rest costs no task and no memory.
What is due is a question to the store; memory holds only a short list of ids and the set of orders that are in a lane,
which keeps each order strictly in sequence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from orchestrator.decisions.adoption import Adopted, Look, adopt, note_gone
from orchestrator.decisions.draft import Context, Draft, problem_of
from orchestrator.decisions.history import is_history, may_be_history
from orchestrator.decisions.recovery import recover
from orchestrator.platforms.client import Age, RemembersRefusal, Seen
from orchestrator.platforms.failures import NotFound
from orchestrator.platforms.fields import stumble
from orchestrator.platforms.subscriptions import PushingClient
from orchestrator.runtime.access_watch import mind_access, tell_resumed
from orchestrator.runtime.asking import ask
from orchestrator.runtime.driver import Driver, Equipment
from orchestrator.runtime.gate import Gate
from orchestrator.runtime.reading import not_adopted, read_order
from orchestrator.runtime.reports import WebhookHealth
from orchestrator.runtime.rereading import Rereads
from orchestrator.runtime.sync import Poller
from orchestrator.runtime.sync_schedule import Sweeps
from statemachines.target import Json
from storage.errors import StoreError
from storage.history import note_skipped
from storage.orders import due_orders, get_order, next_due_at
from storage.records import Order, Shop, Situation
from storage.rejected import hasten_rejected, remove_rejected_of
from storage.shops import fence, follow_shop, get_shop, resume_shop, save_credentials, save_gate
from storage.transaction import Transaction

log = structlog.get_logger()

_FETCH = 64  # due orders asked for at once, beside those in lanes
_STUMBLE_MS = 60_000  # pause of an order whose driving raised a programming error
_LONGEST_RETRY_AFTER_SECONDS = 3600.0  # no client takes more for an answer
_MAX_IDLE_SECONDS = 30.0  # a wake-up that was missed costs at most this


MEND_ACCESS = "mend them in their files, or in the config and send SIGHUP, or resume the shop"
"""What to do when a platform refuses our credentials."""

_CLOSED = {"retry_after": "asked us to wait", "circuit": "does not answer and is left alone"}


class ShopWorker:
    """Works for one shop. `run` lasts until it is cancelled or the lease is lost; everything else may be called from
    other tasks meanwhile. `webhooks`: what the last look at the platform's webhooks showed."""

    def __init__(
        self, equipment: Equipment, poll_seconds: float | None, fingerprint: str, *, is_after_death: bool = True
    ) -> None:
        self.equipment = equipment
        self.name = equipment.policy.shop
        self._gate = equipment.gate
        self._gate.on_change = self.gate_changed
        self._driver = Driver(equipment)
        self._rereads = Rereads(equipment, partial(self.follow, cause=None))
        self.sweeps = Sweeps(self.name, Poller(equipment, self.wake, self._rereads), equipment.clock, equipment.chance)
        self._poll_seconds = poll_seconds
        self._fingerprint = fingerprint
        self._is_after_death = is_after_death
        self._buffer: deque[str] = deque()
        self._in_lanes: set[str] = set()
        self._lanes = 0
        self._wake = anyio.Event()
        self._lane_ended = anyio.Event()
        self._gate_changed = anyio.Event()
        self._saved_gate: tuple[object, ...] = ()
        self.webhooks: WebhookHealth | None = None

    # -- from outside ----------------------------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """Orders in a lane right now."""
        return len(self._in_lanes)

    async def rested(self) -> None:
        """Returns once no lane runs."""
        while self._lanes:
            self._lane_ended = anyio.Event()
            await self._lane_ended.wait()

    def reset_gate(self) -> None:
        """A person resumed the shop: what the platform asked for, the circuit and a refused login are forgotten."""
        if isinstance(self.equipment.client, RemembersRefusal):
            self.equipment.client.forget_refusal()
        self._gate.set_paused(False)
        self._gate.reset()
        self.wake()

    def why_closed(self, shop: Shop | None) -> str:
        """Why the shop is not asked now, for people; `shop` is its row, which knows who paused it."""
        if self._gate.is_draining:
            return "the daemon is shutting down"
        if self._gate.is_paused:
            why = f" ({shop.paused_reason})" if shop is not None and shop.paused_reason else ""
            if shop is not None and shop.paused_by == "access_denied":
                return f"its platform refused our credentials{why}; {MEND_ACCESS}"
            if shop is not None and shop.paused_by == "restore":
                return f"it waits until a person has looked{why}; resume it then"
            if shop is not None and shop.paused_by == "another_account":
                return f"its name means another account now{why}; mend the config, or resume it if it is the same shop"
            return f"it is paused by a person{why}; resume it"
        reason = self._gate.reason()
        if reason is None:
            return "its platform is being tried again with one call"
        return f"its platform {_CLOSED[reason[0]]} for {reason[1]:.0f} s more ({reason[2]})"

    def close_gate(self) -> None:
        """A person paused the shop."""
        self._gate.set_paused(True)

    @property
    def gate(self) -> Gate:
        """The shop's gate, to look at."""
        return self._gate

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def gate_changed(self) -> None:
        """The gate opened, closed or changed its reason."""
        self._gate_changed.set()
        self._wake.set()

    def drain(self) -> None:
        """No new step starts; running calls finish and are recorded."""
        self._gate.drain()

    async def read(self, order_id: str) -> tuple[Seen, int]:
        """Reads an order from the platform and answers when the read began. Raises GateClosed, PlatformFailure."""
        e = self.equipment
        read_at = e.clock.now_ms()  # before the turn: an earlier time only makes the look more careful
        return await ask(e, "read", partial(read_order, e.client, order_id)), read_at

    async def order_of_part(self, part: str) -> str | None:
        """The order that a part belongs to, where the platform can tell. Raises GateClosed, PlatformFailure."""
        client = self.equipment.client
        if not isinstance(client, PushingClient):
            return None
        return await ask(self.equipment, "read", partial(client.order_of_part, part))

    async def refresh(self, order_id: str) -> Order:
        """Reads an order and adopts it, importing it if it was unknown; notes a known one that is gone.

        A read that began within the millisecond of what is known already may be older than that and is not taken over.
        Who asked for it wants to see what the platform shows now, so it is made once more, unless a step is out.

        Raises as `read`, StaleLease.
        """
        looked = await self._look_at(order_id, None, imports_any=True)
        assert looked is not None
        if looked[1] is Adopted.STALE and looked[0].intent is None:
            looked = await self._look_at(order_id, None, imports_any=True)
            assert looked is not None
        return looked[0]

    async def follow(self, order_id: str, cause: Mapping[str, Json] | None) -> tuple[Order, Adopted] | None:
        """As `refresh`, because of webhooks (`cause`: as in `Look`); answers also what the read changed.

        None: an unknown order that is history or not released is left alone, as a poll leaves it; of the latter's
        payment news will come.
        """
        return await self._look_at(order_id, cause, imports_any=False)

    async def leaves_out(self, order_id: str, age: Age) -> bool:
        """Whether an order of this age is history, which is noted then: it is not even read. Raises StaleLease."""
        if not may_be_history(self.equipment.policy, age):
            return False

        def unit(tx: Transaction) -> bool:
            fence(tx, self.name, self.equipment.epoch)
            is_left_out = is_history(tx, self.context(), order_id, age)
            if is_left_out:
                note_skipped(tx, self.name, order_id)
            return is_left_out

        return await self.equipment.store.write(unit)

    async def _look_at(
        self, order_id: str, cause: Mapping[str, Json] | None, *, imports_any: bool
    ) -> tuple[Order, Adopted] | None:
        asked_at = self.equipment.clock.now_ms()
        try:
            seen, read_at = await self.read(order_id)
        except NotFound as failure:
            await self._note_gone(order_id, failure.detail, asked_at)
            raise

        def unit(tx: Transaction) -> tuple[Order, Adopted] | None:
            fence(tx, self.name, self.equipment.epoch)
            ctx = self.context()
            if not imports_any and is_history(tx, ctx, seen.id, seen.age):
                note_skipped(tx, self.name, seen.id)
                remove_rejected_of(tx, self.name, seen.id)
                return None
            if not (imports_any or seen.is_released) and get_order(tx, self.name, seen.id) is None:
                remove_rejected_of(tx, self.name, seen.id)
                return None
            return adopt(tx, ctx, Look(seen, read_at, cause))

        try:
            result = await self.equipment.store.write(unit)
        except StoreError:
            raise
        except Exception as error:
            raise not_adopted(seen, error) from error
        if result is not None and result[1] is Adopted.IMPORTED:
            self.equipment.crash.hit("after_import")
        self.wake()
        return result

    async def _note_gone(self, order_id: str, detail: str, read_at: int) -> None:
        def unit(tx: Transaction) -> None:
            fence(tx, self.name, self.equipment.epoch)
            note_gone(tx, self.context(), order_id, detail, read_at)

        await self.equipment.store.write(unit)

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Recovers, then dispatches and polls until cancelled. Raises StaleLease, StoreUnavailable."""
        await self._start()
        task_status.started()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_gate)
                group.start_soon(mind_access, self.equipment, self.reset_gate)
                group.start_soon(self.sweeps.run, self._poll_seconds)
                group.start_soon(self._rereads.run)
                await self._dispatch(group)
        finally:
            self.sweeps.close()

    async def _start(self) -> None:
        """Takes up what the last run left: pause, gate, calls that were out."""
        e = self.equipment

        def unit(tx: Transaction) -> int:
            fence(tx, self.name, e.epoch)
            now = e.clock.now_ms()
            follow_shop(tx, self.name, now)
            shop = get_shop(tx, self.name)
            assert shop is not None
            if shop.credentials != self._fingerprint:
                if shop.paused_by == "access_denied" and resume_shop(tx, self.name):
                    tell_resumed(tx, now, self.name)
                save_credentials(tx, self.name, self._fingerprint)
            hasten_rejected(tx, self.name)
            count = recover(tx, self.context(), is_after_death=self._is_after_death)
            self._take_over(tx, now)
            return count

        count = await e.store.write(unit)
        if count:
            log.info("shop.recovered", shop=self.name, orders=count)

    def _take_over(self, tx: Transaction, now: int) -> None:
        shop = get_shop(tx, self.name)
        assert shop is not None
        self._gate.is_paused = shop.paused_at is not None
        if shop.gate_until is not None:
            seconds = (shop.gate_until - now) / 1000
            if seconds <= self._longest_gate_seconds(shop.gate_reason):  # else our clock has been set back since
                self._gate.restore(shop.gate_reason, seconds, shop.gate_detail)
        reason = self._gate.reason()  # what has run out since is over for whoever looks, too
        until = None if reason is None else now + int(reason[1] * 1000)
        self._gate_unit(self._gate.circuit, reason, until)(tx)

    def _longest_gate_seconds(self, reason: str | None) -> float:
        return self._gate.limits.cooldown_seconds if reason == "circuit" else _LONGEST_RETRY_AFTER_SECONDS

    def context(self) -> Context:
        """What a decision about one of the shop's orders may look at, now and without a turn for a call."""
        e = self.equipment
        return Context(e.machine, e.policy, e.clock.now_ms())

    # -- dispatching -----------------------------------------------------------------------------------------------

    async def _dispatch(self, group: TaskGroup) -> None:
        while True:
            self._wake = anyio.Event()
            wait_seconds: float | None = None
            if self._gate.is_open:
                fetched_at = await self._fetch() if not self._buffer else None
                self._open_lanes(group)
                if not self._buffer and fetched_at is not None:
                    wait_seconds = await self._seconds_to_next(fetched_at)
            else:
                self._buffer.clear()
                wait_seconds = self._gate.seconds_closed() or None
            with anyio.move_on_after(min(wait_seconds or _MAX_IDLE_SECONDS, _MAX_IDLE_SECONDS)):
                await self._wake.wait()

    async def _fetch(self) -> int:
        """Asks the store for due orders that are in no lane; answers up to when they were asked for."""
        e = self.equipment
        now = e.clock.now_ms()
        limit = _FETCH + len(self._in_lanes)
        longest_ms = e.policy.longest_ms
        due = await e.store.read(lambda tx: due_orders(tx, self.name, now, limit, longest_ms))
        known = set(self._buffer)
        self._buffer.extend(order for order, _ in due if order not in self._in_lanes and order not in known)
        return now

    def _open_lanes(self, group: TaskGroup) -> None:
        wanted = min(self._gate.limits.concurrency - self._lanes, len(self._buffer))
        for _ in range(wanted):
            self._lanes += 1
            group.start_soon(self._lane)

    async def _seconds_to_next(self, fetched_at: int) -> float | None:
        """How long until the next order falls due, counted from the last fetch: what fell due since is due now, and
        asking from the present on would overlook it."""
        e = self.equipment
        due_at = await e.store.read(lambda tx: next_due_at(tx, self.name, fetched_at))
        return None if due_at is None else max(0.001, (due_at - e.clock.now_ms()) / 1000)

    async def _lane(self) -> None:
        """Drives one order after another until the list is empty or the gate closes."""
        try:
            while self._gate.is_open and (order := self._next()) is not None:
                self._in_lanes.add(order)
                try:
                    await self._drive(order)
                finally:
                    self._in_lanes.discard(order)
                if not self._buffer:
                    await self._refill()
        finally:
            self._lanes -= 1
            self._lane_ended.set()
            self._wake.set()

    async def _refill(self) -> None:
        """A lane that found the list empty fetches for all; it ends when there is nothing."""
        if self._gate.is_open:
            await self._fetch()
            if self._buffer:
                self._wake.set()

    def _next(self) -> str | None:
        while self._buffer:
            order = self._buffer.popleft()
            if order not in self._in_lanes:
                return order
        return None

    async def _drive(self, order: str) -> None:
        try:
            with structlog.contextvars.bound_contextvars(shop=self.name, order=order):
                await self._driver.drive(order)
        except StoreError:
            raise
        except Exception as error:  # supervised: a bug in one order's driving must not stop the shop
            log.exception("order.stumbled", shop=self.name, order=order)
            await self._set_back(order, stumble(error))

    async def _set_back(self, order_id: str, what: str) -> None:
        """An order whose driving raised is looked at again later, and after some times given to a person."""

        def unit(tx: Transaction) -> None:
            draft, ctx = Draft.load(tx, self.name, order_id), self.context()
            if draft is None:
                return
            order = draft.order
            step = order.intent.step if order.intent is not None else None
            if order.intent is not None:
                draft.change(intent=order.intent.cut_off())
            draft.change(read_attempts=order.read_attempts + 1)
            if draft.order.read_attempts >= ctx.policy.attempts:
                detail = f"driving this order raised {what}, each time: that is a bug, the daemon's log has it"
                problem = problem_of("attempts-exhausted", detail, step, ctx.now)
                draft.block(replace(problem, title="The daemon cannot drive the order"))
            else:
                due_at = ctx.now + _STUMBLE_MS
                draft.change(situation=Situation.RETRYING, due_at=due_at, next_attempt_at=due_at)
            draft.save(tx, ctx.now)

        await self.equipment.store.write(unit)

    # -- the gate's row --------------------------------------------------------------------------------------------

    async def _keep_gate(self) -> None:
        """Writes the gate's state when it changes, so that people see it and a restart respects it."""
        while True:
            await self._gate_changed.wait()
            self._gate_changed = anyio.Event()
            reason = self._gate.reason()
            e = self.equipment
            until = None if reason is None else e.clock.now_ms() + int(reason[1] * 1000)
            state = (self._gate.circuit, reason and reason[0], reason and reason[2])
            if state == self._saved_gate and reason is None:
                continue
            self._saved_gate = state
            e.metrics.circuit_changed(self.name, self._gate.circuit)
            await e.store.write(self._gate_unit(self._gate.circuit, reason, until))

    def _gate_unit(
        self, circuit: str, reason: tuple[str, float, str] | None, until: int | None
    ) -> Callable[[Transaction], None]:
        kind, detail = (None, None) if reason is None else (reason[0], reason[2])

        def unit(tx: Transaction) -> None:
            save_gate(tx, self.name, circuit, kind, until, detail)

        return unit
