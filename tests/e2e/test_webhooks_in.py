"""Webhooks into the real daemon: a burst, senders that lie, bodies without a topic, and TLS.

Syncs are switched off, so that nothing but a webhook can import an order.
"""

from __future__ import annotations

import json
import random
import ssl
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.certificate import make_certificate
from tests.support.shopify_scene import NOTHING, imports, of_types, scene
from tests.support.shopify_sender import Sender, Webhook, fulfillment, order, product

pytestmark = pytest.mark.e2e

GUIDE = Path(__file__).parents[1] / "samples" / "shopify"
UTC_OF = {version: f"2199-01-01T{version + 5:02}:00:00.000Z" for version in range(1, 10)}
MAX_BODY_BYTES = 2 * 1024 * 1024
FIRST_FULFILLMENT, FIRST_PRODUCT = 5_000, 7_000


def _reported_versions(events: Sequence[dict[str, Any]], area: str) -> dict[str, list[str]]:
    """The versions of each product or fulfilment, as the feed reported them; a `create` comes first."""
    found: dict[str, list[str]] = {}
    for event in of_types(events, f"{area}."):
        versions = found.setdefault(event["data"]["id"], [])
        is_made = event["data"]["topic"].endswith("/create")
        assert event["type"] == (f"{area}.created" if is_made else f"{area}.updated")
        assert not (is_made and versions)
        versions.append(event["data"]["updated_at"])
    return found


