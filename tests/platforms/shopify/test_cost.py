"""What our documents cost at Shopify, estimated, and that none costs more than a query may."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.platforms.shopify.graphql import SINCE, document, document_names
from tests.platforms.shopify.cost import cost_of
from tests.platforms.shopify.schema import VERSIONS, admin_schema

MOST = 1000
"""Points of a single query (shopify.md §8)."""
BUCKET = 2000
PAGE = {"first": 250}

ANSWERED = [
    ("{ returnReasonDefinitions(first: 10) { nodes { id name handle deleted } } }", 6),
    ("{ returnReasonDefinitions(first: 20) { nodes { id name handle deleted } } }", 7),
    ("{ locations(first: 100, includeInactive: true) { nodes { id isActive } } }", 11),
    ("{ blogs(first: 250) { nodes { id handle } pageInfo { hasNextPage endCursor } } }", 13),
    ("{ articles(first: 250) { nodes { id handle blog { id } } pageInfo { hasNextPage endCursor } } }", 24),
    ("{ customers(first: 2) { edges { cursor node { email tags } } nodes { email tags } } }", 4),
    (
        "query($id: ID!) { order(id: $id) { fulfillmentOrders(first: 10) { nodes { supportedActions { action } } } } }",
        11,
    ),
    ("query($id: ID!) { product(id: $id) { variants(first: 250) { nodes { inventoryItem { id tracked } } } } }", 25),
    ("{ companies(first: 3) { nodes { id locations(first: 2) { nodes { id name } } } pageInfo { hasNextPage } } }", 10),
    ("{ shop { shopAddress { countryCodeV2 } } }", 1),
    ("{ companiesCount { count precision } }", 10),
]
"""Queries whose requestedQueryCost Shopify answered in public (API 2025-01 and 2026-04)."""


@pytest.mark.parametrize(("text", "points"), ANSWERED)
def test_the_estimate_is_what_shopify_answered(text: str, points: int) -> None:
    assert cost_of(text, admin_schema("2026-04")) == points


SENT = [(name, version) for name in document_names() for version in VERSIONS if version >= SINCE.get(name, version)]


@pytest.mark.parametrize(("name", "version"), SENT)
def test_no_document_costs_more_than_a_query_may(name: str, version: str) -> None:
    assert cost_of(document(name), admin_schema(version), PAGE) <= MOST


def test_a_read_of_an_order_costs_what_the_docs_say_and_leaves_room_for_others() -> None:
    points = cost_of(document("order"), admin_schema())
    page = (Path(__file__).parents[3] / "docs" / "platforms" / "shopify.md").read_text()
    assert f"about {points} points" in page
    assert points * 4 <= BUCKET


def test_no_further_page_costs_more_than_the_first() -> None:
    first = cost_of(document("order"), admin_schema())
    pages = ("order_lines", "order_shipping_lines", "order_discounts", "order_fulfillment_orders", "order_returns")
    assert all(cost_of(document(name), admin_schema()) < first for name in pages)
