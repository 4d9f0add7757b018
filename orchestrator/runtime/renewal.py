"""A shop's client whose credentials are read again when the platform refuses them.

Secrets that stand in files can change while the daemon runs: a rotated token, a new client secret. So a refusal is
checked against the files first. When they hold other secrets, a new client is opened and the call is repeated once; a
call that was refused was not carried out. A second refusal, or one with unchanged files, reaches the shop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import structlog

from orchestrator.config import ShopConfig
from orchestrator.platforms.client import (
    Finding,
    OrderSnapshot,
    Page,
    PlatformClient,
    RemembersRefusal,
    StepAnswer,
    Throttle,
)
from orchestrator.platforms.failures import AccessDenied
from orchestrator.platforms.subscriptions import PushingClient, Subscription
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

log = structlog.get_logger()

T = TypeVar("T")
OpenClient = Callable[[ShopConfig], PlatformClient]
Reread = Callable[[ShopConfig], Awaitable[ShopConfig | None]]
"""The shop with the secrets that its files hold now; None where nothing changed."""
Adopt = Callable[[ShopConfig], Awaitable[None]]
"""Called with the shop and its new secrets, before they are used."""


class _Inner:
    """A client and the calls that are under way with it; closed once it was replaced and the last of them ended."""

    def __init__(self, client: PlatformClient) -> None:
        self.client = client
        self.running = 0
        self.is_replaced = False

    async def ask(self, call: Callable[[PlatformClient], Awaitable[T]]) -> T:
        self.running += 1
        try:
            return await call(self.client)
        finally:
            self.running -= 1
            if self.is_replaced and not self.running:
                with anyio.CancelScope(shield=True):
                    await self.client.aclose()


class RenewingClient:
    """`PlatformClient` in front of the platform's own, `client`. `open_client` opens others, `throttle` is awaited
    before a repeat."""

    def __init__(
        self,
        client: PlatformClient,
        shop: ShopConfig,
        open_client: OpenClient,
        reread: Reread,
        adopt: Adopt,
        throttle: Throttle,
    ) -> None:
        self._shop = shop
        self._open, self._reread, self._adopt, self._throttle = open_client, reread, adopt, throttle
        self._inner = _Inner(client)
        self._lock = anyio.Lock()

    async def renew(self) -> bool:
        """As `RenewsAccess.renew`."""
        return await self._renew(self._inner)

    async def _renew(self, refused: _Inner) -> bool:
        async with self._lock:
            if refused is not self._inner:
                return True  # renewed already after another call's refusal
            fresh = await self._reread(self._shop)
            if fresh is None:
                return False
            await self._adopt(fresh)
            self._shop, self._inner = fresh, _Inner(self._open(fresh))
        refused.is_replaced = True
        if not refused.running:
            await refused.client.aclose()
        log.info("shop.credentials_changed", shop=fresh.name, detail="read again from files")
        return True

    async def _ask(self, call: Callable[[PlatformClient], Awaitable[T]]) -> T:
        inner = self._inner
        try:
            return await inner.ask(call)
        except AccessDenied as failure:
            refusal = failure
        if not await self._renew(inner):
            raise refusal
        await self._throttle()
        return await self._inner.ask(call)

    # -- as PlatformClient ---------------------------------------------------------------------------------------------

    @property
    def rereads_open(self) -> bool:
        """As `PlatformClient.rereads_open`."""
        return self._inner.client.rereads_open

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """As `PlatformClient.list_page`."""
        return await self._ask(lambda client: client.list_page(position, cursor))

    async def read(self, order_id: str) -> OrderSnapshot:
        """As `PlatformClient.read`."""
        return await self._ask(lambda client: client.read(order_id))

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """As `PlatformClient.perform`."""
        return await self._ask(lambda client: client.perform(step, order_id, current, request))

    async def check(self) -> list[Finding]:
        """As `PlatformClient.check`."""
        return await self._inner.ask(lambda client: client.check())

    async def aclose(self) -> None:
        """As `PlatformClient.aclose`."""
        await self._inner.client.aclose()

    def forget_refusal(self) -> None:
        """As `RemembersRefusal.forget_refusal`."""
        if isinstance(self._inner.client, RemembersRefusal):
            self._inner.client.forget_refusal()


class RenewingPushingClient(RenewingClient):
    """The same for a platform that can be asked for webhooks (`PushingClient`)."""

    async def _push(self, call: Callable[[PushingClient], Awaitable[T]]) -> T:
        async def ask(client: PlatformClient) -> T:
            assert isinstance(client, PushingClient)
            return await call(client)

        return await self._ask(ask)

    def addresses(self, base: str) -> dict[str, str]:
        """As `PushingClient.addresses`."""
        client = self._inner.client
        assert isinstance(client, PushingClient)
        return client.addresses(base)

    async def list_subscriptions(self) -> list[Subscription]:
        """As `PushingClient.list_subscriptions`."""
        return await self._push(lambda client: client.list_subscriptions())

    async def subscribe(self, topic: str, address: str, secret: str | None) -> bool:
        """As `PushingClient.subscribe`."""
        return await self._push(lambda client: client.subscribe(topic, address, secret))

    async def update_subscription(self, subscription: Subscription, secret: str | None) -> None:
        """As `PushingClient.update_subscription`."""
        await self._push(lambda client: client.update_subscription(subscription, secret))

    async def order_of_part(self, part: str) -> str | None:
        """As `PushingClient.order_of_part`."""
        return await self._push(lambda client: client.order_of_part(part))


def renewing(
    shop: ShopConfig, open_client: OpenClient, reread: Reread, adopt: Adopt, throttle: Throttle
) -> PlatformClient:
    """The client of a shop: the platform's own client where no secret stands in a file, so that none can change."""
    client = open_client(shop)
    if shop.source is None:
        return client
    kind = RenewingPushingClient if isinstance(client, PushingClient) else RenewingClient
    return kind(client, shop, open_client, reread, adopt, throttle)
