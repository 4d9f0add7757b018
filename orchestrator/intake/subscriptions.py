"""Checks the webhook subscriptions at the platforms: at start and now and then, because platforms delete failing ones.

Where the config has the public address of our listener (`webhooks.public_url`), missing subscriptions are created
again; otherwise, and where the platform refuses, they are reported: in the status dump, by an event, in the log.
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
from orchestrator.platforms.failures import AccessDenied, NotSent, PlatformFailure, Rejected
from orchestrator.platforms.subscriptions import PushingClient, Subscription
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.reports import WebhookHealth
from orchestrator.runtime.worker import ShopWorker
from statemachines.target import Json
from storage.errors import StoreError
from storage.events import append_event
from storage.transaction import Transaction

log = structlog.get_logger()

_REST_SECONDS = Growing(2.0, 600.0)  # after checks that did not succeed
_FAILURES = 3  # of calls in one check; then the platform is left alone for a while
_NOT_SUBSCRIBED = "not subscribed"


@dataclass(frozen=True, slots=True)
class Inspection:
    """A shop's subscriptions as they are now. `made`: topics that were subscribed just now. `missing`: reasons by
    topic.

    `is_settled`: the missing topics were refused, and another check soon would find the same.
    """

    subscriptions: tuple[Subscription, ...]
    made: tuple[str, ...]
    missing: Mapping[str, str]
    is_settled: bool = True


def address_of(public_url: str, shop: str) -> str:
    """Where the world reaches a shop's part of our listener, without the last part of the path."""
    return f"{public_url.rstrip('/')}/webhooks/{quote(shop, safe='')}"


async def inspect(client: PushingClient, address: str | None, secret: str | None = None) -> Inspection:
    """Reads which topics are sent; with an `address` (`address_of`) subscribes those that are not sent there, signed
    with `secret` where the platform takes one.

    Without an address a topic counts as sent wherever it goes, as a proxy may have addresses of its own. A topic that
    the platform refuses, for a missing scope for example, does not block the others, nor does a call that fails.
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
                await client.update_subscription(known, secret)
            elif not await client.subscribe(topic, place, secret):
                continue  # sent already, under another spelling of the address
            made.append(topic)
        except NotSent:
            raise
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
    """Watches every pushing shop's subscriptions. `run` lasts until it is cancelled; `wake` asks for a check now.

    `shops` returns the configured shops, `worker_of` a shop's worker (None while there is none).
    """

    def __init__(
        self,
        shops: Callable[[], Mapping[str, ShopConfig]],
        worker_of: Callable[[str], ShopWorker | None],
        settings: WebhookSettings | None,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._shops, self._worker_of = shops, worker_of
        self._settings, self._clock, self._chance = settings, clock, chance
        self._wake = anyio.Event()
        self._reported: dict[str, Mapping[str, str]] = {}
        self._health: dict[str, WebhookHealth] = {}

    def health(self, shop: str) -> WebhookHealth | None:
        """What the last check of a shop's subscriptions showed; None where there was none, or checks are off."""
        config = self._shops().get(shop)
        return self._health.get(shop) if config is not None and config.webhook_secrets else None

    def wake(self) -> None:
        """The config changed: check again."""
        self._wake.set()

    async def run(self) -> None:
        """Checks until cancelled; returns at once where no webhooks are received, or checks are off."""
        settings = self._settings
        if settings is None or not settings.check_interval_seconds:
            return
        while True:
            self._wake = anyio.Event()
            await self._inspect_repeatedly(settings)

    async def _inspect_repeatedly(self, settings: WebhookSettings) -> None:
        """Checks every shop; and until it is time for all of them again, ever more rarely those with missing topics: a
        refused topic costs a call each time, and a person may take days to fix it."""
        ends_at = self._clock.monotonic() + settings.check_interval_seconds
        left, checks = set(self._shops()), 0
        while not self._wake.is_set() and (remaining := ends_at - self._clock.monotonic()) > 0:
            left, checks = await self._inspect_all(left, settings), checks + 1
            rest = equal_jitter(_REST_SECONDS.after(checks), self._chance.jitter())
            with anyio.move_on_after(min(rest, remaining) if left else remaining):
                await self._wake.wait()

    async def _inspect_all(self, names: Collection[str], settings: WebhookSettings) -> set[str]:
        """Checks these shops; returns those that are to be checked again soon."""
        left: set[str] = set()

        async def check(shop: ShopConfig) -> None:
            try:
                is_complete = await self._inspect_shop(shop, settings)
            except Exception as error:  # supervised: one shop's webhooks are not the others'
                log.error("webhooks.crashed", shop=shop.name, exc_info=error)
                is_complete = False
            if not is_complete:
                left.add(shop.name)

        async with anyio.create_task_group() as group:
            for shop in self._shops().values():
                if shop.name in names and shop.webhook_secrets:
                    group.start_soon(check, shop)
        return left

    async def _inspect_shop(self, shop: ShopConfig, settings: WebhookSettings) -> bool:
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
            self._health[shop.name] = WebhookHealth(now, self._reported.get(shop.name, {}), failure.detail)
            return False
        await self._report(worker, found)  # first: a healthy status implies that the events are in the feed
        self._health[shop.name] = WebhookHealth(now, found.missing)
        return not found.missing  # else check soon: a person may have fixed it

    async def _report(self, worker: ShopWorker, found: Inspection) -> None:
        """Reports new subscriptions and missing topics, the latter once as long as they are the same."""
        shop = worker.name
        events: list[tuple[str, dict[str, Json]]] = []
        if found.made:
            log.info("webhooks.registered", shop=shop, topics=found.made)
            events.append(("shop.webhooks_registered", {"topics": list(found.made)}))
        if found.missing and found.is_settled and found.missing != self._reported.get(shop):
            remedy = f"`fulfilld webhooks {shop} --register`, or set webhooks.public_url"
            log.warning("webhooks.missing", shop=shop, missing=dict(found.missing), remedy=remedy)
            events.append(("shop.webhooks_missing", {"missing": dict(found.missing)}))
        now = self._clock.now_ms()

        def unit(tx: Transaction) -> None:
            for name, data in events:
                append_event(tx, now, name, shop=shop, data=data)

        try:
            if events:
                await worker.store.write(unit)
        except StoreError as error:
            log.error("webhooks.not_recorded", shop=shop, detail=str(error))
            return
        if found.is_settled:
            self._reported[shop] = found.missing
