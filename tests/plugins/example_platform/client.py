"""The example platform's client: a list by offset and change time, single orders, and one call a step."""

from __future__ import annotations

from orchestrator.plugin.client import (
    NOTHING_APART,
    URL,
    Age,
    Answer,
    ClientSettings,
    Listing,
    NotFound,
    OrderSnapshot,
    OutOfSequence,
    Page,
    Probe,
    RestClient,
    StepAnswer,
    Unreadable,
    decoded,
    digest,
    id_of,
    instant,
    instant_ms,
    json_body,
    listing_of,
    members,
    object_of,
    of_one_order,
    order_number,
    required_text,
    single_of,
    text,
    walk_page,
)
from orchestrator.plugin.machine import Json, OrderState, TargetRequest
from tests.plugins.example_platform import ExampleOptions

_LEADS_TO = {"confirm": "confirmed", "send": "sent", "finish": "done", "cancel": "void"}


class ExampleClient(RestClient):
    """`PlatformClient` of one shop. Has to be made inside a running event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        assert isinstance(settings.options, ExampleOptions)
        token = settings.options.token.get_secret_value()
        super().__init__(settings, secrets=(token,), headers={"Authorization": f"Bearer {token}"})
        self._page_size = min(settings.page_size, 50)
        self._lookback_ms = int(settings.lookback_seconds * 1000)

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """As `PlatformClient.list_page`."""
        return await walk_page(self._list, position, cursor, page_size=self._page_size, clock=self._clock)

    async def read(self, order_id: str) -> OrderSnapshot:
        """As `PlatformClient.read`."""
        return await self._single(order_id, self._order_url(order_id), lambda each: single_of(each.body, read_order))

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """As `PlatformClient.perform`; the platform itself refuses what is out of turn."""
        change: dict[str, Json] = {"state": _LEADS_TO[step]}
        if step == "send" and request.tracking is not None:
            change["tracking"] = request.tracking.code
        order = self._members(await self._accepted("PUT", self._order_url(order_id), json_body(change)))
        if order.get("state") != change["state"]:
            raise OutOfSequence(f"{change['state']} was asked for and the order is in {order.get('state')}")
        return StepAnswer(change["state"])

    async def probe(self) -> Probe:
        """As `RestClient.probe`."""
        listing, answer = await self._list(0, 1, None)
        return Probe(answer, f"orders may be read, {listing.total} in all")

    async def _list(self, offset: int, limit: int, since_ms: int | None) -> tuple[Listing, Answer]:
        query = {"offset": str(offset), "limit": str(limit)}
        if since_ms is not None:
            query["changed_since"] = str(max(0, since_ms - self._lookback_ms))
        answer = await self._send("GET", URL(f"{self._base_url}/orders").with_query(query))
        return await self._listed(answer, read_listing), answer

    def _order_url(self, order_id: str) -> URL:
        if order_number(order_id) is None:
            raise NotFound(f"{order_id!r} is not an order id")
        return URL(f"{self._base_url}/orders/{order_id}")


def read_listing(body: bytes) -> Listing:
    """The orders of a list's answer. Raises Unreadable."""
    try:
        answer, found = members(decoded(body), "orders")
    except ValueError as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    if found is None:
        raise Unreadable("the list has no orders", body)
    return listing_of(found, read_order, answer.get("total"))


@of_one_order
def read_order(value: Json, payload: bytes) -> OrderSnapshot:
    """One order of its JSON and its bytes. Raises InvalidOrder."""
    order = object_of(value)
    state = required_text(order.get("state"), "state")
    content: dict[str, Json] = {
        "ordered_at": instant(order.get("created_at")),
        "numbers": {"order": text(order.get("number"))},
        "ship_to": {"name": text(order.get("receiver"))},
    }
    return OrderSnapshot(
        id=id_of(order.get("id"), "id"),
        reference=text(order.get("number")),
        state=state,
        payment="paid",
        facts={},
        payload=payload,
        content_hash=digest(content, NOTHING_APART),
        platform_updated_at=instant_ms(order.get("changed_at"), "changed_at"),
        content=content,
        age=Age(instant_ms(order.get("created_at"), "created_at"), is_over=state in ("done", "void")),
    )
