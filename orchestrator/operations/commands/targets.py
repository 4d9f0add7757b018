"""Targets: accepted, shown in advance, cancelled. All but what is unknown is decided with the shop's rules alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Draft
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.submission import (
    Accepted,
    Requested,
    Submission,
    accept,
    plan_or_refuse,
    preview,
    take_in,
    write_accepted,
)
from orchestrator.operations.commands.services import CommandGroup, draft_of
from orchestrator.runtime.rules import Rules
from statemachines.machine import Plan
from statemachines.target import TargetRequest
from storage.errors import StoreError
from storage.orders import get_order, orders_among
from storage.records import Order, Situation, Target, TargetStatus
from storage.targets import get_target, pending_targets_among, target_by_key, targets_by_keys
from storage.transaction import Transaction

Result: TypeAlias = Accepted | Exception | None
"""Of one of several submissions; None: its order has to be read from the platform first."""


class TargetCommands(CommandGroup):
    """What is done with targets."""

    async def submit(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Target:
        """Accepts a target: durable when this returns. An order that is unknown or gone is read first; so is an order
        without a fresh observation, before it refuses a target."""
        services, rules = self._services, await self._services.rules(shop)
        (submission,) = self._submissions([Requested(shop, order, request, key)])
        target = await services.store.write(lambda tx: self._accept(tx, rules, submission))
        if target is None:
            known = await (await services.holder(shop)).read(order)
            found = submission.of(known.id)  # a platform may know the order by another name than its id
            target = await services.store.write(lambda tx: self._accept(tx, rules, found, has_read=True))
            if target is None:
                raise Refused("order-not-found", f"shop {shop} has no order {order}")
        await services.checkpoints.reach("after_submit")
        services.metrics.target_submitted(shop)
        await services.supervisor.wake(shop)
        return target

    async def submit_all(self, wanted: Sequence[Requested]) -> Sequence[Result]:
        """As `Commands.submit_all`. Raises StoreError."""
        services = self._services
        rules = {shop: await self._rules_or_refusal(shop) for shop in dict.fromkeys(each.shop for each in wanted)}
        submissions = self._submissions(wanted)
        try:
            results = await services.store.write_bulk(lambda tx: self._accept_all(tx, rules, submissions))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - supervised: one of them, by itself it is reported
            return [None] * len(wanted)
        accepted = [each.target.shop for each in results if isinstance(each, Accepted)]
        if accepted:
            await services.checkpoints.reach("after_submit")
        for shop, count in Counter(accepted).items():
            services.metrics.target_submitted(shop, count)
            await services.supervisor.wake(shop)
        return results

    async def _rules_or_refusal(self, shop: str) -> Rules | Refused:
        try:
            return await self._services.rules(shop)
        except Refused as refusal:
            return refusal

    def _submissions(self, wanted: Sequence[Requested]) -> list[Submission]:
        ids = self._services.chance.target_ids(self._services.clock.now_ms(), len(wanted))
        return [
            Submission(id_, shop, order, request if key is None else replace(request, key=key), key)
            for id_, (shop, order, request, key) in zip(ids, wanted, strict=True)
        ]

    def _accept_all(
        self, tx: Transaction, rules: Mapping[str, Rules | Refused], submissions: Sequence[Submission]
    ) -> list[Result]:
        unknown: set[tuple[str, str]] = set()
        results: list[Result] = []
        for part in _without_repetition(submissions):
            results += self._accept_each(tx, rules, part, unknown)
        return results

    def _accept_each(
        self,
        tx: Transaction,
        rules: Mapping[str, Rules | Refused],
        submissions: Sequence[Submission],
        unknown: set[tuple[str, str]],
    ) -> list[Result]:
        """Accepts targets of different orders and keys: all that they need is read at once, and all that they change
        is written at once. `unknown`: orders that have to be read from the platform, more of which are found."""
        now = self._services.clock.now_ms()
        known = targets_by_keys(tx, [each.key for each in submissions if each.key is not None])
        places = [_place(each) for each in submissions if each.key not in known]
        orders, pending = orders_among(tx, places), pending_targets_among(tx, places)
        results: list[Result] = []
        accepted: list[tuple[Draft, Submission, Target]] = []
        places_of_accepted: list[int] = []
        for submission in submissions:
            found, place = rules[submission.shop], _place(submission)
            if isinstance(found, Refused):
                results.append(found)
            elif place in unknown:
                results.append(None)
            elif submission.key is not None and submission.key in known:
                results.append(_repeated(tx, known[submission.key], submission))
            elif (order := orders.get(place)) is None or order.gone_at is not None:
                unknown.add(place)
                results.append(None)
            else:
                draft = Draft.with_queue(tx, order, pending.get(place, []))
                try:
                    accepted.append((draft, submission, take_in(draft, found.context(now), submission)))
                except Refused as refusal:
                    if not order.observed_at:  # what refuses it need not be so any more
                        unknown.add(place)
                    results.append(refusal if order.observed_at else None)
                else:
                    places_of_accepted.append(len(results))
                    results.append(None)
        if accepted:
            written = write_accepted(tx, accepted, now)
            for at, target, (draft, _, _) in zip(places_of_accepted, written, accepted, strict=True):
                results[at] = Accepted(target, _shown_situation(draft.order, target))
        return results

    def _accept(
        self, tx: Transaction, rules: Rules, submission: Submission, *, has_read: bool = False
    ) -> Target | None:
        if submission.key is not None and (known := target_by_key(tx, submission.key)) is not None:
            return _same(known, submission)
        draft = Draft.load(tx, submission.shop, submission.order)
        if draft is None or draft.order.gone_at is not None:
            return None  # unknown, or gone when it was read last: a read shows whether the platform has it
        try:
            return accept(tx, draft, rules.context(self._services.clock.now_ms()), submission)
        except Refused:
            if has_read or draft.order.observed_at:
                raise
            return None  # what refuses it need not be so any more

    async def preview(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Plan:
        """The plan that `submit` would make; changes nothing."""
        services, rules = self._services, await self._services.rules(shop)
        request = replace(request, key=key)
        draft = await services.store.read(lambda tx: Draft.load(tx, shop, order))
        if draft is not None and draft.order.gone_at is None:
            try:
                return preview(draft, rules.context(services.clock.now_ms()), request)
            except Refused:
                if draft.order.observed_at:
                    raise
        current = await (await services.holder(shop)).show(order)
        ctx = rules.context(services.clock.now_ms())
        return plan_or_refuse(ctx, replace(current, state=ctx.machine.observe(None, current)), request)

    async def cancel_target(self, target: str) -> Target:
        """Cancels what has not been done of a target."""
        services = self._services
        found = await services.store.read(lambda tx: get_target(tx, target))
        if found is None:
            raise Refused("target-not-found", f"there is no target {target}")
        if await services.has_left(found.shop):
            await services.drop(found.shop, found.order, found)
            return await services.store.read(lambda tx: get_target(tx, target)) or found
        rules = await services.rules(found.shop)

        def unit(tx: Transaction) -> Target:
            draft, ctx = draft_of(tx, found.shop, found.order), rules.context(services.clock.now_ms())
            now_known = get_target(tx, target)
            assert now_known is not None
            interventions.cancel_target(draft, ctx, now_known)
            draft.save(tx, ctx.now)
            return draft.latest(now_known)

        result = await services.store.write(unit)
        await services.supervisor.wake(found.shop)
        return result


def _place(submission: Submission) -> tuple[str, str]:
    return submission.shop, submission.order


def _same(known: tuple[Target, str], submission: Submission) -> Target:
    """The target that was submitted with the same key before. Raises Refused for another body."""
    target, digest = known
    if digest == submission.digest():
        return target
    detail = f"the key {submission.key!r} was used for target {target.id} with another body; use a new key"
    raise Refused("idempotency-key-reused", detail)


def _repeated(tx: Transaction, known: tuple[Target, str], submission: Submission) -> Accepted | Refused:
    try:
        target = _same(known, submission)
    except Refused as refusal:
        return refusal
    return Accepted(target, _shown_situation(get_order(tx, target.shop, target.order), target))


def _shown_situation(order: Order | None, target: Target) -> Situation | None:
    return order.situation if order is not None and target.status is TargetStatus.RUNNING else None


def _without_repetition(submissions: Sequence[Submission]) -> Iterator[list[Submission]]:
    """The submissions in parts that have each order and each key once: a later one sees what an earlier one did."""
    part: list[Submission] = []
    seen: set[tuple[str, str] | str] = set()
    for submission in submissions:
        names: set[tuple[str, str] | str] = {_place(submission)}
        if submission.key is not None:
            names.add(submission.key)
        if not seen.isdisjoint(names):
            yield part
            part, seen = [], set()
        part.append(submission)
        seen |= names
    yield part
