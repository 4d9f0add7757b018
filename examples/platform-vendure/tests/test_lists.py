"""A list of Vendure's orders, without a server: those that cannot be read are named all the same."""

from __future__ import annotations

import json

import pytest

from platform_vendure.client import read_listing


@pytest.mark.parametrize("order_id", ["7", "0196b3a2-5c0d-7aaa-8bbb-0123456789ab"])
def test_an_order_that_cannot_be_read_is_named_whatever_ids_the_server_gives(order_id: str) -> None:
    orders = {"items": [{"id": order_id, "state": ["?"]}], "totalItems": 1}
    settings = {"serverConfig": {"moneyStrategyPrecision": 2}}
    (item,) = read_listing(json.dumps({"data": {"orders": orders, "globalSettings": settings}}).encode()).unreadable
    assert item.id == order_id
