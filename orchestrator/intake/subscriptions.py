"""Looks after the webhooks that platforms send: at start and now and then, because they delete those that failed.

Where the config says at which address the world finds our listener (`webhooks.public_url`), what is missing is asked
for again; otherwise, and where the platform refuses, it is said: in the status dump, by an event, in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import anyio
import structlog

from orchestrator.backoff import Growing, equal_jitter
from orchestrator.clock import Chance, Clock
from orchestrator.config import ShopConfig, WebhookSettings
from orchestrator.platforms.failures import AccessDenied, PlatformFailure, Rejected
from orchestrator.platforms.subscriptions import PushingClient, Subscription
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.reports import WebhookHealth
from orchestrator.runtime.worker import ShopWorker
from statemachines.target import Json
from storage.errors import StoreError
from storage.events import append_event
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

_REST_SECONDS = Growing(2.0, 600.0)  # after looks that did not succeed
_FAILURES = 3  # of calls in one look; then the platform is left alone for a while
_NOT_SUBSCRIBED = "not subscribed"


@dataclass(frozen=True, slots=True)
class Inspection:
    """A shop's webhooks as they are now. `made`: topics that were asked for just now. `missing`: reasons by topic.

    `is_settled`: what is missing was refused, and another look soon would tell nothing new.
    """

    subscriptions: tuple[Subscription, ...]
    made: tuple[str, ...]
    missing: Mapping[str, str]
    is_settled: bool = True


def address_of(public_url: str, shop: str) -> str:
    """Where the world reaches a shop's part of our listener, without the last part of the path."""
    return f"{public_url.rstrip('/')}/webhooks/{quote(shop, safe='')}"


async def inspect(client: PushingClient, address: str | None, secret: str | None = None) -> Inspection:
    """Looks which topics are sent; with an `address` (`address_of`) asks for those that are not sent there, signed with
    `secret` where the platform has to be told one.

    Without one a topic counts as sent wherever it goes, as a proxy may have addresses of its own. A topic that the
    platform refuses, for want of a scope for example, stands in no other's way, nor does a call that fails.
    Raises PlatformFailure.
    """
    found = await client.list_subscriptions()
    if address is None:
        sent = {each.topic for each in found if each.is_readable}
        missing = {topic: _NOT_SUBSCRIBED for topic in client.addresses("") if topic not in sent}
        return Inspection(tuple(found), (), missing)
    by_place = {(each.topic, each.address): each for each in found}
    made: list[str] = []
    missing = {}
    failures = 0
    for topic, place in client.addresses(address).items():
        known = by_place.get((topic, place))
        if known is not None and known.is_readable:
            continue
        try:
            if known is not None:
                await client.mend_subscription(known, secret)
            elif not await client.subscribe(topic, place, secret):
                continue  # sent already, under another spelling of the address
            made.append(topic)
        except (Rejected, AccessDenied) as failure:
            missing[topic] = failure.detail
        except PlatformFailure as failure:
            missing[topic] = failure.detail
            failures += 1
            if failures == _FAILURES:
                raise
    now = await client.list_subscriptions() if made else found
    return Inspection(tuple(now), tuple(made), missing, is_settled=not failures)


