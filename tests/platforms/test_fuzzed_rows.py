"""Whatever is done to one row of a list, as long as its brackets close, the rows beside it come through as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import Clock
from orchestrator.platforms import woocommerce
from orchestrator.platforms.base.listing import array_listing, single_of
from orchestrator.platforms.client import OrderSnapshot, UnreadableItem
from orchestrator.platforms.cloudsuite import wire as cloudsuite
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.field_map import FieldMap
from orchestrator.platforms.selldone import wire as selldone
from orchestrator.platforms.shopify import listing as shopify
from orchestrator.platforms.xsale import wire as xsale
from orchestrator.platforms.xsale.content import ASSUMED
from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.platforms.xsale.statuses import StatusTable
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Stock
from orchestrator.sandbox.woocommerce import WooCommercePlatform

SAMPLES = Path(__file__).parents[1] / "samples"


class Listed(NamedTuple):
    """What a page's reader made of it: what could be read of each row, and what could not."""

    read: list[Any]
    unreadable: tuple[UnreadableItem, ...]


class Case(NamedTuple):
    """A platform's list: the row that is spoilt, how a page is put around rows, and the reader of pages."""

    row: dict[str, Any]
    page: Callable[[str], str]
    read: Callable[[bytes], Listed]


def sample(platform: str, name: str) -> Any:
    return json.loads((SAMPLES / platform / f"{name}.json").read_bytes())


TABLE = StatusTable.of(sample("xsale", "statuses_response_assumed"))
CLOUDSUITE = cloudsuite.Reading(ZoneInfo("Europe/Amsterdam"), checks_payment=True, fields=FieldMap({}))
XSALE = xsale.Reading(FieldMap(ASSUMED), XsaleOptions.model_fields["payments"].default, ("Nowe", "Wysłane"))


def _selldone(body: bytes) -> Listed:
    found = selldone.read_listing(body)
    return Listed(list(found.orders), found.unreadable)


def _cloudsuite(body: bytes) -> Listed:
    found = cloudsuite.read_listing(body)
    return Listed(list(found.rows), found.unreadable)


def _xsale(body: bytes) -> Listed:
    found = xsale.read_listing(body, XSALE, TABLE)
    return Listed(list(found.orders), found.unreadable)


def _shopify(body: bytes) -> Listed:
    found = shopify.read_listing(body)
    return Listed(list(found.rows), found.unreadable)


def _woocommerce(body: bytes) -> Listed:
    found = array_listing(body, woocommerce.read_order)
    return Listed(list(found.orders), found.unreadable)


def _woocommerce_row() -> dict[str, Any]:
    clock = Clock()
    simulated = WooCommercePlatform(
        clock, Ledger(clock), WooCommercePlatform.options(), Stock(orders=1, seed=1, shops=1)
    )
    (order_id,) = simulated.shop.orders
    return dict(json.loads(simulated.shop.shown(order_id)))


_SHOPIFY_ROW = {
    "id": "gid://shopify/Order/820982911946154501",
    "name": "#1001",
    "updatedAt": "2026-11-30T08:36:02Z",
    "createdAt": "2026-11-30T08:36:02Z",
    "processedAt": None,
    "closedAt": None,
    "cancelledAt": None,
    "displayFulfillmentStatus": "UNFULFILLED",
}
CASES = {
    "selldone": Case(
        sample("selldone", "order_checkqueue"), lambda rows: f'{{"orders": [{rows}], "total": 3}}', _selldone
    ),
    "cloudsuite": Case(
        sample("cloudsuite", "order_confirmed_paid_assembled"),
        lambda rows: f'{{"count": 3, "next": null, "results": [{rows}]}}',
        _cloudsuite,
    ),
    "xsale": Case(sample("xsale", "order_assumed"), lambda rows: f'{{"Items": [{rows}], "Total": 3}}', _xsale),
    "woocommerce": Case(_woocommerce_row(), lambda rows: f"[{rows}]", _woocommerce),
    "shopify": Case(
        _SHOPIFY_ROW,
        lambda rows: f'{{"data": {{"orders": {{"nodes": [{rows}], "pageInfo": {{"hasNextPage": false}}}}}}}}',
        _shopify,
    ),
}

RAW = st.sampled_from(
    [
        *('"0001-01-01T00:00:00"', '"9999-12-31T23:59:59-12:00"', "1e9999999", '"1e9999999"', "NaN", "-Infinity"),
        *(r'"\ud83d"', r'{"\udc00": "\u0000"}', "9" * 5000, "[" * 3000 + "]" * 3000, "undefined", '"a\nb"', "1.", "+1"),
        *('{"a" 1}', r'"\x"', "1 2", "", "\udcff", '"\udcff"', "-9223372036854775809", '1, "id": 7'),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
VALUES = RAW | JSON.map(json.dumps)


@st.composite
def spoilt(draw: st.DrawFn, row: dict[str, Any]) -> str:
    """The row as text with something else somewhere in it, up to three times."""
    row = json.loads(json.dumps(row))
    raws: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        place: Any = row
        while True:
            name = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if not (isinstance(place[name], dict | list) and place[name] and draw(st.booleans())):
                break
            place = place[name]
        place[name] = f"@@{len(raws)}@@"
        raws.append(draw(VALUES))
    text = json.dumps(row)
    for n, raw in enumerate(raws):
        text = text.replace(f'"@@{n}@@"', raw)
    return text


@pytest.mark.parametrize("platform", CASES)
@given(data=st.data())
def test_the_rows_beside_a_spoilt_one_come_through(platform: str, data: st.DataObject) -> None:
    case = CASES[platform]
    whole = json.dumps(case.row)
    (alone,) = case.read(case.page(whole).encode()).read
    bad = data.draw(spoilt(case.row))
    found = case.read(case.page(f"{whole}, {bad}, {whole}").encode("utf-8", "surrogateescape"))
    assert len(found.read) + len(found.unreadable) == 3
    assert found.read[0] == alone
    assert found.read[-1] == alone
    for item in found.unreadable:
        assert item.payload == bad.encode("utf-8", "surrogateescape").strip()
        item.error.encode()
    for snapshot in found.read:
        if isinstance(snapshot, OrderSnapshot):
            json.dumps([snapshot.facts, snapshot.content, snapshot.reference], ensure_ascii=False).encode()
            snapshot.payload.decode()


@given(data=st.data())
def test_a_spoilt_order_is_read_or_unreadable_and_nothing_else(data: st.DataObject) -> None:
    platform = data.draw(st.sampled_from(["selldone", "cloudsuite", "xsale", "woocommerce"]))
    body = data.draw(spoilt(CASES[platform].row)).encode("utf-8", "surrogateescape")
    with suppress(Unreadable):
        match platform:
            case "selldone":
                selldone.read_single(body)
            case "cloudsuite":
                cloudsuite.read_single(body, CLOUDSUITE)
            case "woocommerce":
                single_of(body, woocommerce.read_order)
            case _:
                xsale.read_single(body, XSALE, TABLE)