def _with_repeats(webhooks: Sequence[Webhook], count: int, rng: random.Random) -> list[Webhook]:
    """Half of the repeats are the same message again, half the same event in another message; all shuffled."""
    same = rng.sample(webhooks, count // 2)
    other = [each.again(f"{each.id}-again") for each in rng.sample(webhooks, count - count // 2)]
    mixed = [*webhooks, *same, *other]
    rng.shuffle(mixed)
    return mixed


async def test_a_burst_of_300_with_repeats_out_of_order_shows_everything_once(tmp_path: Path) -> None:
    rng = random.Random(7)
    async with scene(tmp_path) as it:
        await it.start()
        unique: list[Webhook] = []
        for number, order_id in enumerate(it.orders):
            unique += [order("orders/create", order_id), *(order("orders/updated", order_id, v) for v in (2, 3))]
            unique += [fulfillment(FIRST_FULFILLMENT + number, order_id, version) for version in (1, 2)]
            unique += [product(FIRST_PRODUCT + number, version) for version in (1, 2, 3)]
        burst = _with_repeats(unique, 100, rng)
        assert len(burst) == 300
        assert Counter(await it.sender.burst(burst)) == {200: 300}

        events = await it.worked_off()
        assert imports(events) == sorted(it.orders) == await it.known_orders()
        for area, newest, first in (("fulfillment", 2, FIRST_FULFILLMENT), ("product", 3, FIRST_PRODUCT)):
            reported = _reported_versions(events, area)
            assert sorted(reported) == [str(first + number) for number in range(25)]
            for versions in reported.values():  # an older one that came later is reported no more
                assert versions == sorted(set(versions))
                assert versions[-1] == UTC_OF[newest]
        products = await it.products()
        assert len(products) == 25
        for name, found in products.items():
            assert json.dumps(found["payload"]).encode() == product(int(name), 3).body
            assert found["title"] == f"Mug {name}, version 3"
        assert of_types(events, "import.") == []
        assert it.is_silent()


async def test_versions_that_come_in_order_are_reported_once_each(tmp_path: Path) -> None:
    async with scene(tmp_path, orders=5) as it:
        await it.start()

        async def send(versions: Sequence[Webhook]) -> None:
            for each in versions:
                for repeat in (each, each, each.again(f"{each.id}-again")):
                    assert await it.sender.send(repeat) == 200

        async with anyio.create_task_group() as group:
            for number, order_id in enumerate(it.orders):
                group.start_soon(send, [fulfillment(FIRST_FULFILLMENT + number, order_id, v) for v in (1, 2, 3)])
                group.start_soon(send, [product(FIRST_PRODUCT + number, v) for v in (1, 2, 3)])
        events = await it.worked_off()
        for area in ("fulfillment", "product"):
            reported = _reported_versions(events, area)
            assert len(reported) == 5
            assert all(versions == [UTC_OF[v] for v in (1, 2, 3)] for versions in reported.values())


# -- senders that lie --------------------------------------------------------------------------------------------------


async def _raw(port: int, head: str, body: bytes = b"", *, hangs_up: bool = False) -> bytes:
    """Sends bytes and hangs up, or waits for what comes back: the beginning of an answer, or nothing."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(head.encode() + b"\r\n" + body)
        with anyio.fail_after(120), suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            if not hangs_up:
                return await stream.receive()
    return b""


def _head(shop: str, webhook: Webhook, *lengths: str, left_out: Sequence[str] = ()) -> str:
    headers = [f"{name}: {value}" for name, value in webhook.headers().items() if name not in left_out]
    lines = [f"POST /webhooks/{shop}/orders HTTP/1.1", "Host: hooks.example", *headers, *lengths]
    return "".join(f"{line}\r\n" for line in lines)


async def test_what_is_forged_cut_or_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, orders=2, read_timeout_seconds=0.5) as it:
        await it.start()
        genuine = order("orders/create", it.orders[0])
        altered = replace(genuine, body=genuine.body.replace(b"2199", b"2198"))
        mug = product(FIRST_PRODUCT)
        redact = Webhook("customers/redact", b'{"shop_id": 1, "customer": {"id": 2}}', "w1", "e1")
        for forged in (genuine, mug, fulfillment(FIRST_FULFILLMENT, it.orders[0]), redact):
            assert await it.sender.send(forged, secret="a-guess") == 401
        assert await it.sender.send(genuine, secret="sandbox-secret-2") == 401, "another shop's secret"
        assert await Sender("nobody", it.port).send(genuine) == 404
        assert await it.sender.send(replace(genuine, body=b"")) == 400
        assert await it.sender.send(replace(mug, body=b" " * (MAX_BODY_BYTES + 1))) == 413

        size, close = f"Content-Length: {len(genuine.body)}", "Connection: close"
        unsigned = _head(it.shop, genuine, size, close, left_out=["X-Shopify-Hmac-Sha256"])
        assert b" 400 " in (await _raw(it.port, unsigned, genuine.body))[:20]
        signed = _head(it.shop, genuine, size, close)
        assert b" 401 " in (await _raw(it.port, signed, altered.body))[:20]
        chunk = f"{len(genuine.body):x}\r\n".encode() + genuine.body + b"\r\n"  # the end is missing
        for lengths, body in (
            (f"Content-Length: {len(genuine.body) + 1}", genuine.body),
            ("Content-Length: 1000000", genuine.body),
            ("Transfer-Encoding: chunked", chunk),
        ):
            await _raw(it.port, _head(it.shop, genuine, lengths), body, hangs_up=True)
            answer = await _raw(it.port, _head(it.shop, genuine, lengths), body)
            assert b" 408 " in answer[:20], "who never says the rest"
        broken = _head(it.shop, genuine, "Transfer-Encoding: chunked")
        assert b" 400 " in (await _raw(it.port, broken, b"no size\r\n"))[:20]
        assert await it.outcome() == NOTHING

        assert await it.sender.send(genuine) == 200, "none of that stands in the way of the genuine one"
        assert await it.sender.send(redact) == 200
        assert imports(await it.worked_off()) == [it.orders[0]]
        assert it.is_silent()


async def test_nothing_but_webhooks_is_served_on_their_port(tmp_path: Path) -> None:
    async with scene(tmp_path, orders=1) as it:
        await it.start()
        for path in ("/v1/status", "/metrics", "/", f"/webhooks/{it.shop}"):
            head = f"GET {path} HTTP/1.1\r\nHost: hooks.example\r\nConnection: close\r\n"
            assert b" 404 " in (await _raw(it.port, head))[:20]


async def test_the_daemon_shows_which_webhooks_the_platform_does_not_send(tmp_path: Path) -> None:
    async with scene(tmp_path, orders=1) as it:
        await it.start()
        found = None
        with anyio.fail_after(120):
            while found is None:  # the look comes some time after the start, and no event follows it
                _, view = await it.daemon.call("GET", f"/v1/shops/{it.shop}")
                found = view["webhooks"]
                await anyio.sleep(0.02)
        assert "orders/create" in found["missing"]


async def test_late_webhooks_and_replays_change_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, orders=2) as it:
        await it.start()
        known = it.orders[0]
        parcel, mug = fulfillment(FIRST_FULFILLMENT, known, 3), product(FIRST_PRODUCT, 3)
        for each in (order("orders/create", known), parcel, mug):
            assert await it.sender.send(each) == 200
        before, products = await it.worked_off(), await it.products()
        reads = len(it.sandbox.ledger.calls(order=known, step="read"))

        old = json.dumps({"id": int(known), "updated_at": "2001-01-01T00:00:00Z", "line_items": []}).encode()
        for stale in (
            Webhook("orders/updated", old, "w-old", "e-old"),
            product(FIRST_PRODUCT, 1),
            product(FIRST_PRODUCT, 2),
        ):
            assert await it.sender.send(stale) == 200
        assert await it.worked_off() == before
        assert len(it.sandbox.ledger.calls(order=known, step="read")) == reads
        for replayed in (parcel, mug):  # whoever has a genuine body can send it under other ids: those are not signed
            for id_, event, topic in (
                (replayed.id, replayed.event, replayed.topic),
                ("w-other", "e-other", replayed.topic),
                (None, None, None),
            ):
                assert await it.sender.send(replace(replayed, id=id_, event=event, topic=topic)) == 200
        assert await it.sender.send(fulfillment(FIRST_FULFILLMENT, known, 2)) == 200
        assert await it.worked_off() == before
        assert await it.products() == products
        assert (await it.daemon.call("GET", "/v1/rejected"))[1]["rejected"] == []


# -- shapes, topics, TLS -----------------------------------------------------------------------------------------------


async def test_the_guides_bodies_of_2019_are_recognised_by_their_shape_on_either_address(tmp_path: Path) -> None:
    samples = {kind: (GUIDE / f"guide2019_{kind}_create.json").read_bytes() for kind in _AREAS}
    order_id = str(json.loads(samples["orders"])["id"])
    async with scene(tmp_path, orders=10) as it:
        assert order_id in it.orders
        await it.start()
        for kind, body in samples.items():
            assert await it.sender.send(Webhook(None, body)) == 200, kind
        events = await it.worked_off()
        assert imports(events) == [order_id]
        (parcel,) = of_types(events, "fulfillment.created")
        assert (parcel["order"], parcel["data"]["id"], parcel["data"]["status"]) == (order_id, "123456", "pending")
        assert parcel["data"]["updated_at"] == "2019-03-06T19:33:46.000Z"
        (product_event,) = of_types(events, "product.created")
        (found,) = (await it.products()).values()
        assert product_event["data"]["id"] == found["id"] == "788032119674292922"
        assert (found["title"], found["updated_at"]) == ("Example T-Shirt", None)
        assert found["payload"] == json.loads(samples["products"])


_AREAS = ("orders", "fulfillments", "products")


async def test_compliance_topics_are_answered_200_and_nothing_follows(tmp_path: Path) -> None:
    async with scene(tmp_path, orders=1) as it:
        await it.start()
        for topic in ("customers/data_request", "customers/redact", "shop/redact", "app/uninstalled"):
            body = json.dumps({"shop_id": 954889, "shop_domain": "shopy1.myshopify.com", "topic": topic}).encode()
            webhook = Webhook(topic, body, f"w-{topic}", f"e-{topic}")
            assert await it.sender.send(webhook) == 200
            assert await it.sender.send(webhook, secret="a-guess") == 401
        assert await it.outcome() == NOTHING


async def test_the_listener_shows_its_certificate_and_takes_webhooks_over_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    tls = {"certificate": certificate.name, "key": key.name}
    async with scene(tmp_path, orders=1, tls=tls) as it:
        await it.start()
        trusting = ssl.create_default_context(cafile=str(certificate))
        sender = Sender(it.shop, it.port, "https", trusting)
        assert await sender.send(order("orders/create", it.orders[0])) == 200
        assert await sender.send(order("orders/create", it.orders[0]), secret="a-guess") == 401
        assert imports(await it.worked_off()) == it.orders
        assert await it.sender.send(product(FIRST_PRODUCT)) is None, "no webhook comes in in the clear"
        old = ssl.create_default_context(cafile=str(certificate))
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
        assert await Sender(it.shop, it.port, "https", old).send(product(FIRST_PRODUCT)) == 200
        assert await it.daemon.terminate() == 0
