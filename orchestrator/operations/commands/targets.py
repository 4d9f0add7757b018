"""Targets: accepted, shown in advance, cancelled. All but what is unknown is decided with the shop's rules alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Draft
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.submission import Accepted, Requested, Submission, accept, plan_or_refuse, preview
from orchestrator.operations.commands.services import CommandGroup, draft_of
from orchestrator.runtime.rules import Rules
from statemachines.machine import Plan
from statemachines.target import TargetRequest
from storage.errors import StoreError
from storage.orders import get_order
from storage.records import Target, TargetStatus
from storage.targets import get_target, target_by_key
from storage.transaction import Transaction


class TargetCommands(CommandGroup):
    """What is done with targets."""

    async def submit(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Target:
        """Accepts a target: durable when this returns. An order that is unknown or gone is read first; so is an order
        without a fresh observation, before it refuses a target."""
        services, rules = self._services, await self._services.rules(shop)
        submission = self._submission(Requested(shop, order, request, key))
        target = await services.store.write(lambda tx: self._accept(tx, rules, submission))
        if target is None:
            known = await services.import_order(await services.worker(shop), order)
            found = submission.of(known.id)  # a platform may know the order by another name than its id
            target = await services.store.write(lambda tx: self._accept(tx, rules, found, has_read=True))
            if target is None:
                raise Refused("order-not-found", f"shop {shop} has no order {order}")
        await services.checkpoints.reach("after_submit")
        services.metrics.target_submitted(shop)
        await services.supervisor.wake(shop)
        return target

    async def submit_all(self, wanted: Sequence[Requested]) -> Sequence[Accepted | Exception | None]:
        """As `Commands.submit_all`. Raises StoreError."""
        services = self._services
        rules = {shop: await self._rules_or_refusal(shop) for shop in dict.fromkeys(each.shop for each in wanted)}
        submissions = [self._submission(each) for each in wanted]
        try:
            results = await services.store.write_bulk(lambda tx: self._accept_all(tx, rules, submissions))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - supervised: one of them, by itself it is reported
            return [None] * len(wanted)
        accepted = [each.target.shop for each in results if isinstance(each, Accepted)]
        if accepted:
            await services.checkpoints.reach("after_submit")
        for shop in accepted:
            services.metrics.target_submitted(shop)
        for shop in dict.fromkeys(accepted):
            await services.supervisor.wake(shop)
        return results

    async def _rules_or_refusal(self, shop: str) -> Rules | Refused:
        try:
            return await self._services.rules(shop)
        except Refused as refusal:
            return refusal

    def _submission(self, wanted: Requested) -> Submission:
        shop, order, request, key = wanted
        target_id = self._services.chance.target_id(self._services.clock.now_ms())
        return Submission(target_id, shop, order, request if key is None else replace(request, key=key), key)

    def _accept_all(
        self, tx: Transaction, rules: Mapping[str, Rules | Refused], submissions: Sequence[Submission]
    ) -> list[Accepted | Exception | None]:
        results: list[Accepted | Exception | None] = []
        unknown: set[tuple[str, str]] = set()
        for submission in submissions:
            found, place = rules[submission.shop], (submission.shop, submission.order)
            if isinstance(found, Refused):
                results.append(found)
            elif place in unknown:
                results.append(None)
            else:
                results.append(self._accept_one(tx, found, submission))
                if results[-1] is None:
                    unknown.add(place)
        return results

    def _accept_one(self, tx: Transaction, rules: Rules, submission: Submission) -> Accepted | Refused | None:
        """A refusal has written nothing, so nothing has to be undone for it."""
        try:
            target = self._accept(tx, rules, submission)
        except Refused as refusal:
            return refusal
        if target is None:
            return None
        order = get_order(tx, target.shop, target.order) if target.status is TargetStatus.RUNNING else None
        return Accepted(target, None if order is None else order.situation)

    def _accept(
        self, tx: Transaction, rules: Rules, submission: Submission, *, has_read: bool = False
    ) -> Target | None:
        if submission.key is not None and (known := target_by_key(tx, submission.key)) is not None:
            if known[1] == submission.digest():
                return known[0]
            detail = f"the key {submission.key!r} was used for target {known[0].id} with another body; use a new key"
            raise Refused("idempotency-key-reused", detail)
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
        snapshot = await services.fetch(await services.worker(shop), order)
        current, ctx = snapshot.order_state(), rules.context(services.clock.now_ms())
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
