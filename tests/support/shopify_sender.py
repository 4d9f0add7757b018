"""Shopify as a sender of webhooks: signed bodies with ids, in bursts, again where no answer came.

Written from the facts alone: it shares no code with the daemon, nor with the sandbox.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import socket
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from tests.support.process import DaemonProcess

SECRET = "sandbox-secret-1"
"""The app's secret of the sandbox's first Shopify shop."""

_ANSWER_SECONDS = 60
_PORTS = range(20_000, 32_000)  # below those that connections get, so that a restarted daemon finds its port free


@dataclass(frozen=True)
class Webhook:
    """One webhook. `topic`, `id` and `event` None: their headers are left out."""

    topic: str | None
    body: bytes
    id: str | None = None
    event: str | None = None

    def headers(self, secret: str = SECRET) -> dict[str, str]:
        signature = hmac.new(secret.encode(), self.body, hashlib.sha256).digest()
        told = {"Topic": self.topic, "Webhook-Id": self.id, "Event-Id": self.event}
        return {
            "Content-Type": "application/json",
            "X-Shopify-Hmac-Sha256": base64.b64encode(signature).decode(),
            **{f"X-Shopify-{name}": value for name, value in told.items() if value is not None},
        }

    def again(self, id_: str) -> Webhook:
        """The same news in another message, as another subscription brings it."""
        return replace(self, id=id_)


def news(topic: str, body: dict[str, Any]) -> Webhook:
    """A webhook with ids of its own."""
    name = f"{topic}-{body['id']}-{body.get('updated_at')}"
    return Webhook(topic, json.dumps(body).encode(), f"w-{name}", f"e-{name}")


def order(topic: str, order_id: str, version: int = 1) -> Webhook:
    """News of an order; each version is an hour newer than the one before."""
    gid = f"gid://shopify/Order/{order_id}"
    body = {"id": int(order_id), "admin_graphql_api_id": gid, "updated_at": time_of(version), "line_items": []}
    return news(topic, body)


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
    return news("fulfillments/create" if version == 1 else "fulfillments/update", body)


def product(number: int, version: int = 1) -> Webhook:
    """Version 1 is the product's creation."""
    body = {"id": number, "title": f"Mug {number}, version {version}", "updated_at": time_of(version)}
    return news("products/create" if version == 1 else "products/update", body)


def time_of(version: int) -> str:
    """When a version was made, as Shopify writes it."""
    return f"2199-01-01T{version:02}:00:00-05:00"


def is_about_products(webhook: Webhook) -> bool:
    return (webhook.topic or "").startswith("products/")


def free_port() -> int:
    """A port for a listener that comes and goes."""
    rng = random.Random()
    while True:
        port = rng.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


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


def listen(daemon: DaemonProcess, port: int, **settings: Any) -> None:
    """Puts the webhook listener into the daemon's config."""
    configure(daemon, webhooks={"port": port, **settings})


def configure(daemon: DaemonProcess, **sections: Any) -> None:
    """Puts sections into the daemon's config; takes effect at its next start."""
    path = daemon.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | sections))


async def is_worked_off(folder: Path) -> None:
    """Returns once nothing waits in the inbox of a running daemon. No answer and no event tells of that, so it is
    looked up."""
    uri = f"file:{folder / 'fulfilld.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as store, anyio.fail_after(60):
        while store.execute("SELECT count(*) FROM webhooks WHERE processed_at IS NULL").fetchone() != (0,):  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def all_events(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """The whole feed."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        _, page = await daemon.call("GET", f"/v1/events?after={after}&limit=1000")
        if not page["events"]:
            return found
        found += page["events"]
        after = page["next"]


def of_types(events: Iterable[dict[str, Any]], *areas: str) -> list[dict[str, Any]]:
    """The events whose type begins with one of the areas (`order.`, `product.created`)."""
    return [event for event in events if event["type"].startswith(areas)]
