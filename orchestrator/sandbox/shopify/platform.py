"""The simulated Shopify: the Admin GraphQL API of some shops, as far as an ERP needs it.

Facts: shopify.md §1, §5, §7, §8; answers as in the samples `gql_*`. Only what a document asks for is answered.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import ClassVar

from orchestrator.sandbox.base import SimulatedShops, gateway_page
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.platform import Incoming, Operation, Reply, Stock, Walk, parse_object
from orchestrator.sandbox.shopify.operations import RESOLVERS, SINCE, STEPS, VERSIONS, order_of
from orchestrator.sandbox.shopify.options import SMALLEST_BUCKET, SMALLEST_RESTORE_RATE, ShopifyOptions
from orchestrator.sandbox.shopify.orders import Json
from orchestrator.sandbox.shopify.panel import ShopifyPanel
from orchestrator.sandbox.shopify.refusals import Denied, Refused, TooMany
from orchestrator.sandbox.shopify.scopes import check_scopes
from orchestrator.sandbox.shopify.selection import BadDocument, Document, Field, parse, project
from orchestrator.sandbox.shopify.sender import ShopifySender
from orchestrator.sandbox.shopify.shop import ShopifyShop
from orchestrator.sandbox.shopify.walk import WALK

_PATH = re.compile(r"/(?P<shop>[^/]+)/admin/api/(?P<version>[^/]+)/graphql\.json")
_TOKEN_PATH = re.compile(r"/(?P<shop>[^/]+)/admin/oauth/access_token")
_QUERY_COST, _MUTATION_COST = 20, 10
"""What documents did cost in the end (shopify.md §8: typical costs)."""
_REQUESTED = {"order": 300, "orders": 60}
"""What the bucket has to hold before queries are run, for their lists might be full; all others: what they cost."""
_DENIED = {"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/api/usage/access-scopes"}
_TOO_MANY = {"code": "MAX_INPUT_SIZE_EXCEEDED"}
_NO_ID = {"message": "invalid id", "extensions": {"code": "RESOURCE_NOT_FOUND"}}


class ShopifyPlatform(SimulatedShops[ShopifyShop, ShopifyPanel]):
    """Simulated shops. A shop's `base_url` ends with its domain."""

    name: ClassVar[str] = "shopify"
    options: ClassVar[type] = ShopifyOptions
    config_name: ClassVar[str] = "shopy"
    _options: ShopifyOptions

    @staticmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""
        return WALK

    @staticmethod
    def with_real_limits(options: ShopifyOptions) -> ShopifyOptions:
        """As `SimulatedPlatform.with_real_limits`."""
        return replace(options, bucket=SMALLEST_BUCKET, restore_rate=SMALLEST_RESTORE_RATE)

    def sender_of(self, shop: ShopifyShop, faults: FaultPlan) -> ShopifySender:
        """As `SimulatedShops.sender_of`."""
        return ShopifySender(shop, self._clock, faults)

    def stocked(self, n: int, stock: Stock) -> ShopifyShop:
        """As `SimulatedShops.stocked`."""
        return ShopifyShop.stocked(n, self._clock, self._options, orders=stock.orders, seed=stock.seed)

    def key_of(self, shop: ShopifyShop) -> str:
        """As `SimulatedShops.key_of`."""
        return shop.domain

    def panel_for(self, shop: ShopifyShop) -> ShopifyPanel:
        """As `SimulatedShops.panel_for`."""
        return ShopifyPanel(shop, self._ledger)

    def config_of(self, shop: ShopifyShop, address: str) -> dict[str, Json]:
        """As `SimulatedShops.config_of`; each shop has an address of its own."""
        return {
            "domain": shop.domain,
            **shop.access.config(shop.options.access),
            "webhook_secret": [shop.webhook_secret],
            "base_url": f"{address}/{shop.domain}",
        }

    def states_of(self, shop: ShopifyShop) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`."""
        now = self._clock.now_ms()
        return {
            order_id: "CANCELLED" if order.cancelled is not None else order.state(now)
            for order_id, order in shop.orders.items()
        }

    def summary(self) -> dict[str, Json]:
        """Orders by state and webhooks by outcome, shop by shop."""
        webhooks = {domain: asdict(shop.webhooks) for domain, shop in self.shops_by_key.items()}
        return {**super().summary(), "webhooks": webhooks}

    # -- requests --------------------------------------------------------------------------------------------------

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open`. `sent` are the operation's variables; what asks for tokens is in the ledger as
        `token`, without what it sent."""
        if (to_endpoint := _TOKEN_PATH.fullmatch(incoming.path)) is not None:
            return self._token(to_endpoint["shop"], incoming)
        found = _PATH.fullmatch(incoming.path)
        domain = found["shop"] if found is not None else ""
        shop = self.shops_by_key.get(domain)
        body = parse_object(incoming.body)
        if found is None or shop is None or incoming.method != "POST":
            return Operation(domain, None, "unknown", lambda: Reply(404, b'{"errors":"Not Found"}'))
        token = incoming.headers.get("X-Shopify-Access-Token", "")
        if (refusal := shop.access.refusal_of(token)) is not None:
            return Operation(domain, None, "unauthorized", lambda: refusal)
        if body is None or not isinstance(body.get("query"), str):
            return Operation(domain, None, "unknown", lambda: Reply(400, b'{"errors":{"query":"Required parameter"}}'))
        variables = body.get("variables") or {}
        shop.settle()
        try:
            document = parse(body["query"], variables)
        except BadDocument as error:
            return Operation(domain, None, "unknown", partial(_failed, {"message": str(error)}))
        field = document.root[0]
        order = order_of(shop, field)
        step = STEPS.get(field.name, field.name)
        version = found["version"] if found["version"] in VERSIONS else VERSIONS[0]
        act = partial(self._answer, shop, document, version, shop.access.scopes_of(token) or frozenset())
        return Operation(domain, str(order) if order is not None else None, step, act, variables)

    def _token(self, domain: str, incoming: Incoming) -> Operation:
        shop = self.shops_by_key.get(domain)
        if shop is None or incoming.method != "POST":
            return Operation(domain, None, "unknown", lambda: Reply(404, b'{"errors":"Not Found"}'))
        return Operation(domain, None, "token", partial(shop.access.grant, incoming.headers, incoming.body))

    def _answer(self, shop: ShopifyShop, document: Document, version: str, scopes: frozenset[str]) -> Reply:
        """The document's answer, with what it cost (shopify.md §8). `scopes`: those of the call's token."""
        shop.acting = scopes
        cost = _MUTATION_COST if document.is_mutation else _QUERY_COST
        requested = max(cost, *(_REQUESTED.get(field.name, 0) for field in document.root))
        wait = shop.spend(requested, cost)
        if wait is not None:
            return self._throttled(shop, requested, wait)
        data: dict[str, Json] = {}
        headers = {"X-Shopify-API-Version": version}
        is_effect, is_elsewhere = False, False
        for field in document.root:
            resolve = RESOLVERS.get(field.name)
            try:
                if resolve is None:
                    raise BadDocument(f"Field '{field.name}' doesn't exist on type '{document.name}'")
                for name in _names(field):
                    if version < SINCE.get(name, version):
                        raise BadDocument(f"Field '{name}' doesn't exist on type '{document.name}'")
                    check_scopes(name, scopes)
                value = resolve(shop, field)
                data[field.name] = project(value, field.fields, shop.options.most_nodes)
                is_effect = is_effect or document.is_mutation
            except BadDocument as error:
                return _failed({"message": str(error), "extensions": {"code": "undefinedField"}})
            except KeyError:
                return _failed({**_NO_ID, "path": [field.name]}, {field.name: None})
            except Denied as denied:
                shown = {"message": denied.message, "extensions": _DENIED, "path": [field.name]}
                return _failed(shown, {field.name: None}, _cost(shop, requested, cost))
            except TooMany as many:
                return _failed({"message": many.message, "path": many.path, "extensions": _TOO_MANY})
            except Refused as refused:
                data[field.name] = project(_refusal(field, refused), field.fields)
                is_elsewhere = refused.is_elsewhere
        body = {"data": data, "extensions": {"cost": _cost(shop, requested, cost)}}
        return Reply(
            200,
            json.dumps(body, ensure_ascii=False).encode(),
            took_effect=is_effect,
            in_sequence=not is_elsewhere,
            is_overwrite=True,
            headers=headers,
        )

    def _throttled(self, shop: ShopifyShop, requested: int, wait: float) -> Reply:
        if shop.options.is_throttled_with_429:
            return Reply(429, b'{"errors":"Throttled"}', headers={"Retry-After": str(math.ceil(wait))})
        return _failed(_THROTTLED, None, _cost(shop, requested, None))

    def throttled(self, wait_seconds: float) -> Reply:
        """As `SimulatedPlatform.throttled`: at 200, with a cost that says how long (sample gql_error_throttled)."""
        status = {"maximumAvailable": 2000, "currentlyAvailable": 900, "restoreRate": 100}
        requested = 900 + math.ceil(wait_seconds * 100)
        cost = {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": status}
        return _failed(_THROTTLED, None, cost)

    def broken(self, status: int) -> Reply:
        """As `SimulatedPlatform.broken`: Shopify's JSON for a 500, a gateway's page for the rest."""
        if status == 500:
            return Reply(500, b'{"errors":"Internal Server Error"}')
        return gateway_page(status)


_THROTTLED = {
    "message": "Throttled",
    "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
}


def _failed(error: Json, data: Json = None, cost: Json = None) -> Reply:
    body: dict[str, Json] = {"errors": [error]}
    if data is not None:
        body["data"] = data
    if cost is not None:
        body["extensions"] = {"cost": cost}
    return Reply(200, json.dumps(body).encode(), in_sequence=True)


def _cost(shop: ShopifyShop, requested: int, actual: int | None) -> dict[str, Json]:
    options = shop.options
    status = {
        "maximumAvailable": options.bucket,
        "currentlyAvailable": int(shop.available),
        "restoreRate": options.restore_rate,
    }
    return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}


def _refusal(field: Field, refused: Refused) -> dict[str, Json]:
    """A mutation's payload with nothing done; every member that may be asked for is there."""
    error = {"field": refused.field, "message": refused.message, "code": refused.code}
    empty = dict.fromkeys(("fulfillment", "fulfillmentOrder", "fulfillmentEvent", "job", "jobResult", "metafields"))
    payload = {**empty, "webhookSubscription": None, "deletedWebhookSubscriptionId": None, "userErrors": [error]}
    if field.name == "orderCancel":
        payload["orderCancelUserErrors"] = [{**error, "code": "INVALID"}]
    return payload


def _names(field: Field) -> Iterator[str]:
    """A field and all that is asked for in it."""
    yield field.name
    for each in field.fields:
        yield from _names(each)
