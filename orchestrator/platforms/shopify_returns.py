"""Reads orders with their returns as long as Shopify lets the app (facts: shopify.md §1, Scopes).

Returns have a scope of their own, `read_returns`, and an app without it is not shown an order *without* returns: the
whole read is refused ("Access denied for returns field"). Apps of before have no such scope, and everything but returns
works without it. So a read that is refused for that is made again without them, and for a while none asks for them; a
scope that was granted meanwhile is found out by the next one that does.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.clock import Clock
from orchestrator.platforms.client import Throttle
from orchestrator.platforms.failures import AccessDenied
from orchestrator.platforms.shopify_graphql import ShopifyDoor
from orchestrator.platforms.shopify_pages import OrderPages
from orchestrator.platforms.shopify_webhooks import id_of_gid
from statemachines.target import Json

ASK_AGAIN_SECONDS = 3600.0
"""How long no read asks for returns after one was refused because of them."""
_REFUSAL, _REFUSAL_OF_ONE = "for returns field", "for return field"


class ReturnsAccess:
    """Whole orders of one shop, with their returns where the app may read them. `throttle`: see `client.Throttle`."""

    def __init__(self, door: ShopifyDoor, pages: OrderPages, throttle: Throttle, clock: Clock) -> None:
        self._door, self._pages, self._throttle, self._clock = door, pages, throttle, clock
        self._denied_until: float | None = None

    async def read(self, order_id: str, variables: Mapping[str, Json]) -> tuple[Json, str]:
        """As `OrderPages.read`; `variables` without `returns`."""
        asks = self._denied_until is None or self._clock.monotonic() >= self._denied_until
        try:
            found = await self._pages.read(order_id, {**variables, "returns": asks})
        except AccessDenied as failure:
            if not asks or _REFUSAL not in failure.detail:
                raise
            self._denied_until = self._clock.monotonic() + ASK_AGAIN_SECONDS
        else:
            if asks:
                self._denied_until = None
            return found
        await self._throttle()
        return await self._pages.read(order_id, {**variables, "returns": False})

    async def order_of(self, return_id: str) -> str | None:
        """The order of a return; None where there is none, and where the app may not read it: then some other topic
        tells of the order."""
        try:
            data, _ = await self._door.query("return_order", {"id": f"gid://shopify/Return/{return_id}"})
        except AccessDenied as failure:
            if _REFUSAL_OF_ONE not in failure.detail:
                raise
            return None
        return id_of_gid(((data.get("return") or {}).get("order") or {}).get("id"), "Order")
