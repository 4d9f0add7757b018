"""The one road by which an order comes in, is seen again or is gone: polls, refreshes, hints and rejected payloads all
end here.

A list shows how an order was when the platform made the list. If a step of ours is out, or ended after the list was
asked for, the list may be older than what we know: its state is then left alone, and a later look tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.decisions.decision import advance
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.history import is_history
from orchestrator.decisions.outcomes import apply_gone, apply_read
from orchestrator.decisions.reconciliation import reconcile
from orchestrator.platforms.client import OrderSnapshot
from statemachines.machine import OrderState, PlatformMachine
from statemachines.target import Json
from storage.history import forget_skipped, note_skipped
from storage.orders import get_kept, get_order, get_payload, insert_order, touch_order
from storage.records import Order, Situation
from storage.rejected import remove_rejected_of
from storage.transaction import Transaction

_NEVER = 0  # when a read showed an order that webhooks alone tell of; what is wanted of it begins with a read


class Adopted(StrEnum):
    """What a look at an order changed."""

    IMPORTED = "imported"
    DRIFTED = "drifted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Observation:
    """One order as seen at `read_at` (Unix milliseconds, when the request began). `cause`: the webhook that led to it
    (`webhook`, `topic`), for the events."""

    seen: OrderSnapshot
    read_at: int
    cause: Mapping[str, Json] | None = None


def adopt(tx: Transaction, ctx: Context, look: Observation) -> tuple[Order, Adopted]:
    """Imports an unknown order, or takes over what a known one shows. Answers the order and what happened."""
    shop, seen = ctx.policy.shop, look.seen
    remove_rejected_of(tx, shop, seen.id)
    order = get_order(tx, shop, seen.id)
    if order is None:
        return _import(tx, ctx, look), Adopted.IMPORTED
    if _is_stale(ctx, order, look.read_at):
        return _note_news(tx, ctx, order, look), Adopted.STALE
    if order.intent is None and order.gone_at is None and _shows_nothing_new(ctx.machine, order, seen):
        touch_order(tx, order.seq, look.read_at, ctx.now)
        return order, Adopted.UNCHANGED
    draft = Draft.of(tx, order, cause=look.cause, kept=get_kept(tx, shop, order.id))
    if order.intent is not None:
        apply_read(draft, ctx, seen, None)
        has_changed = True
    else:
        has_changed = reconcile(draft, ctx, seen, look.read_at)
    advance(draft, ctx)  # never begins a call: the context has no turn
    draft.save(tx, ctx.now)
    if draft.order.state != order.state:
        return draft.order, Adopted.DRIFTED
    return draft.order, Adopted.UPDATED if has_changed else Adopted.UNCHANGED


def adopt_told(tx: Transaction, ctx: Context, seen: OrderSnapshot, cause: Mapping[str, Json]) -> None:
    """Takes an order as a webhook tells it, for there is no reading it now. One that a read has shown is left alone:
    the next read tells more."""
    order = get_order(tx, ctx.policy.shop, seen.id)
    if order is None:
        if is_history(tx, ctx, seen.id, seen.age):
            note_skipped(tx, ctx.policy.shop, seen.id)
        else:
            _import(tx, ctx, Observation(seen, _NEVER, cause))
        return
    if not order.is_provisional or order.intent is not None or _is_known(tx, order, seen):
        return
    draft = Draft.of(tx, order, cause=cause, kept=get_kept(tx, order.shop, order.id))
    reconcile(draft, ctx, seen, _NEVER)
    advance(draft, ctx)
    draft.save(tx, ctx.now)


def _is_known(tx: Transaction, order: Order, told: OrderSnapshot) -> bool:
    """Whether a webhook tells what was told before. Change times have whole seconds: an equal one may be news."""
    known_at, told_at = order.platform_updated_at, told.platform_updated_at
    is_older = known_at is not None and (told_at is None or told_at < known_at)
    return is_older or get_payload(tx, order.shop, order.id) == told.payload


def note_gone(tx: Transaction, ctx: Context, order_id: str, detail: str, read_at: int) -> None:
    """A read that began at `read_at` found that the platform has no such order; one that we never had is no news, nor
    is one that no read has shown before."""
    remove_rejected_of(tx, ctx.policy.shop, order_id)
    order = get_order(tx, ctx.policy.shop, order_id)
    if order is None or order.is_provisional or _is_stale(ctx, order, read_at):
        return
    if order.gone_at is not None:
        touch_order(tx, order.seq, read_at, ctx.now)
        return
    draft = Draft.of(tx, order)
    draft.change(intent=None)
    apply_gone(draft, ctx, detail)
    advance(draft, ctx)
    draft.save(tx, ctx.now)


def _is_stale(ctx: Context, order: Order, read_at: int) -> bool:
    """Whether what we know is newer than the look, or will be in a moment. A look that began later than now is one that
    our clock was set back behind: nobody can say what it is older than, and the next one tells.

    An uncertain call is the driver's to resolve, unless nothing drives the order: one that is blocked or held is
    resolved by any look, or nobody would see what a person did about it on the platform.
    """
    if read_at > ctx.now or read_at <= ctx.passed(order.moved_at) or read_at <= ctx.passed(order.observed_at):
        return True
    if order.intent is None:
        return False
    return not order.intent.is_uncertain or order.situation not in (Situation.BLOCKED, Situation.HELD)


def _note_news(tx: Transaction, ctx: Context, order: Order, look: Observation) -> Order:
    """A look that says nothing certain of the state, for a step is out, may yet show that somebody changed the order:
    then what the driver knows is not to be relied on for a step that it would send without a look."""
    is_changed = not order.is_provisional and look.seen.content_hash != order.content_hash
    if order.intent is None or not is_changed or look.read_at <= ctx.passed(order.observed_at):
        return order
    draft = Draft.of(tx, order)
    draft.change(observed_at=0)
    draft.save(tx, ctx.now)
    return draft.order


def _shows_nothing_new(machine: PlatformMachine, order: Order, seen: OrderSnapshot) -> bool:
    """Most orders of most polls: told apart without changing the row."""
    known = OrderState(order.state, order.platform_state, order.payment, order.facts)
    return (
        seen.is_provisional == order.is_provisional
        and seen.content_hash == order.content_hash
        and seen.platform_updated_at == order.platform_updated_at
        and seen.state == order.platform_state
        and seen.payment == order.payment
        and machine.knows(order.state)
        and order.observed_at > order.moved_at  # the first look after a step of ours: what the step did is kept
        and machine.merged_facts(known, seen.standing()) == order.facts
    )


def _import(tx: Transaction, ctx: Context, look: Observation) -> Order:
    seen, now = look.seen, ctx.now
    state = ctx.machine.observe(None, seen.standing())
    order = Order.first_seen(
        shop=ctx.policy.shop,
        platform=ctx.policy.platform,
        id=seen.id,
        reference=seen.reference,
        state=state,
        platform_state=seen.state,
        milestone=ctx.machine.milestone(state),
        payment=seen.payment,
        facts=seen.facts,
        content_hash=seen.content_hash,
        platform_updated_at=seen.platform_updated_at,
        observed_at=look.read_at,
        now=now,
        is_provisional=seen.is_provisional,
    )
    draft = Draft(insert_order(tx, order, seen.payload, seen.content), (), cause=look.cause)
    draft.emit("order.imported", state=state, milestone=order.milestone, reference=seen.reference, payment=seen.payment)
    advance(draft, ctx)
    draft.save(tx, now)
    forget_skipped(tx, order.shop, order.id)
    return draft.order
