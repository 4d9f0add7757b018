"""An order being decided on: its row and queue in memory, its pending changes, and their events.

Deciding works on a draft and is pure; `save` writes everything that changed in the transaction it is given. Records are
copied before they change, so a draft can be thrown away when its transaction fails and decided on again from where it
began. `continuing` alone changes those that it is given: whoever asks it reads the order anew where that is stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from orchestrator.backoff import Growing
from orchestrator.decisions.problems import problem_json
from orchestrator.decisions.way import Way
from statemachines.machine import Chaining, OrderState, Plan, PlannedStep, PlatformMachine, Refusal
from statemachines.parcel import RecordedParcel
from statemachines.target import Json, TargetRequest
from storage.changes import Change, save_change
from storage.events import EventRow, NewEvent, append_rows, event_rows
from storage.orders import SELDOM, LostUpdate, get_order, seldom_row, step_row
from storage.payloads import save_payload
from storage.records import Kept, Order, Problem, Situation, Target, TargetStatus, changed
from storage.targets import get_target, pending_targets, progress_row, target_row
from storage.transaction import Transaction

LONGEST_RECHECK_MS = 300_000
"""The longest pause before an order that the platform holds up is read again."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A shop's rules for driving, and for what is imported. Times in milliseconds.

    `backoff`: between attempts at a step, or at a read of an order.
    `import_since`: Unix time before which orders are history (`decisions.history`), None: no such time. `retention_ms`:
    how long orders at rest are kept.
    """

    shop: str
    platform: str
    chaining: Chaining
    fresh_ms: int
    attempts: int
    backoff: Growing
    recovery_limit: int
    import_since: int | None = None
    retention_ms: int | None = None

    @property
    def longest_ms(self) -> int:
        """No order of the shop is put off for longer than this: by backoff, or before a platform's wait is checked
        again."""
        return max(int(self.backoff.longest), LONGEST_RECHECK_MS)


class Context(NamedTuple):
    """The input of a decision beside the draft. `may_begin`: a permit for one platform call is at hand, so a step may
    be begun in the same commit that records the outcome before it. `has_just_read`: the order was read and only waited
    for a permit since, so it is not read again for that."""

    machine: PlatformMachine
    policy: Policy
    now: int
    may_begin: bool = False
    has_just_read: bool = False

    def is_ahead(self, at: int | None) -> bool:
        """Whether an order that was put off until `at` still waits. An instant further ahead than any wait was written
        before our clock was set back: the order is due."""
        return at is not None and self.now < at <= self.now + self.policy.longest_ms

    def passed(self, at: int) -> int:
        """An instant in the past; 0 (never) for one in the future: our clock was ahead when it was written, so the true
        instant is unknown."""
        return at if at <= self.now else 0


class Draft:
    """One order with its pending targets, being changed. `intent_target` is the target of an intent even when that
    target has ended (it was cancelled while the call was out). `cause` goes into every event about the order itself.
    `kept`: the content that the ERP was given before, to compare an observation with."""

    __slots__ = (
        "_added",
        "_cause",
        "_ended",
        "_events",
        "_has_seldom",
        "_is_own",
        "_payload",
        "_progressed",
        "_requests",
        "_rewritten",
        "_state",
        "intent_target",
        "kept",
        "order",
        "targets",
        "way",
    )

    def __init__(
        self,
        order: Order,
        targets: Iterable[Target],
        intent_target: Target | None = None,
        *,
        cause: Mapping[str, Json] | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.order = order
        self.targets = list(targets)
        self.intent_target = intent_target
        self.kept = kept
        self._cause = cause
        self._added: set[str] = set()
        self._progressed: dict[str, Target] = {}
        self._rewritten: dict[str, Target] = {}
        self._events: list[NewEvent] = []
        self._payload: tuple[bytes, dict[str, Json], int] | None = None
        self._ended: dict[str, Target] = {}
        self._has_seldom = False
        self._is_own = False  # no other draft has this very order, so that the last of the changes needs no copy
        self._requests: dict[str, TargetRequest] = {}
        self._state: OrderState | None = None
        self.way: Way | None = None

    @classmethod
    def load(cls, tx: Transaction, shop: str, order_id: str) -> Draft | None:
        """Reads an order with its queue, None if it is not known."""
        order = get_order(tx, shop, order_id)
        return None if order is None else cls.of(tx, order)

    @classmethod
    def of(
        cls, tx: Transaction, order: Order, *, cause: Mapping[str, Json] | None = None, kept: Kept | None = None
    ) -> Draft:
        """Reads the queue of an order that is at hand."""
        return cls.with_queue(tx, order, pending_targets(tx, order.shop, order.id), cause=cause, kept=kept)

    @classmethod
    def with_queue(
        cls,
        tx: Transaction,
        order: Order,
        targets: list[Target],
        *,
        cause: Mapping[str, Json] | None = None,
        kept: Kept | None = None,
    ) -> Draft:
        """Reads what is missing of an order that is at hand with its queue: the target of its intent."""
        wanted = order.intent.target if order.intent is not None else None
        ended = None
        if wanted is not None and all(target.id != wanted for target in targets):
            ended = get_target(tx, wanted)
        return cls(order, targets, ended, cause=cause, kept=kept)

    def fork(self) -> Draft:
        """An unchanged copy to decide on again."""
        copy = Draft(self.order, self.targets, self.intent_target, cause=self._cause)
        copy._requests, copy._state, copy.way = self._requests, self._state, self.way
        return copy

    def follow(self, way: Way, events: list[NewEvent]) -> None:
        """The order has come along `way`: its row and its head were changed in place, of the head only how far it is.
        Nothing else may wait to be written."""
        head = self.targets[0]
        self.way, self._state, self._events, self._is_own = way, way.state, events, True
        self._progressed[head.id] = head

    def with_kept(self, kept: Kept | None) -> Draft:
        """An unchanged copy to adopt an observation."""
        copy = Draft(self.order, self.targets, self.intent_target, cause=self._cause, kept=kept)
        copy._requests, copy._state = self._requests, self._state
        return copy

    def order_state(self) -> OrderState:
        """The state of the order, for the machine."""
        order, known = self.order, self._state
        if (
            known is not None
            and known.facts is order.facts
            and known.state == order.state
            and known.platform_state == order.platform_state
            and known.payment == order.payment
            and not known.parcels
            and not order.parcels
        ):
            return known
        parcels = recorded_parcels(order)
        self._state = OrderState(order.state, order.platform_state, order.payment, order.facts, parcels)
        return self._state

    def change(self, **fields: Json) -> None:
        """Replaces fields of the order."""
        self.order, self._is_own = changed(self.order, **fields), True
        self._has_seldom = self._has_seldom or not SELDOM.isdisjoint(fields)

    def next_steps(self, ctx: Context, target: Target) -> tuple[PlannedStep, ...] | Refusal:
        """The steps that are left for a target, in sequence, or why there are none: `PlatformMachine.plan`, which is
        not asked again for the rest of a plan that stands (`Way`)."""
        machine, chaining, request, state = ctx.machine, ctx.policy.chaining, self.request(target), self.order_state()
        steps = None if self.way is None else self.way.left(machine, chaining, request, state)
        if steps is None:
            plan = machine.plan(state, request, chaining)
            if isinstance(plan, Refusal):
                self.way = None
                return plan
            steps = plan.steps
        self.way = Way(machine, chaining, request, state, steps)
        return steps

    def remember_plan(self, ctx: Context, target: Target, request: TargetRequest, plan: Plan) -> None:
        """`plan` was made of `request` from the state that the order is in: `next_steps` need not plan that again."""
        if (kept := self.request(target)) == request:
            self.way = Way(ctx.machine, ctx.policy.chaining, kept, self.order_state(), plan.steps)

    def target(self, target_id: str) -> Target | None:
        """A pending target by id."""
        for target in self.targets:
            if target.id == target_id:
                return target
        return None

    def request_of_intent(self, machine: PlatformMachine) -> TargetRequest:
        """The request that the intent's call carried."""
        intent = self.order.intent
        assert intent is not None
        target = self.target(intent.target) or self.intent_target
        return self.own_request(machine, target) if target is not None else TargetRequest(intent.to)

    def own_request(self, machine: PlatformMachine, target: Target) -> TargetRequest:
        """What a target asks for, as the machine's hooks and the client take it at this order."""
        request = self.request(target)
        is_plain = request.parcel is None and not self.order.parcels
        return request if is_plain else machine.own_request(self.order_state(), request)

    def request(self, target: Target) -> TargetRequest:
        """What a target asks for, read from its JSON once, without the fields that the platform did not use."""
        known = self._requests.get(target.id)
        if known is None:
            known = self._requests[target.id] = TargetRequest.from_json(target.request)
        unused: set[str] = set()
        for entry in target.plan[: target.steps_done]:
            if entry.unused:
                unused.update(entry.unused)
        return known.without(unused) if unused else known

    def put(self, target: Target, *, is_progress_only: bool = False) -> None:
        """Replaces a pending target; an ended one leaves the queue."""
        for index, known in enumerate(self.targets):
            if known.id == target.id:
                self.targets[index] = target
        if target.status.is_end:
            self.targets = [known for known in self.targets if known.id != target.id]
            self._ended[target.id] = target
        if target.id in self._added:
            return
        if is_progress_only and target.id not in self._rewritten:
            self._progressed[target.id] = target
        else:
            self._progressed.pop(target.id, None)
            self._rewritten[target.id] = target

    def add(self, target: Target) -> None:
        """Puts a new target at the end of the queue: it is in no change, but added as this draft leaves it."""
        self.targets.append(target)
        self._added.add(target.id)

    def latest(self, target: Target) -> Target:
        """A target as this draft left it, pending or ended."""
        changed = self._ended.get(target.id) or self.target(target.id)
        return changed if changed is not None else target

    def emit(self, type_: str, target: str | None = None, **data: Json) -> None:
        """Adds an event about this order."""
        if self._cause is not None and type_.startswith("order."):
            data |= self._cause
        self._events.append((type_, target, data or None))

    def finish(self, target: Target, status: TargetStatus, now: int, problem: Problem | None = None) -> None:
        """Ends a target, with an event."""
        kept = changed(target, status=status, finished_at=now, problem=problem, plan=_final_plan(target, status))
        is_head = bool(self.targets) and self.targets[0].id == target.id
        if is_head and self.order.problem is not None:  # the problem of the order is that of the head alone
            self.change(problem=None)
        self.put(kept)
        data: dict[str, Json] = {"state": target.state, "milestone": target.milestone, "order_state": self.order.state}
        if problem is not None:
            data["problem"] = problem_json(problem)
        self.emit(f"target.{status.value}", target.id, **data)

    def block(self, problem: Problem) -> None:
        """Stops the order until a person decides; the head of the queue waits with it."""
        if self.targets:
            self.put(changed(self.targets[0], status=TargetStatus.BLOCKED, problem=problem))
        self.change(problem=problem, situation=Situation.BLOCKED, next_attempt_at=None, wait=None, due_at=None)
        target = self.targets[0].id if self.targets else None
        self.emit("order.blocked", target, problem=problem_json(problem), state=self.order.state)

    def release(self, by: str) -> None:
        """The cause of the block is gone (`by`: how): the order is planned again from its state now."""
        if self.order.problem is None:
            return
        head = self.targets[0] if self.targets else None
        if head is not None and head.status is TargetStatus.BLOCKED:
            self.put(changed(head, status=TargetStatus.RUNNING, problem=None))
        self.change(problem=None, attempts=0, read_attempts=0, next_attempt_at=None)
        self.emit("order.released", head.id if head is not None else None, by=by)

    def keep_payload(self, payload: bytes, content: dict[str, Json], read_at: int) -> None:
        """Saves the platform's newest payload with the rest, and the content that the ERP is given."""
        self._payload = (payload, content, read_at)

    def save_events(self, tx: Transaction, now: int) -> None:
        """Writes the events alone, of a draft in which nothing else changed: the order keeps its version."""
        append_rows(tx, self.take_events(now))

    def take_events(self, now: int) -> tuple[EventRow, ...]:
        """The events of such a draft, for `append_rows`."""
        rows = event_rows(now, self.order.shop, self.order.id, self._events)
        self._events = []
        return rows

    def save(self, tx: Transaction, now: int) -> None:
        """Writes what changed. Raises LostUpdate when the order's row is not the one that was read."""
        payload, self._payload = self._payload, None
        if not save_change(tx, self.take_change(now)):
            raise LostUpdate(f"order {self.order.id} of {self.order.shop} was changed meanwhile")
        if payload is not None:
            data, content, read_at = payload
            save_payload(tx, self.order.shop, self.order.id, data, now, content, read_at)

    def take_change(self, now: int, epoch: int | None = None) -> Change:
        """What changed, to be written; the draft is then as it will be once that is done. `epoch`: of the lease, None
        where the transaction that writes it fences the shop.

        A payload is no part of a change, so a draft that has one is to be saved.
        """
        assert self._payload is None
        order = self.order if self._is_own else changed(self.order)
        order.updated_at = now
        change = Change(
            order.shop,
            order.id,
            epoch,
            step_row(order),
            seldom_row(order) if self._has_seldom else None,
            tuple(map(progress_row, self._progressed.values())),
            tuple(map(target_row, self._rewritten.values())),
            event_rows(now, order.shop, order.id, self._events),
            (order.counted, place := order.place),
        )
        order.version += 1
        order.counted = place
        self.order = order
        self._progressed, self._rewritten, self._events = {}, {}, []
        self._has_seldom = self._is_own = False
        return change


def recorded_parcels(order: Order) -> tuple[RecordedParcel, ...]:
    """The parcels that are kept with an order, as machines take them."""
    return tuple(cast("list[RecordedParcel]", order.parcels)) if order.parcels else ()


def _final_plan(target: Target, status: TargetStatus) -> tuple[Json, ...]:
    """The plan of a reached target has the steps that were done; that of any other target keeps the steps left."""
    return target.plan[: target.steps_done] if status is TargetStatus.REACHED else target.plan
