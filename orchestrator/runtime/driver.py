"""The driver: takes one order at a time from decision to outcome, until it rests.

    read row → decide (pure) → commit intent → call the platform → commit outcome and next intent together → …

What a commit writes is decided right here, on the copy that the last commit left, and handed to the store as data
(`storage.changes`): it is written if nobody changed the order's row meanwhile and the lease is still ours. If not, and
after a read, it is decided inside a unit of work, on rows that nobody can change meanwhile. The outcome of a step and
the intent of the next share a commit when a permit for the next call is at hand. After an ambiguous answer, and after a
crash, the order is read before anything is sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeGuard

import anyio

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.decisions.continuing import go_on
from orchestrator.decisions.decision import Call, Move, Read, Rest, advance
from orchestrator.decisions.draft import Context, Draft, Policy
from orchestrator.decisions.outcomes import apply_answer, apply_failure, apply_read, apply_read_failure
from orchestrator.decisions.rejected import set_aside
from orchestrator.metrics import Metrics
from orchestrator.platforms.client import OrderSnapshot, PlatformClient, StepAnswer
from orchestrator.platforms.failures import OutOfSequence, PlatformFailure, Unreadable
from orchestrator.runtime.access import report_failure
from orchestrator.runtime.admission import Admission
from orchestrator.runtime.reading import not_adopted, read_order
from orchestrator.runtime.rules import Rules
from orchestrator.runtime.shop_store import ShopStore
from orchestrator.runtime.walk_turns import WalkTurns, short_turns
from statemachines.machine import PlatformMachine
from storage.changes import Change
from storage.errors import StoreError
from storage.orders import is_unchanged
from storage.payloads import get_kept
from storage.rejected import remove_rejected_of
from storage.transaction import Transaction

Apply = Callable[[Draft, Context], None]

_LAST_WRITE_SECONDS = 2.0  # for the shielded write of a call that a shutdown cut off


@dataclass(frozen=True, slots=True)
class ShopServices:
    """What a shop's driving needs: its policy, its client, the store, clock and chance."""

    rules: Rules
    client: PlatformClient
    admission: Admission
    store: ShopStore
    clock: Clock
    chance: Chance
    checkpoints: Checkpoints
    metrics: Metrics
    walk_turns: WalkTurns = field(default_factory=WalkTurns)
    short_turns: WalkTurns = field(default_factory=short_turns)

    @property
    def policy(self) -> Policy:
        """The shop's policy."""
        return self.rules.policy

    @property
    def machine(self) -> PlatformMachine:
        """The machine of the shop's orders."""
        return self.rules.machine

    def context(self, *, may_begin: bool = False, has_just_read: bool = False) -> Context:
        """The input of a decision about one of the shop's orders, as of now."""
        return self.rules.context(self.clock.now_ms(), may_begin=may_begin, has_just_read=has_just_read)

    @property
    def epoch(self) -> int:
        """The epoch of the shop's lease."""
        return self.store.epoch


class Carried(NamedTuple):
    """What one round of driving hands to the next.

    `draft`: the order as the last commit left it, or as it was read. `apply`: what the outcome does to it, which is not
    committed yet. `answer`: the answer that `apply` applies, where it is that of a step. `snapshot`: the order as the
    read showed it that this outcome comes from. `refused`: the message of a refusal, which the read that follows is to
    check. `has_permit`: a permit was acquired, and no call has used it yet.
    """

    draft: Draft | None = None
    apply: Apply | None = None
    answer: StepAnswer | None = None
    snapshot: OrderSnapshot | None = None
    refused: str | None = None
    has_permit: bool = False


