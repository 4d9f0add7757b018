"""Shopify as a sender of webhooks: signed bodies with ids, in bursts, again where no answer came.

Written from the facts alone: it shares no code with the daemon, nor with the sandbox.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import aiohttp
import anyio

SECRET = "sandbox-secret-1"
"""The app's secret of the sandbox's first Shopify shop."""

_ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Webhook:
    """One webhook. `topic`, `id` and `event` None: their headers are left out."""

    topic: str | None
    body: bytes
    id: str | None = None
    event: str | None = None

    def headers(self, secret: str = SECRET) -> dict[str, str]:
        signature = hmac.new(secret.encode(), self.body, hashlib.sha256).digest()
        headers = {"Topic": self.topic, "Webhook-Id": self.id, "Event-Id": self.event}
        return {
            "Content-Type": "application/json",
            "X-Shopify-Hmac-Sha256": base64.b64encode(signature).decode(),
            **{f"X-Shopify-{name}": value for name, value in headers.items() if value is not None},
        }

    def again(self, id_: str) -> Webhook:
        """The same event in another message and other bytes, as another subscription brings it."""
        return replace(self, id=id_, body=self.body + b" ")


def webhook(topic: str, body: dict[str, Any]) -> Webhook:
    """A webhook with ids of its own."""
    name = f"{topic}-{body['id']}-{body.get('updated_at')}"
    return Webhook(topic, json.dumps(body).encode(), f"w-{name}", f"e-{name}")


def order(topic: str, order_id: str, version: int = 1) -> Webhook:
    """A webhook of an order; each version is an hour newer than the one before."""
    gid = f"gid://shopify/Order/{order_id}"
    body = {"id": int(order_id), "admin_graphql_api_id": gid, "updated_at": time_of(version), "line_items": []}
    return webhook(topic, body)


def fulfillment(number: int, order_id: str, version: int = 1) -> Webhook:
    """Version 1 is the parcel's creation."""
    body = {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Fulfillment/{number}",
        "order_id": int(order_id),
        "status": "success",
        "updated_at": time_of(version),
        "tracking_number": f"1Z{number}",
    }
    return webhook("fulfillments/create" if version == 1 else "fulfillments/update", body)


def product(number: int, version: int = 1) -> Webhook:
    """Version 1 is the product's creation."""
    body = {"id": number, "title": f"Mug {number}, version {version}", "updated_at": time_of(version)}
    return webhook("products/create" if version == 1 else "products/update", body)


def time_of(version: int) -> str:
    """When a version was made, as Shopify writes it."""
    return f"2199-01-01T{version:02}:00:00-05:00"


def is_about_products(webhook: Webhook) -> bool:
    return (webhook.topic or "").startswith("products/")


class Sender:
    """Sends to one listener and shop, each webhook to the address for its kind."""

    def __init__(self, shop: str, port: int, scheme: str = "http", tls: Any = True) -> None:
        self._root = f"{scheme}://127.0.0.1:{port}/webhooks/{shop}"
        self._tls = tls

    async def send(self, webhook: Webhook, secret: str = SECRET) -> int | None:
        """The answer's status; None where there was none."""
        (answer,) = await self.burst([webhook], secret=secret)
        return answer

    async def burst(
        self,
        webhooks: Sequence[Webhook],
        on_answer: Callable[[int], None] = lambda _: None,
        *,
        secret: str = SECRET,
        at_once: int = 0,
    ) -> list[int | None]:
        """Sends all of them, `at_once` at a time (0: all); the statuses as `send`. `on_answer` is called with each as
        it comes."""
        statuses: list[int | None] = [None] * len(webhooks)
        connector = aiohttp.TCPConnector(limit=at_once, ssl=self._tls)
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

            async def send_one(number: int, webhook: Webhook) -> None:
                place = "products" if is_about_products(webhook) else "orders"
                try:
                    async with session.post(
                        f"{self._root}/{place}", data=BytesIO(webhook.body), headers=webhook.headers(secret)
                    ) as answer:
                        statuses[number] = answer.status
                        on_answer(answer.status)
                except aiohttp.ClientError:
                    return

            async with anyio.create_task_group() as group:
                for number, webhook in enumerate(webhooks):
                    group.start_soon(send_one, number, webhook)
        return statuses
