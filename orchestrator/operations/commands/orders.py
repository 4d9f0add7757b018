"""What a person does to single orders: decided with the shop's rules alone, but for what reads the platform."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Context, Draft
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.commands.services import CommandGroup, draft_of
from storage.announcements import announced_by, keep_announcement
from storage.records import Order
from storage.rejected import get_rejected, remove_rejected
from storage.transaction import Transaction

Change = Callable[[Draft, Context], None]


class OrderCommands(CommandGroup):
    """What is done with orders."""

    async def retry(self, shop: str, order: str) -> Order:
        """Tries a blocked step, or one that waits, now."""
        await self._services.rules(shop)
        known = await self._services.store.read(lambda tx: draft_of(tx, shop, order))
        if known.order.problem is not None and known.order.problem.type == "unknown-state":
            return await self.refresh(shop, order)  # only another read can show a state that we know
        return await self._change(shop, order, interventions.retry)

    async def skip(self, shop: str, order: str, reason: str | None) -> Order:
        """Marks the blocked step as done by hand."""
        result = await self._change(shop, order, lambda d, c: interventions.skip(d, c, reason))
        with suppress(Refused):  # nobody works for the shop now: its next sync shows the order
            await (await self._services.holder(shop)).refresh_soon(order)
        return result

    async def hold(self, shop: str, order: str, reason: str | None) -> Order:
        """Stops before the next step until released."""
        return await self._change(shop, order, lambda d, c: interventions.hold(d, c, reason))

    async def release(self, shop: str, order: str) -> Order:
        """Ends a hold, and the ERP's wish that a person looks at the order."""
        return await self._change(shop, order, interventions.release)

    async def cancel(self, shop: str, order: str) -> Order:
        """Drops all targets of the order."""
        if await self._services.has_left(shop):
            return await self._services.drop(shop, order, None)
        return await self._change(shop, order, interventions.cancel)

    async def refresh(self, shop: str, order: str) -> Order:
        """Reads the order from the platform now."""
        return await (await self._services.holder(shop)).read(order)

    async def announce(self, shop: str, order: str, *, key: str | None = None) -> None:
        """Announces the order once more to all readers of the feed; under a `key` that did so before, not again.

        Neither the shop's worker nor its rules are needed. Raises Refused (`draining`, `order-not-found`,
        `idempotency-key-reused` for a key that announced another order).
        """
        if self._services.supervisor.is_draining:
            raise Refused("draining", "the daemon is shutting down; try again when it is back")

        def unit(tx: Transaction) -> None:
            draft, now = draft_of(tx, shop, order), self._services.clock.now_ms()
            if key is not None:
                known = announced_by(tx, key)
                if known == (shop, order):
                    return
                if known is not None:
                    detail = f"the key {key!r} announced order {known[1]} of shop {known[0]}; use a new key"
                    raise Refused("idempotency-key-reused", detail)
                keep_announcement(tx, key, shop, order, now)
            interventions.announce(draft)
            draft.save_events(tx, now)

        await self._services.store.write(unit)

    async def retry_rejected(self, rejected_id: int) -> Order:
        """Reads a rejected payload's order again and imports it."""
        found = await self._services.store.read(lambda tx: get_rejected(tx, rejected_id))
        if found is None:
            raise Refused("rejected-not-found", f"there is no rejected payload {rejected_id}")
        payload, order_id = found
        if order_id is None:
            detail = (
                f"payload {rejected_id} names no order that could be read; sync {payload.shop} reads the list again"
            )
            raise Refused("not-allowed", detail, extra={"reason": payload.error})
        order = await self.refresh(payload.shop, order_id)
        await self._services.store.write(lambda tx: remove_rejected(tx, rejected_id))
        return order

    async def _change(self, shop: str, order: str, change: Change) -> Order:
        services, rules = self._services, await self._services.rules(shop)

        def unit(tx: Transaction) -> Order:
            draft, ctx = draft_of(tx, shop, order), rules.context(services.clock.now_ms())
            change(draft, ctx)
            draft.save(tx, ctx.now)
            return draft.order

        result = await services.store.write(unit)
        await services.supervisor.wake(shop)
        return result
