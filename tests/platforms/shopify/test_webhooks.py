"""What a Shopify webhook is taken for: genuine or not, its topic, its order, its product."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.base import signing
from orchestrator.platforms.shopify import webhooks
from orchestrator.platforms.shopify.webhook_content import webhook_content

_SAMPLES = Path(__file__).parents[2] / "samples" / "shopify"


def sample(name: str) -> Any:
    return json.loads((_SAMPLES / f"{name}.json").read_text())


def test_the_published_signature_is_accepted_and_any_other_is_not() -> None:
    vector = sample("webhook_hmac_test_vector")
    raw, signature = base64.b64decode(vector["body_base64"]), vector["x_shopify_hmac_sha256"]
    assert signing.verify(raw, signature, [vector["secret"]])
    assert not signing.verify(raw + b" ", signature, [vector["secret"]])
    assert not signing.verify(raw, signature, ["another"])
    assert not signing.verify(raw, "", [vector["secret"]])
    assert not signing.verify(raw, "Grüße", [vector["secret"]])


def test_after_a_rotation_either_secret_signs_and_no_secret_signs_nothing() -> None:
    signature = signing.signature_of(b"{}", "old")
    assert signing.verify(b"{}", signature, ["new", "old"])
    assert signing.verify(b"{}", f" {signature}\n", ["old", "new"])
    assert not signing.verify(b"{}", signature, [])
    assert not signing.verify(b"{}", signing.signature_of(b"{}", ""), [""])


def test_the_header_decides_the_topic_whatever_its_case_and_prefix() -> None:
    body = sample("webhook_orders_create")
    assert webhooks.topic_of({"X-Shopify-Topic": "orders/paid"}, body) == "orders/paid"
    assert webhooks.topic_of({"x-shopify-topic": "orders/paid"}, None) == "orders/paid"
    assert webhooks.topic_of({"shopify-topic": "ORDERS/paid"}, body) == "orders/paid"
    assert webhooks.topic_of({"X-Shopify-Topic": "../etc"}, body) is None


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("guide2019_orders_create", "orders/create"),
        ("guide2019_fulfillments_create", "fulfillments/create"),
        ("guide2019_products_create", "products/create"),
    ],
)
def test_bodies_of_the_guide_are_recognised_by_their_shape(name: str, topic: str) -> None:
    assert webhooks.topic_of({}, sample(name)) == topic


@pytest.mark.parametrize("body", [None, [], {}, {"id": 1}, {"id": 1.5, "variants": [], "body_html": ""}])
def test_a_body_without_a_shape_has_no_topic(body: Any) -> None:
    assert webhooks.topic_of({}, body) is None


def test_a_gid_is_trusted_over_the_number_beside_it() -> None:
    assert webhooks.order_id_of("orders/create", sample("webhook_orders_create")) == "820982911946154508"
    found = webhooks.product_of(sample("webhook_products_create"))
    assert found is not None
    assert (found.id, found.title) == ("788032119674292922", "Example T-Shirt")


@pytest.mark.parametrize(
    ("topic", "name", "order"),
    [
        ("orders/create", "guide2019_orders_create", "820982911946154508"),
        ("orders/edited", "webhook_orders_edited", "820982911946154500"),
        ("returns/request", "webhook_returns_request", "4783296544821"),
        ("fulfillments/create", "guide2019_fulfillments_create", "820982911946154508"),
    ],
)
def test_an_order_is_named_by_whole_numbers_where_there_is_no_gid(topic: str, name: str, order: str) -> None:
    assert webhooks.order_id_of(topic, sample(name)) == order


@pytest.mark.parametrize("order_id", [8.2e17, True, None, -1, 0, "", "12x", "١٢"])
def test_what_is_no_whole_number_is_no_id(order_id: Any) -> None:
    assert webhooks.order_id_of("fulfillments/create", {"order_id": order_id}) is None


def test_a_time_is_read_with_its_offset_and_its_nanoseconds() -> None:
    assert webhooks.updated_at_ms({"updated_at": "2019-03-06T14:33:46-05:00"}) == 1_551_900_826_000
    assert webhooks.time_ms("2026-10-04T12:00:00.123456789Z") == 1_791_115_200_123
    assert webhooks.updated_at_ms({"updated_at": "2019-03-06T14:33:46"}) is None
    assert webhooks.updated_at_ms({"updated_at": None}) is None


def test_topics_are_named_for_graphql() -> None:
    assert webhooks.topic_enum("orders/partially_fulfilled") == "ORDERS_PARTIALLY_FULFILLED"


def test_a_body_without_lines_does_not_say_that_there_are_none() -> None:
    """`includeFields` may leave them out."""
    assert "lines" not in webhook_content({"id": 1, "taxes_included": True})
    assert webhook_content({"id": 1, "taxes_included": True, "line_items": []})["lines"] == []
