"""Shopify's client: the list of what changed, single orders, steps, and webhook subscriptions (facts: shopify.md)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from yarl import URL

from orchestrator.platforms.client import Finding, OrderSnapshot, Page, PlatformClient, StepAnswer
from orchestrator.platforms.discretion import discreet
from orchestrator.platforms.failures import AccessDenied, NotFound, PlatformFailure, Unreadable
from orchestrator.platforms.fields import InvalidOrder, at
from orchestrator.platforms.garbage import KEPT_BYTES
from orchestrator.platforms.horizon import Present
from orchestrator.platforms.http import Answer, Caller, date_ms, open_session, read_aside, skew_finding
from orchestrator.platforms.json_text import encoded
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.shopify.access import ShopifyAccess
from orchestrator.platforms.shopify.graphql import InvalidData, ShopifyDoor
from orchestrator.platforms.shopify.listing import Listing, read_listing
from orchestrator.platforms.shopify.options import ShopifyOptions
from orchestrator.platforms.shopify.page_walk import PageWalk
from orchestrator.platforms.shopify.pages import OrderPages
from orchestrator.platforms.shopify.parts import OptionalParts
from orchestrator.platforms.shopify.scopes import missing_scopes, scopes_finding
from orchestrator.platforms.shopify.steps import ShopifySteps
from orchestrator.platforms.shopify.subscriptions import ShopifySubscriptions, addresses
from orchestrator.platforms.shopify.webhooks import RETURN_PART, id_of_gid, whole_id
from orchestrator.platforms.shopify.wire import read_order
from orchestrator.platforms.subscriptions import Subscription
from statemachines.machine import OrderState
from statemachines.shopify import machine as machines
from statemachines.target import Json, TargetRequest

_MAX_PAGE = 250  # of any connection (shopify.dev: pagination)


@discreet
class ShopifyClient:
    """`PlatformClient` of one Shopify shop. Has to be made inside a running event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, ShopifyOptions)
        self._options = options
        self._clock = settings.clock
        self._page_size = min(settings.page_size, _MAX_PAGE)
        self._lookback_ms = int(settings.lookback_seconds * 1000)
        session = open_session(
            headers={"Accept": "application/json"},
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
        )
        self._caller = Caller(session, clock=settings.clock, secrets=_secrets(options), meter=settings.meter)
        host = settings.base_url.rstrip("/").replace("{domain}", options.domain)
        url = URL(f"{host}/admin/api/{options.api_version}/graphql.json")
        self._access = ShopifyAccess(options, self._caller, host, settings)
        self._door = ShopifyDoor(self._caller, url, self._access, settings.meter)
        pages = OrderPages(self._door, settings.throttle)
        wants = {"account": options.customer_data, "number": options.erp_number_metafield is not None}
        unwanted = frozenset(name for name, is_wanted in wants.items() if not is_wanted)
        self._orders = OptionalParts(self._door, pages, settings.throttle, settings.clock, unwanted)
        machine = machines.build({"routing_timeout_seconds": options.routing_timeout_seconds})
        self._subscriptions = ShopifySubscriptions(self._door, settings.throttle)
        self._steps = ShopifySteps(self._door, machine, options, self.read, settings.throttle, settings.clock)

    @property
    def rereads_open(self) -> bool:
        """No: orders are listed by their change time."""
        return False

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """One page of the orders that changed; each of them has to be read."""
        now = Present(self._clock.now_ms())
        walk = PageWalk.resume(position, cursor, self._lookback_ms, now)
        variables = {"first": self._page_size, "after": walk.after, "query": walk.query}
        answer = await self._door.send("orders", variables, is_effect=False)
        listed = await self._listed(answer)
        fresh = walk.fresh(listed.rows)
        now = replace(now, platform_ms=date_ms(answer))
        turned = walk.turned(listed.rows, listed.after, now, self._lookback_ms)
        is_going_on = listed.after is not None or turned.part < walk.part
        following = turned if is_going_on else None if listed.flaw is not None else turned.following()
        return Page(
            orders=(),
            unreadable=listed.unreadable if not walk.is_part else (),  # the whole list shows them again
            must_read=tuple(dict.fromkeys(row.id for row in fresh)),
            skip_if_new=frozenset(row.id for row in fresh if row.is_cancelled),
            ages={row.id: row.age for row in fresh},
            next=following.to_json() if following is not None else None,
            position=turned.position() if following is None else None,
            shown=listed.names,
            cursor=listed.after,
            part=walk.part,
            flaw=listed.flaw,
        )

    async def _listed(self, answer: Answer) -> Listing:
        """The list of an answer. Raises PlatformFailure."""
        try:
            with suppress(InvalidData):  # one order's row: each is read by itself
                await self._door.data_aside(answer, is_effect=False)
            return await read_aside(answer, read_listing, answer.body)
        except Unreadable as failure:  # of a whole list, which nobody keeps
            failure.payload = failure.payload[:KEPT_BYTES]
            raise

    async def read(self, order_id: str) -> OrderSnapshot:
        """One order, with its fulfilment orders and fulfilments, of as many pages as that takes."""
        if whole_id(order_id) != order_id:
            raise NotFound(f"{order_id!r} is not a Shopify order id")
        namespace, key = self._options.erp_number_place
        variables = {"id": f"gid://shopify/Order/{order_id}", "customer": self._options.customer_data}
        variables |= {"namespace": namespace, "key": key}
        node, text = await self._orders.read(order_id, variables)
        try:
            snapshot = read_order(node, text, self._clock.now_ms())
        except InvalidOrder as error:
            raise Unreadable(f"order {order_id}: {error}", encoded(text)) from None
        if snapshot.id != order_id:
            raise Unreadable(f"order {snapshot.id} was answered when {order_id} was asked for", snapshot.payload)
        return snapshot

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Looks at the order and makes the calls of `step` that are still missing (`steps`)."""
        return await self._steps.perform(step, order_id, current, request)

    async def check(self) -> list[Finding]:
        """Reachable, let in with what and until when, scopes there, the version one that Shopify still has, clock
        skew."""
        try:
            data, answer = await self._door.query("access", {})
        except AccessDenied as failure:
            let_in_by = "token" if self._options.credentials is None else "credentials"
            message = f"{failure.detail} - check domain, {let_in_by} and api_version in the config"
            findings = [Finding("reachable", "ok", "it answers"), Finding("credentials", "failed", message)]
            scopes = None if self._access.scopes is None else missing_scopes(set(self._access.scopes))
            return [*findings, Finding("scopes", "failed", f"the token lacks {scopes}")] if scopes else findings
        except PlatformFailure as failure:
            return [Finding("reachable", "failed", failure.detail)]
        return [
            Finding("reachable", "ok", "it answers"),
            self._access.finding(),
            self._domain(data),
            self._version(data),
            scopes_finding(data, self._access.scopes),
            skew_finding(answer, self._clock),
        ]

    def forget_refusal(self) -> None:
        """As `RemembersRefusal.forget_refusal`."""
        self._access.forget_refusal()

    async def aclose(self) -> None:
        """Closes connections."""
        await self._caller.aclose()

    # -- webhooks --------------------------------------------------------------------------------------------------

    def addresses(self, base: str) -> dict[str, str]:
        """As `PushingClient.addresses`."""
        return addresses(base, self._options.api_version)

    async def list_subscriptions(self) -> list[Subscription]:
        """As `PushingClient.list_subscriptions`. Raises PlatformFailure."""
        return await self._subscriptions.list()

    async def subscribe(self, topic: str, address: str, secret: str | None) -> bool:
        """As `PushingClient.subscribe`; the app's own secret signs. Raises Rejected with Shopify's words,
        PlatformFailure."""
        del secret
        return await self._subscriptions.create(topic, address)

    async def update_subscription(self, subscription: Subscription, secret: str | None) -> None:
        """As `PushingClient.update_subscription`. Raises Rejected with Shopify's words, PlatformFailure."""
        del secret
        await self._subscriptions.update(subscription)

    async def order_of_part(self, part: str) -> str | None:
        """The order of a fulfilment order or a return: webhooks about one name nothing else (shopify.md §2.4)."""
        if part.startswith(RETURN_PART):
            return await self._orders.order_of(part.removeprefix(RETURN_PART))
        data, _ = await self._door.query("fulfillment_order", {"id": f"gid://shopify/FulfillmentOrder/{part}"})
        return id_of_gid(at(data, "fulfillmentOrder.order.id"), "Order")

    # -- checking --------------------------------------------------------------------------------------------------

    def _domain(self, data: dict[str, Json]) -> Finding:
        domain = (data.get("shop") or {}).get("myshopifyDomain")
        if domain == self._options.domain:
            return Finding("shop", "ok", f"the token is for {domain}")
        return Finding("shop", "warning", f"the token is for {domain}, the config says {self._options.domain}")

    def _version(self, data: dict[str, Json]) -> Finding:
        mine = self._options.api_version
        rows = data.get("publicApiVersions") or []
        handles = [row["handle"] for row in rows if row.get("supported") or row.get("handle") == mine]
        if mine in handles:
            return Finding("version", "ok", f"{mine} is served")
        return Finding(
            "version",
            "warning",
            f"{mine} is not supported; another one answers. Supported: {', '.join(handles) or 'none'}",
        )


def _secrets(options: ShopifyOptions) -> list[str]:
    given = [options.token]
    if options.credentials is not None:
        given += [options.credentials.client_secret, options.credentials.refresh_token]
    return [each.get_secret_value() for each in given if each is not None]


def open_client(settings: ClientSettings) -> PlatformClient:
    """The client of a shop (`Platform.open`)."""
    return ShopifyClient(settings)
