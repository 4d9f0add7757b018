"""Reads orders with all the parts that Shopify lets the app see (facts: shopify.md §1, Scopes).

Some parts of an order have scopes of their own, and an app without one is not shown an order *without* that part: the
whole read is refused ("Access denied for returns field. Required access: `read_returns` access scope."). Apps of before
have no such scopes, and everything but the part works without. So a read that is refused for a part is made again
without it, and for a while none asks for it; a scope that was granted meanwhile is found out by the next one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.clock import Clock
from orchestrator.platforms.client import Throttle
from orchestrator.platforms.failures import AccessDenied
from orchestrator.platforms.fields import at
from orchestrator.platforms.shopify.graphql import ShopifyDoor
from orchestrator.platforms.shopify.pages import OrderPages
from orchestrator.platforms.shopify.webhooks import id_of_gid
from statemachines.target import Json

ASK_AGAIN_SECONDS = 3600.0
"""How long no read asks for a part after one was refused because of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an order that is asked for where the variable of this name is true. `refusals`: what the words of a
    refusal hold that is about it."""

    variable: str
    refusals: tuple[str, ...]

    def is_refused(self, words: str) -> bool:
        """Whether a refusal is about this part."""
        return any(each in words for each in self.refusals)


PARTS = (
    Part("returns", ("for returns field",)),
    Part("terms", ("for paymentTerms field", "for paymentSchedules field")),
    Part("goods", ("for product field", "for variant field")),
    Part(
        "account",
        (
            *("for customer field", "for purchasingEntity field", "for company field", "the Customer object"),
            *("the Company object", "the CompanyLocation object"),
        ),
    ),
    Part("number", ("for metafield field", "the Metafield object")),
)
"""Returns, payment terms, the products of lines, the account of the buyer, which may be a company, and the metafield
with the ERP's number."""


class OptionalParts:
    """Whole orders of one shop, with the parts that the app may read. `throttle`: see `client.Throttle`. `unwanted`:
    parts that are not to be asked for."""

    def __init__(
        self,
        door: ShopifyDoor,
        pages: OrderPages,
        throttle: Throttle,
        clock: Clock,
        unwanted: frozenset[str] = frozenset(),
    ) -> None:
        self._door, self._pages, self._throttle, self._clock = door, pages, throttle, clock
        self._parts = [each for each in PARTS if each.variable not in unwanted]
        self._denied_until: dict[str, float] = {}

    async def read(self, order_id: str, variables: Mapping[str, Json]) -> tuple[Json, str]:
        """As `OrderPages.read`; `variables` without those of the parts."""
        asked = [each for each in self._parts if self._may_ask(each)]
        while True:
            wanted = {each.variable: each in asked for each in PARTS}
            try:
                found = await self._pages.read(order_id, {**variables, **wanted})
            except AccessDenied as failure:
                refused = [each for each in asked if each.is_refused(failure.detail)]
                if not refused:
                    raise
            else:
                for each in asked:
                    self._denied_until.pop(each.variable, None)
                return found
            for each in refused:
                self._denied_until[each.variable] = self._clock.monotonic() + ASK_AGAIN_SECONDS
                asked.remove(each)
            await self._throttle()

    async def order_of(self, return_id: str) -> str | None:
        """The order of a return; None where there is none, and where the app may not read it: then some other topic
        names the order."""
        try:
            data, _ = await self._door.query("return_order", {"id": f"gid://shopify/Return/{return_id}"})
        except AccessDenied as failure:
            if "for return field" not in failure.detail:
                raise
            return None
        return id_of_gid(at(data, "return.order.id"), "Order")

    def _may_ask(self, part: Part) -> bool:
        until = self._denied_until.get(part.variable)
        return until is None or self._clock.monotonic() >= until
