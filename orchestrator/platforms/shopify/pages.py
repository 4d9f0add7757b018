"""One order whole: what its first page leaves out of its nested lists is read page by page and put into its node.

Shopify's pages are not a snapshot: between two of them the order may change. Each page therefore shows the order's
change time, and that of the fulfilment order whose lines it shows, which moves alone when goods are moved or split. A
page that shows another one than the first makes the whole read begin again. Change times are whole seconds, so what
changes within the very second of the last change is not seen here; a sync reads such an order again (`page_walk`).

A list whose pages do not lead on (a cursor that comes again, something that was shown before) is read again as well:
goods that count twice would be shipped twice. Should it stay like that, the order is set aside, and no other waits.

Every page asks for a part of what the first page asks for, so none costs more than that one does (shopify.md §8).
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.platforms.client import Throttle
from orchestrator.platforms.failures import NotFound, Transient, Unreadable
from orchestrator.platforms.fields import shown
from orchestrator.platforms.http import read_aside
from orchestrator.platforms.json_text import decoded, encoded, member_text, write_value
from orchestrator.platforms.shopify.graphql import ShopifyDoor
from orchestrator.platforms.shopify.graphql import document as text_of
from statemachines.target import Json

MOST_PAGES = 100
"""How many pages are read beside the first: enough for 8,000 lines that were shipped, each of which shows in the order,
its fulfilment order and its fulfilment. A loop of cursors has to end somewhere."""
TRIES = 3
"""How often a read begins because the order changes under it."""


class _Changed(Exception):
    """A page shows the order as another one does not."""


class _Astray(Exception):
    """The pages of a list do not lead on; the message says how."""


class _Endless(Exception):
    """The order has more pages than are read; the message says so."""


class OrderPages:
    """Reads whole orders of one shop. `throttle`: see `client.Throttle`; each call but the first needs a permit."""

    def __init__(self, door: ShopifyDoor, throttle: Throttle) -> None:
        self._door, self._throttle = door, throttle

    async def read(self, order_id: str, variables: Mapping[str, Json]) -> tuple[Json, str]:
        """The order's node with all of its lists, and its text: Shopify's own where one page shows everything, else
        JSON written anew.

        Raises NotFound, Unreadable for an order of too many pages or whose pages do not lead on, Transient where it
        changes all the time, and what calls raise.
        """
        unreadable: Unreadable | None = None
        for attempt in range(TRIES):
            if attempt:
                await self._throttle()
            data, answer = await self._door.query("order", variables)
            if "order" not in data:  # null says that there is none, nothing says nothing
                raise Transient("the answer does not say whether there is such an order")
            node = data["order"]
            if node is None:
                raise NotFound(f"Shopify has no order {order_id}")
            text = await read_aside(answer, _text_of_order, answer.body)
            rest = _Rest(self._door, self._throttle, node, variables)
            try:
                await rest.read()
            except _Changed:
                unreadable = None
                continue
            except _Astray as error:
                unreadable = Unreadable(f"order {order_id}: {error}", encoded(text))
                continue
            except _Endless as error:
                raise Unreadable(f"order {order_id}: {error}", encoded(text)) from None
            if rest.pages:
                text = write_value(node)
            return node, text
        if unreadable is not None:
            raise unreadable
        raise Transient(f"the order changed {TRIES} times while its pages were read")


def _text_of_order(body: bytes) -> str:
    return member_text(member_text(decoded(body), "data"), "order")


class _Rest:
    """What the first page of `order` left out; `read` puts it in. What is invalid is left for the reader of the
    node. `pages`: how many were read. `variables`: what the first page was asked with."""

    def __init__(self, door: ShopifyDoor, throttle: Throttle, order: Json, variables: Mapping[str, Json]) -> None:
        self._door, self._throttle, self._order, self._variables = door, throttle, order, variables
        self.pages = 0

    async def read(self) -> None:
        """Raises _Changed, _Astray, _Endless, PlatformFailure."""
        order = self._order
        await self._follow(order, "lineItems", "order_lines", "order")
        await self._follow(order, "shippingLines", "order_shipping_lines", "order")
        await self._follow(order, "discountApplications", "order_discounts", "order")
        await self._follow(order, "fulfillmentOrders", "order_fulfillment_orders", "order")
        for each in _nodes(order, "fulfillmentOrders"):
            await self._follow(each, "lineItems", "fulfillment_order_lines", "fulfillmentOrder")
        for each in _listed(order, "fulfillments"):
            await self._follow(each, "fulfillmentLineItems", "fulfillment_lines", "fulfillment")
        await self._follow(order, "returns", "order_returns", "order")
        for each in _nodes(order, "returns"):
            await self._follow(each, "returnLineItems", "return_lines", "return")
            await self._follow(each, "exchangeLineItems", "return_exchanges", "return")

    async def _follow(self, owner: Json, name: str, document: str, field: str) -> None:
        """Reads the rest of the list `name` of `owner`, which `document` shows as its `field`."""
        shared = {each: value for each, value in self._variables.items() if f"${each}: Boolean!" in text_of(document)}
        cursors: set[str] = set()
        while (after := _next_cursor(owner, name)) is not None:
            if after in cursors:
                raise _Astray(f"a cursor of its {name} was named before: {shown(after)}")
            cursors.add(after)
            if self.pages == MOST_PAGES:
                raise _Endless(f"{MOST_PAGES + 1} pages do not show all of its lines, fulfilment orders and parcels")
            self.pages += 1
            await self._throttle()
            try:
                data, _ = await self._door.query(document, {**shared, "id": owner["id"], "after": after})
            except NotFound:  # a fulfilment order that is gone, or the order: the next read shows which
                raise _Changed from None
            page = data.get(field)
            if not isinstance(page, dict) or not self._is_as_before(owner, page):
                raise _Changed
            if not isinstance(page.get(name), dict):
                raise _Astray(f"a page of its {name} shows none")
            if again := _ids(_nodes(owner, name)) & _ids(_nodes(page, name)):
                raise _Astray(f"two pages of its {name} show {min(again)}")
            owner[name]["nodes"] += _nodes(page, name)
            owner[name]["pageInfo"] = page[name].get("pageInfo")

    def _is_as_before(self, owner: Json, page: Json) -> bool:
        order = page if owner is self._order else page.get("order")
        is_same_order = isinstance(order, dict) and order.get("updatedAt") == self._order.get("updatedAt")
        return is_same_order and page.get("updatedAt") == owner.get("updatedAt")


def _next_cursor(owner: Json, name: str) -> str | None:
    """Where the next page of a list begins; None where there is none, or it is unknown."""
    connection = owner.get(name) if isinstance(owner, dict) else None
    info = connection.get("pageInfo") if isinstance(connection, dict) else None
    if not isinstance(info, dict) or info.get("hasNextPage") is not True or not _listed(connection, "nodes"):
        return None
    after = info.get("endCursor")
    return after if isinstance(after, str) and isinstance(owner.get("id"), str) else None


def _ids(nodes: list[Json]) -> set[str]:
    """What distinguishes nodes; some have nothing."""
    return {node["id"] for node in nodes if isinstance(node, dict) and isinstance(node.get("id"), str)}


def _nodes(owner: Json, name: str) -> list[Json]:
    return _listed(owner.get(name) if isinstance(owner, dict) else None, "nodes")


def _listed(thing: Json, name: str) -> list[Json]:
    listed = thing.get(name) if isinstance(thing, dict) else None
    return listed if isinstance(listed, list) else []
