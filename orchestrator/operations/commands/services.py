"""What all commands work with: the store, a shop's rules, its holder where the platform has to be asked."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.decisions import interventions
from orchestrator.decisions.draft import Draft
from orchestrator.decisions.refusals import Refused, no_shop, shop_elsewhere
from orchestrator.metrics import Metrics
from orchestrator.operations.commands.holder import Holder, LocalHolder, nobody
from orchestrator.operations.commands.requests import RemoteHolder, Requests
from orchestrator.runtime.rules import Rules
from orchestrator.runtime.supervisor import Supervisor
from storage.records import Order, Target
from storage.shops import get_shop
from storage.store import Store
from storage.targets import get_target
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class CommandServices:
    """What commands are carried out with, and what several of them do."""

    store: Store
    supervisor: Supervisor
    clock: Clock
    chance: Chance
    checkpoints: Checkpoints
    metrics: Metrics
    requests: Requests

    async def rules(self, shop: str) -> Rules:
        """A configured shop's rules, whether or not anybody works for it now. Raises Refused (`draining`,
        `shop-not-found`)."""
        if self.supervisor.is_draining:
            raise Refused("draining", "the daemon is shutting down; try again when it is back")
        rules = self.supervisor.rules(shop)
        if rules is None:
            raise await self._not_configured(shop)
        return rules

    async def holder(self, shop: str) -> Holder:
        """Who works for a configured shop, for what needs its platform. Raises Refused as `rules`, and `overloaded`
        where nobody can work for it now."""
        await self.rules(shop)
        worker, has_others = self.supervisor.worker(shop), self.supervisor.has_others
        if worker is not None and not (has_others and worker.admission.is_draining):
            return LocalHolder(self.store, self.clock, worker)
        if not has_others:
            raise nobody(shop)
        return RemoteHolder(self.store, self.requests, shop)

    async def _not_configured(self, shop: str) -> Refused:
        if self.supervisor.is_elsewhere(shop):
            return shop_elsewhere(shop)
        if await self.store.read(lambda tx: get_shop(tx, shop)) is None:
            return no_shop(shop, self.supervisor.shops())
        detail = (
            f"shop {shop} is not in the config any more: its orders can be read and their targets cancelled; for all"
            " else put it back into the config under its name and send SIGHUP"
        )
        return Refused("shop-not-found", detail)

    async def has_left(self, shop: str) -> bool:
        """Whether it is a shop of the store that is not in the config any more: its orders are not driven, but
        their targets can be cancelled."""
        supervisor = self.supervisor
        if supervisor.is_draining or supervisor.is_configured(shop) or supervisor.is_elsewhere(shop):
            return False
        return await self.store.read(lambda tx: get_shop(tx, shop)) is not None

    async def drop(self, shop: str, order: str, target: Target | None) -> Order:
        """Cancels a target of an order that nobody drives; None: all of them. Raises Refused."""

        def unit(tx: Transaction) -> Order:
            draft, now = draft_of(tx, shop, order), self.clock.now_ms()
            wanted = list(draft.targets)
            if target is not None:
                known = get_target(tx, target.id)
                assert known is not None
                wanted = [known]
            interventions.drop(draft, now, wanted)
            draft.save(tx, now)
            return draft.order

        return await self.store.write(unit)


class CommandGroup:
    """Commands of one kind."""

    def __init__(self, services: CommandServices) -> None:
        self._services = services


def draft_of(tx: Transaction, shop: str, order: str) -> Draft:
    """An order that is known. Raises Refused."""
    draft = Draft.load(tx, shop, order)
    if draft is None:
        raise Refused("order-not-found", f"no order {order} of shop {shop} is known; submit or refresh reads it")
    return draft