class Driver:
    """Drives the orders of one shop; stateless between orders, so one instance serves all slots."""

    def __init__(self, services: ShopServices) -> None:
        self._services = services

    async def drive(self, order_id: str, draft: Draft | None = None) -> None:
        """Takes an order as far as it can go now. `draft`: the order as it was read a while ago, where it was. Raises
        StaleLease, StoreUnavailable."""
        carried: Carried | None = Carried(draft)
        while carried is not None:
            carried = await self._round(order_id, carried)

    async def _round(self, order_id: str, carried: Carried) -> Carried | None:
        """Commits what was carried, decides, and makes the call that is next; None when the order rests."""
        admission = self._services.admission
        has_permit = carried.has_permit or admission.try_acquire()
        try:
            draft, move = await self._commit(order_id, carried, has_permit=has_permit)
        except BaseException as error:
            if has_permit:
                admission.release_unused()
            if carried.snapshot is None or carried.draft is None or not _is_unexpected(error):
                raise
            failure = not_adopted(carried.snapshot, error)
            return Carried(carried.draft, await self._failed_read(carried.draft, failure))
        if has_permit and isinstance(move, Rest):
            admission.release_unused()
        if draft is None or move is Rest.REST:
            return None
        if not has_permit and not await admission.acquire():
            return None  # no call is admitted: the order stays due, and is fetched again when calls are
        match move:
            case Call():
                apply, answer, refused = await self._call(draft, move)
                return Carried(draft, apply, answer, refused=refused)
            case Read():
                apply, snapshot = await self._read(draft, carried.refused)
                return Carried(draft, apply, None, snapshot)
            case Rest():  # the step that was due may begin now, with the permit that was acquired
                return carried._replace(draft=draft, apply=None, answer=None, has_permit=True)

    # -- the store -------------------------------------------------------------------------------------------------

    async def _commit(self, order_id: str, carried: Carried, *, has_permit: bool) -> tuple[Draft | None, Move]:
        """Applies an outcome, decides the next move, and returns once both are durable."""
        checkpoints = self._services.checkpoints
        draft: Draft | None = None
        if carried.draft is not None and carried.snapshot is None:  # a read is compared with the snapshot before it
            draft, move, change = self._decided(carried.draft, carried, has_permit=has_permit)
            if not await self._services.store.change(change):
                draft, carried = None, carried._replace(draft=None)  # they are stale
        if draft is None:
            draft, move = await self._commit_fresh(order_id, carried, has_permit=has_permit)
        if checkpoints.is_used:
            if carried.apply is not None:
                await checkpoints.reach("after_outcome")
            if isinstance(move, Call):
                await checkpoints.reach("after_intent")
        return draft, move

    def _decided(self, known: Draft, carried: Carried, *, has_permit: bool) -> tuple[Draft, Move, Change]:
        """Decides here, on what the last commit left or on a copy of that, and what that changes."""
        ctx = self._services.context(may_begin=has_permit)
        call = None if carried.answer is None else go_on(known, ctx, carried.answer)
        draft, move = (known, call) if call is not None else _decide(known, carried.apply, ctx)
        return draft, move, draft.take_change(ctx.now, self._services.epoch)

    async def _commit_fresh(self, order_id: str, carried: Carried, *, has_permit: bool) -> tuple[Draft | None, Move]:
        """Decides on the rows as a unit of work sees them. The outcome of a read is compared with the snapshot before
        it. Raises StaleLease."""
        services, apply, has_read = self._services, carried.apply, carried.snapshot is not None

        def unit(tx: Transaction) -> tuple[Draft | None, Move]:
            draft = _fresh(tx, services, order_id, carried.draft)
            if draft is None:
                return None, Rest.REST
            ctx = services.context(may_begin=has_permit, has_just_read=has_read)
            if has_read:
                draft = draft.with_kept(get_kept(tx, services.policy.shop, order_id))
                remove_rejected_of(tx, services.policy.shop, order_id)
            if apply is not None:
                apply(draft, ctx)
            move = advance(draft, ctx)
            draft.save(tx, ctx.now)
            return draft, move

        return await services.store.write_fencing(unit)

    # -- the platform ----------------------------------------------------------------------------------------------

    async def _call(self, draft: Draft, move: Call) -> tuple[Apply, StepAnswer | None, str | None]:
        """Makes the call of a step; returns what its outcome does to the order, its answer if it succeeded, and a
        refusal's message to check."""
        services = self._services
        started = services.clock.monotonic()
        try:
            try:
                answer = await services.client.perform(move.step, draft.order.id, draft.order_state(), move.request)
            except PlatformFailure as failure:
                self._measure(move.step, failure.kind, started)
                counts, jitter = await self._report(failure), services.chance.jitter()
                await services.checkpoints.reach("after_call")
                refused = failure.detail if isinstance(failure, OutOfSequence) else None
                return partial(apply_failure, failure=failure, jitter=jitter, counts=counts), None, refused
        except BaseException:
            await self._leave_uncertain(draft)
            raise
        services.admission.succeeded()
        self._measure(move.step, "done", started)
        await services.checkpoints.reach("after_call")
        return partial(apply_answer, answer=answer, how="found_done" if answer.is_found else "called"), answer, None

    async def _read(self, draft: Draft, refused: str | None) -> tuple[Apply, OrderSnapshot | None]:
        """Reads the order; returns what that does to it, and its snapshot if the read succeeded."""
        services = self._services
        try:
            snapshot = await read_order(services.client, draft.order.id)
        except PlatformFailure as failure:
            services.metrics.call_finished(services.policy.shop, "read", failure.kind)
            return await self._failed_read(draft, failure), None
        except BaseException:
            services.admission.abandoned()
            raise
        services.admission.succeeded()
        services.metrics.call_finished(services.policy.shop, "read", "done")
        await services.checkpoints.reach("after_read")
        return partial(apply_read, snapshot=snapshot, refused=refused), snapshot

    async def _failed_read(self, draft: Draft, failure: PlatformFailure) -> Apply:
        """What a read that failed does to the order."""
        counts, jitter = await self._report(failure), self._services.chance.jitter()
        if isinstance(failure, Unreadable):
            await self._keep_unreadable(draft, failure)
        return partial(apply_read_failure, failure=failure, jitter=jitter, counts=counts)

    async def _report(self, failure: PlatformFailure) -> bool:
        """Reports a failure to the admission; returns whether the failure costs the order an attempt."""
        services = self._services
        return await report_failure(services.store, services.admission, services.clock, services.policy.shop, failure)

    async def _leave_uncertain(self, draft: Draft) -> None:
        """A shutdown (or a bug) cut a call off: the next start reads the order, and does not count a crash."""
        services = self._services
        services.admission.abandoned()

        def unit(tx: Transaction) -> None:
            fresh = _fresh(tx, services, draft.order.id, draft)
            if fresh is None or fresh.order.intent is None:
                return
            intent = fresh.order.intent
            now = services.clock.now_ms()
            fresh.change(intent=intent.cut_off(), due_at=now, moved_at=now)
            fresh.save(tx, now)

        with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WRITE_SECONDS):
            await services.store.write_fencing(unit)

    async def _keep_unreadable(self, draft: Draft, failure: Unreadable) -> None:
        services = self._services

        def unit(tx: Transaction) -> None:
            now, shop, order = services.clock.now_ms(), services.policy.shop, draft.order.id
            set_aside(tx, shop, "read", order, failure.detail, failure.payload, now)

        await services.store.write(unit)

    def _measure(self, step: str, outcome: str, started: float) -> None:
        services = self._services
        services.metrics.step_finished(
            services.policy.shop, services.policy.platform, step, outcome, services.clock.monotonic() - started
        )


def _is_unexpected(error: BaseException) -> TypeGuard[Exception]:
    """Whether it is a bug of ours that the order's data brought up: neither a shutdown nor the store."""
    return isinstance(error, Exception) and not isinstance(error, StoreError)


def _decide(known: Draft, apply: Apply | None, ctx: Context) -> tuple[Draft, Move]:
    """Applies an outcome to a copy, and decides what is next."""
    draft = known.fork()
    if apply is not None:
        apply(draft, ctx)
    return draft, advance(draft, ctx)


def _fresh(tx: Transaction, services: ShopServices, order_id: str, known: Draft | None) -> Draft | None:
    """The order as this transaction sees it: the copy at hand when nobody changed it since. Raises StaleLease."""
    if known is not None and is_unchanged(tx, known.order, services.epoch):
        return known.fork()
    if known is None:
        services.store.fence(tx)
    return Draft.load(tx, services.policy.shop, order_id)
