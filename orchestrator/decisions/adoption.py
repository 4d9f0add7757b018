"""The one way in which an order is imported, updated or found to be gone: syncs, refreshes, webhooks and rejected
payloads all end here.

A list shows how an order was when the platform made the list. If a step of ours is out, or ended after the list was
requested, the list may be older than the known state: that is then kept, and a later observation decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.decisions.damage import block_if_damaged
from orchestrator.decisions.decision import advance
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.history import is_history
from orchestrator.decisions.outcomes import apply_gone, apply_read
from orchestrator.decisions.reconciliation import reconcile
from orchestrator.platforms.client import OrderSnapshot
from statemachines.machine import OrderState, PlatformMachine
from statemachines.target import Json
from storage.events import append_rows
from storage.history import forget_skipped, note_skipped, skipped_among
from storage.orders import NewOrder, get_order, get_orders, insert_orders, touch_order
from storage.payloads import get_kept, get_payload, save_payload
from storage.records import Order, Situation
from storage.rejected import remove_rejected_of, set_aside_among
from storage.rows import DamagedRow
from storage.transaction import Transaction

_NEVER = 0  # `observed_at` of a provisional order: its first target starts with a read


class Adopted(StrEnum):
    """What an observation of an order changed."""

    IMPORTED = "imported"
    DRIFTED = "drifted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Observation:
    """The snapshot of one order at `read_at` (Unix milliseconds, when the request began). `cause`: the webhook that led
    to the read (`webhook`, `topic`), for the events. `is_whole`: a read of this order alone, which shows all of it; the
    row of a list may show less."""

    snapshot: OrderSnapshot
    read_at: int
    cause: Mapping[str, Json] | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class KnownOf:
    """What the store knew of several orders at the beginning of a unit of work, in three queries. It says nothing about
    an order once that was adopted."""

    orders: Mapping[str, Order]
    set_aside: Collection[str]
    skipped: Collection[str]

    @classmethod
    def among(cls, tx: Transaction, shop: str, orders: Sequence[str]) -> KnownOf:
        """What the store knows of these."""
        return cls(get_orders(tx, shop, orders), set_aside_among(tx, shop, orders), skipped_among(tx, shop, orders))


def adopt(
    tx: Transaction, ctx: Context, observation: Observation, known: KnownOf | None = None
) -> tuple[Order, Adopted]:
    """Imports an unknown order, or updates a known one. Returns the order and what happened. `known`: of it and
    others."""
    shop, order_id = ctx.policy.shop, observation.snapshot.id
    known = known or KnownOf.among(tx, shop, [order_id])
    order = known.orders.get(order_id)
    if order is None:
        return import_all(tx, ctx, [observation], known)[0], Adopted.IMPORTED
    if order_id in known.set_aside:
        remove_rejected_of(tx, shop, order_id)
    return _update(tx, ctx, order, observation)


def import_all(tx: Transaction, ctx: Context, observations: Sequence[Observation], known: KnownOf) -> list[Order]:
    """Imports orders that are unknown, each of which is there once, in a few statements. `known`: of them and
    others."""
    shop = ctx.policy.shop
    for order_id in (each.snapshot.id for each in observations):
        if order_id in known.set_aside:
            remove_rejected_of(tx, shop, order_id)
        if order_id in known.skipped:
            forget_skipped(tx, shop, order_id)
    drafts = [_first_seen(ctx, each) for each in observations]
    snapshots = (each.snapshot for each in observations)
    new = [NewOrder(draft.order, each.payload, each.content) for draft, each in zip(drafts, snapshots, strict=True)]
    orders = insert_orders(tx, new)
    append_rows(tx, [row for draft in drafts for row in draft.take_events(ctx.now)])
    return orders


def _update(tx: Transaction, ctx: Context, order: Order, observation: Observation) -> tuple[Order, Adopted]:
    shop, snapshot = ctx.policy.shop, observation.snapshot
    if _is_stale(ctx, order, observation.read_at):
        return _note_change(tx, ctx, order, observation), Adopted.STALE
    if order.intent is None and order.gone_at is None and _is_unchanged(ctx.machine, order, snapshot):
        if observation.is_whole:
            _keep_beside(tx, ctx, order, observation)
        touch_order(tx, order.seq, observation.read_at, ctx.now)
        return order, Adopted.UNCHANGED
    draft = Draft.of(tx, order, cause=observation.cause, kept=get_kept(tx, shop, order.id))
    if order.intent is not None:
        apply_read(draft, ctx, snapshot, None)
        has_changed = True
    else:
        has_changed = reconcile(draft, ctx, snapshot, observation.read_at)
    advance(draft, ctx)  # never begins a call: the context has no permit
    draft.save(tx, ctx.now)
    if draft.order.state != order.state:
        return draft.order, Adopted.DRIFTED
    return draft.order, Adopted.UPDATED if has_changed else Adopted.UNCHANGED


def adopt_provisionally(tx: Transaction, ctx: Context, snapshot: OrderSnapshot, cause: Mapping[str, Json]) -> None:
    """Adopts an order from the body of a webhook, for it cannot be read now. An order that was read before is left
    alone: the next read shows more."""
    order = get_order(tx, ctx.policy.shop, snapshot.id)
    if order is None:
        if is_history(tx, ctx, snapshot.id, snapshot.age):
            note_skipped(tx, ctx.policy.shop, snapshot.id)
        else:
            import_all(tx, ctx, [Observation(snapshot, _NEVER, cause)], KnownOf({}, (), (snapshot.id,)))
        return
    if not order.is_provisional or order.intent is not None or _is_duplicate(tx, order, snapshot):
        return
    draft = Draft.of(tx, order, cause=cause, kept=get_kept(tx, order.shop, order.id))
    reconcile(draft, ctx, snapshot, _NEVER)
    advance(draft, ctx)
    draft.save(tx, ctx.now)


def _is_duplicate(tx: Transaction, order: Order, snapshot: OrderSnapshot) -> bool:
    """Whether a webhook is a duplicate or outdated. Change times have whole seconds: an equal one may be a change."""
    known_at, changed_at = order.platform_updated_at, snapshot.platform_updated_at
    is_older = known_at is not None and (changed_at is None or changed_at < known_at)
    return is_older or get_payload(tx, order.shop, order.id) == snapshot.payload


def note_gone(tx: Transaction, ctx: Context, order_id: str, detail: str, read_at: int) -> None:
    """A read that began at `read_at` found that the platform has no such order. Unknown and provisional orders are
    left alone."""
    remove_rejected_of(tx, ctx.policy.shop, order_id)
    try:
        draft = Draft.load(tx, ctx.policy.shop, order_id)
    except DamagedRow:
        block_if_damaged(tx, ctx.policy.shop, order_id, ctx.now)
        return
    if draft is None or draft.order.is_provisional or _is_stale(ctx, draft.order, read_at):
        return
    order = draft.order
    if order.gone_at is not None:
        touch_order(tx, order.seq, read_at, ctx.now)
        return
    draft.change(intent=None)
    apply_gone(draft, ctx, detail)
    advance(draft, ctx)
    draft.save(tx, ctx.now)


def _is_stale(ctx: Context, order: Order, read_at: int) -> bool:
    """Whether the known state is newer than the observation, or will be in a moment. An observation later than now
    means that our clock was set back: its age is unknown, so it is not used, and the next one decides.

    An uncertain call is resolved by the driver, unless nothing drives the order: the call of an order that is blocked
    or held is resolved by any observation, or what a person did about it on the platform would stay hidden.
    """
    if read_at > ctx.now or read_at <= ctx.passed(order.moved_at) or read_at <= ctx.passed(order.observed_at):
        return True
    if order.intent is None:
        return False
    return not order.intent.is_uncertain or order.situation not in (Situation.BLOCKED, Situation.HELD)


def _note_change(tx: Transaction, ctx: Context, order: Order, observation: Observation) -> Order:
    """An observation whose state is uncertain, for a step is out, may yet show that somebody changed the order: then
    the driver must read the order again before a step that it would send without a read."""
    is_changed = not order.is_provisional and observation.snapshot.content_hash != order.content_hash
    if order.intent is None or not is_changed or observation.read_at <= ctx.passed(order.observed_at):
        return order
    draft = Draft.of(tx, order)
    draft.change(observed_at=0)
    draft.save(tx, ctx.now)
    return draft.order


def _is_unchanged(machine: PlatformMachine, order: Order, snapshot: OrderSnapshot) -> bool:
    """Whether a snapshot shows no change, as for most orders of most syncs: the row is then not written."""
    known = OrderState(order.state, order.platform_state, order.payment, order.facts)
    return (
        snapshot.is_provisional == order.is_provisional
        and snapshot.content_hash == order.content_hash
        and snapshot.platform_updated_at == order.platform_updated_at
        and snapshot.state == order.platform_state
        and snapshot.payment == order.payment
        and machine.knows(order.state)
        and order.observed_at > order.moved_at  # the first observation after a step of ours: what the step did is kept
        and machine.merged_facts(known, snapshot.order_state()) == order.facts
    )


def _keep_beside(tx: Transaction, ctx: Context, order: Order, observation: Observation) -> None:
    """What the platform shows beside an order (`Apart.beside`) is no change of it, and yet the ERP is given it: an
    article that got its number is found by a refresh."""
    kept, snapshot = get_kept(tx, order.shop, order.id), observation.snapshot
    if kept is None or kept.content != snapshot.content:
        save_payload(tx, order.shop, order.id, snapshot.payload, ctx.now, snapshot.content, observation.read_at)


def _first_seen(ctx: Context, observation: Observation) -> Draft:
    snapshot, now = observation.snapshot, ctx.now
    state = ctx.machine.observe(None, snapshot.order_state())
    order = Order.first_seen(
        shop=ctx.policy.shop,
        platform=ctx.policy.platform,
        id=snapshot.id,
        reference=snapshot.reference,
        state=state,
        platform_state=snapshot.state,
        milestone=ctx.machine.milestone(state),
        payment=snapshot.payment,
        facts=snapshot.facts,
        content_hash=snapshot.content_hash,
        platform_updated_at=snapshot.platform_updated_at,
        observed_at=observation.read_at,
        now=now,
        is_provisional=snapshot.is_provisional,
        payment_status=snapshot.payment_status,
    )
    draft = Draft(order, (), cause=observation.cause)
    draft.emit(
        "order.imported", state=state, milestone=order.milestone, reference=snapshot.reference, payment=snapshot.payment
    )
    advance(draft, ctx)  # before it is written: once is enough
    return draft
