"""Webhooks of a platform as its `Platform.webhooks` says: hints, pings, senders, kinds and topics in its own words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from orchestrator.intake.notifications import notification_of
from orchestrator.intake.subscriptions import inspect
from orchestrator.platforms.failures import Rejected
from orchestrator.platforms.subscriptions import Subscription
from orchestrator.platforms.webhooks import Kind, OrderNotification, SignedWebhooks, usual_topic
from orchestrator.push.envelope import topic_of
from orchestrator.registry import PLATFORMS
from storage.records import Event
from tests.intake.front import front

ORDERS = "/webhooks/acme/orders"
PING = b"webhook_id=123"


def changed(monkeypatch: pytest.MonkeyPatch, **fields: object) -> None:
    """Shopify, with other webhooks."""
    platform = PLATFORMS["shopify"]
    assert isinstance(platform.webhooks, SignedWebhooks)
    other = replace(platform, webhooks=replace(platform.webhooks, **fields))  # type: ignore[arg-type]
    monkeypatch.setitem(PLATFORMS._loaded, "shopify", other)


@pytest.mark.parametrize(
    ("platform", "body", "order"),
    [
        ("selldone", {"basket": {"id": 5}, "id": 9}, "5"),
        ("selldone", {"order": {"id": 5}, "id": 9}, "5"),
        ("selldone", {"basket_id": "5", "order_id": 6}, "5"),
        ("cloudsuite", {"basket": {"id": 5}, "order_id": 6}, "6"),
        ("xsale", {"order": {"id": 7}}, "7"),
        ("selldone", {"event": "x"}, None),
        (None, {"id": 8}, "8"),
    ],
)
def test_a_hint_names_its_order_where_its_platform_says(platform: str | None, body: object, order: str | None) -> None:
    assert notification_of("hint", None, json.dumps(body).encode(), platform) == OrderNotification(order)


async def test_an_unsigned_ping_is_answered_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, is_ping=lambda _headers, body: body == PING)
    async with front(tmp_path, is_working=False) as it:
        with capture_logs() as logs:
            assert await it.post(ORDERS, PING) == 200
        assert [each["event"] for each in logs] == ["webhook.test"]
        assert await it.post(ORDERS, b"webhook_id=no") == 400
        assert await it.post(ORDERS, PING.ljust(2000)) == 400
        assert await it.post("/webhooks/nobody/orders", PING) == 404
        assert await it.rows() == 0


async def test_a_platform_without_pings_takes_none(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        assert await it.post(ORDERS, PING) == 400
        assert await it.rows() == 0


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("orders/updated", "order"),
        ("refunds/create", "order"),
        ("products/update", "product"),
        ("customers/redact", "other"),
        (None, "other"),
    ],
)
async def test_what_a_webhook_is_about_is_kept_with_it(tmp_path: Path, topic: str | None, kind: str) -> None:
    async with front(tmp_path, is_working=False) as it:
        assert await it.signed(topic, b'{"id": 1}') == 200
        rows = await it.floor.store.read(lambda tx: tx.query("SELECT kind FROM webhooks"))
        assert rows == [(kind,)]


async def test_topics_that_need_no_platform_are_decided_by_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform with other words: what it says is no order's does not wait for a shop that stands still."""
    changed(monkeypatch, kind=lambda topic: Kind.OTHER if topic == "coupon.created" else Kind.ORDER)
    async with front(tmp_path) as it:
        await it.floor.commands.pause("acme", None)
        assert await it.signed("coupon.created", b'{"id": 1}') == 200
        await it.worked_off()


def test_the_topic_of_an_event_is_in_its_platforms_words(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, topic_for=lambda type_: type_.replace("order.imported", "order.created"))

    def event(type_: str, **data: str) -> Event:
        return Event(1, 1, type_, "acme", "7", None, data)

    assert topic_of(event("order.imported", topic="order.updated"), "shopify") == "order.created"
    assert topic_of(event("order.updated", topic="order.paid"), "shopify") == "order.paid"
    for platform in ("selldone", "cloudsuite", "xsale", "gone", None):
        assert topic_of(event("order.imported"), platform) == "orders/create"
        assert topic_of(event("order.blocked"), platform) == "orders/updated"
        assert topic_of(event("target.reached"), platform) == usual_topic("target.reached") == "target.reached"


class Asked:
    """A client that remembers which secret it was asked to have webhooks signed with."""

    def __init__(self, *found: Subscription) -> None:
        self.found, self.secrets = list(found), set[str | None]()

    def addresses(self, base: str) -> dict[str, str]:
        return dict.fromkeys(("order.created", "order.updated"), f"{base}/orders")

    async def list_subscriptions(self) -> list[Subscription]:
        return self.found

    async def subscribe(self, topic: str, address: str, secret: str | None) -> bool:
        if secret is None:
            raise Rejected(f"{topic} at {address} needs a secret")
        self.secrets.add(secret)
        return True

    async def update_subscription(self, subscription: Subscription, secret: str | None) -> None:
        self.secrets.add(secret)

    async def order_of_part(self, part: str) -> str | None:
        return None


async def test_a_platform_gets_the_secret_to_sign_with() -> None:
    client = Asked(Subscription("1", "order.updated", "https://hooks.example/orders", is_readable=False))
    found = await inspect(client, "https://hooks.example", "s3cret")
    assert (found.made, client.secrets) == (("order.created", "order.updated"), {"s3cret"})
    refused = await inspect(Asked(), "https://hooks.example")
    assert set(refused.missing) == {"order.created", "order.updated"}