class SubscriptionWatch:
    """Keeps an eye on every pushing shop's webhooks. `run` lasts until it is cancelled; `wake` asks for a look now.

    `shops` answers the configured shops, `worker_of` a shop's worker (None while there is none).
    """

    def __init__(
        self,
        store: Store,
        shops: Callable[[], Mapping[str, ShopConfig]],
        worker_of: Callable[[str], ShopWorker | None],
        settings: WebhookSettings | None,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._store, self._shops, self._worker_of = store, shops, worker_of
        self._settings, self._clock, self._chance = settings, clock, chance
        self._wake = anyio.Event()
        self._told: dict[str, Mapping[str, str]] = {}
        self._health: dict[str, WebhookHealth] = {}

    def health(self, shop: str) -> WebhookHealth | None:
        """What the last look at a shop's webhooks showed; None where there was none, or nobody is to look."""
        config = self._shops().get(shop)
        return self._health.get(shop) if config is not None and config.webhook_secrets else None

    def wake(self) -> None:
        """The config changed: look again."""
        self._wake.set()

    async def run(self) -> None:
        """Looks until cancelled; returns at once where no webhooks come in, or nobody is to look."""
        settings = self._settings
        if settings is None or not settings.check_interval_seconds:
            return
        while True:
            self._wake = anyio.Event()
            await self._look_for_a_while(settings)

    async def _look_for_a_while(self, settings: WebhookSettings) -> None:
        """Looks at every shop; and until it is time for all of them again, ever more rarely at those where something is
        missing: a refused topic costs a call each time, and a person may take days to see to it."""
        ends_at = self._clock.monotonic() + settings.check_interval_seconds
        left, looks = set(self._shops()), 0
        while not self._wake.is_set() and (remaining := ends_at - self._clock.monotonic()) > 0:
            left, looks = await self._look_at_all(left, settings), looks + 1
            rest = equal_jitter(_REST_SECONDS.after(looks), self._chance.jitter())
            with anyio.move_on_after(min(rest, remaining) if left else remaining):
                await self._wake.wait()

    async def _look_at_all(self, names: Collection[str], settings: WebhookSettings) -> set[str]:
        """Looks at these shops; answers those that are to be looked at again soon."""
        left: set[str] = set()

        async def look(shop: ShopConfig) -> None:
            try:
                is_complete = await self._look_at(shop, settings)
            except Exception as error:  # supervised: one shop's webhooks are not the others'
                log.error("webhooks.crashed", shop=shop.name, exc_info=error)
                is_complete = False
            if not is_complete:
                left.add(shop.name)

        async with anyio.create_task_group() as group:
            for shop in self._shops().values():
                if shop.name in names and shop.webhook_secrets:
                    group.start_soon(look, shop)
        return left

    async def _look_at(self, shop: ShopConfig, settings: WebhookSettings) -> bool:
        worker = self._worker_of(shop.name)
        if worker is None:
            return False
        client = worker.client
        if not isinstance(client, PushingClient):
            self._health.pop(shop.name, None)
            return True
        address = None if settings.public_url is None else address_of(settings.public_url, shop.name)
        now = self._clock.now_ms()
        try:
            found = await worker.ask("webhooks", partial(inspect, client, address, shop.signing_secret))
        except NotAdmitted:
            return False
        except PlatformFailure as failure:
            log.warning("webhooks.not_checked", shop=shop.name, detail=failure.detail)
            self._health[shop.name] = WebhookHealth(now, self._told.get(shop.name, {}), failure.detail)
            return False
        await self._tell(shop.name, found)  # first: whoever sees that all is well finds in the feed what was done
        self._health[shop.name] = WebhookHealth(now, found.missing)
        return not found.missing  # else look soon: a person may have seen to it

    async def _tell(self, shop: str, found: Inspection) -> None:
        """Says what was done and what is missing, the latter once as long as it is the same."""
        news: list[tuple[str, dict[str, Json]]] = []
        if found.made:
            log.info("webhooks.registered", shop=shop, topics=found.made)
            news.append(("shop.webhooks_registered", {"topics": list(found.made)}))
        if found.missing and found.is_settled and found.missing != self._told.get(shop):
            remedy = f"`fulfilld webhooks {shop} --register`, or set webhooks.public_url"
            log.warning("webhooks.missing", shop=shop, missing=dict(found.missing), remedy=remedy)
            news.append(("shop.webhooks_missing", {"missing": dict(found.missing)}))
        now = self._clock.now_ms()

        def unit(tx: Transaction) -> None:
            for name, data in news:
                append_event(tx, now, name, shop=shop, data=data)

        try:
            if news:
                await self._store.write(unit)
        except StoreError as error:
            log.error("webhooks.not_told", shop=shop, detail=str(error))
            return
        if found.is_settled:
            self._told[shop] = found.missing
