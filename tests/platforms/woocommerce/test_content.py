"""What the ERP is given of a WooCommerce order: net amounts with their tax, fees, coupons, refunds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.platforms.base.listing import single_of
from orchestrator.platforms.completion import completed
from orchestrator.platforms.fields import InvalidOrder
from orchestrator.platforms.woocommerce import read_order
from orchestrator.testing.stage import staged

PLATFORM = "woocommerce"


def read(**changes: Any) -> Any:
    order = {"id": 7, "status": "processing", "number": "7", **changes}
    return read_order(order, json.dumps(order).encode())


async def test_the_parts_add_up_to_the_total() -> None:
    async with staged(PLATFORM) as stage:
        found: Any = completed((await stage.client.read(stage.order)).content)
        assert found["balanced"] is True
        mug, _, wrap = found["lines"]
        assert (mug["kind"], wrap["kind"], wrap["name"]) == (None, "fee", "Gift wrap")
        assert mug["unit_price"] == {"net": "12.50", "gross": None, "stated": None}
        assert mug["discount"] == {"net": "5.00", "gross": None, "stated": None}
        assert mug["tax"] == [{"name": "VAT", "rate": "0.19", "amount": "3.80"}]
        assert found["discounts"][0]["code"] == "five"
        assert found["delivery"]["cost"]["net"] == "4.90"
        assert found["buyer"]["guest"] is True
        assert found["payment"]["status"] == "paid"


def test_a_price_that_cannot_be_written_exactly_is_a_gap_and_nothing_that_the_shop_gave() -> None:
    lines = [{"id": 1, "quantity": 3, "subtotal": "10.00", "total": "10.00"}]
    found: Any = completed(read(line_items=lines, total="10.00").content)
    assert found["lines"][0]["unit_price"] == {"net": None, "gross": None, "stated": None}
    assert {f"/lines/*/unit_price/{basis}" for basis in ("net", "gross", "stated")} <= set(found["gaps"])
    assert (found["totals"]["lines"], found["balanced"]) == ("10.00", True)


async def test_refunds_are_returns_with_their_amounts() -> None:
    async with staged(PLATFORM) as stage:
        stage.operate("refund", order=stage.order, amount="3.50")
        found = await stage.client.read(stage.order)
        assert found.content["totals"]["refunded"] == "3.50"
        assert found.content["payment"]["status"] == "partly_refunded"
        ((returned, fact),) = zip(found.content["returns"], found.facts["returns"], strict=True)
        assert (returned["state"], returned["refund"], fact["id"]) == ("refunded", "3.50", returned["id"])
        stage.operate("refund", order=stage.order)
        whole = await stage.client.read(stage.order)
        assert (whole.state, whole.content["payment"]["status"]) == ("refunded", "refunded")
        assert whole.content["totals"]["refunded"] == whole.content["totals"]["total"]


@pytest.mark.parametrize(
    ("fields", "payment"),
    [
        ({"date_paid_gmt": "2026-11-30T10:00:00", "payment_method": "cod"}, "paid"),
        ({"date_paid_gmt": None, "payment_method": "cod"}, "invoice"),
        ({"date_paid_gmt": None, "payment_method": "bacs", "status": "on-hold"}, "unpaid"),
    ],
)
def test_payment_is_by_its_date(fields: dict[str, Any], payment: str) -> None:
    found = read(**fields)
    assert found.payment == found.content["payment"]["status"] == payment


@pytest.mark.parametrize(("percent", "rate"), [(19, "0.19"), (7.7, "0.077"), (0, "0"), (None, None)])
def test_a_rate_is_a_fraction(percent: float | None, rate: str | None) -> None:
    line = {"id": 1, "quantity": 1, "subtotal": "1", "total": "1", "taxes": [{"id": 5, "total": "0.19"}]}
    order = {
        "id": 7,
        "status": "processing",
        "line_items": [line],
        "tax_lines": [{"rate_id": 5, "rate_percent": percent}],
    }
    found = single_of(json.dumps(order).encode(), read_order)
    assert found.content["lines"][0]["tax"] == [{"name": None, "rate": rate, "amount": "0.19"}]
    assert json.dumps(found.content)


def test_a_fee_below_zero_and_a_price_that_is_no_exact_quotient() -> None:
    line = {"id": 1, "quantity": 3, "subtotal": "10.00", "subtotal_tax": "0.00", "total": "10.00", "total_tax": "0.00"}
    fee = {"id": 2, "name": "Bonus", "total": "-2.00", "total_tax": "-0.38"}
    first, second = read(line_items=[line], fee_lines=[fee]).content["lines"]
    assert first["unit_price"] == {}
    assert second["unit_price"] == {"net": "-2.00", "gross": None, "stated": None}
    assert second["discount"]["net"] == "0.00"


def test_metadata_of_plugins_stays_inside_and_parcels_of_theirs_are_shown() -> None:
    parcels = [
        {"tracking_id": "a1", "tracking_number": "T1", "tracking_provider": "", "custom_tracking_provider": "DHL"}
    ]
    meta = [
        {"id": 1, "key": "_wc_shipment_tracking_items", "value": parcels},
        {"id": 2, "key": "gift", "value": "yes"},
        {"id": 3, "key": "_stripe_source", "value": "src_1"},
    ]
    found = read(meta_data=meta)
    assert found.content["attributes"] == {"gift": "yes"}
    assert found.content["parcels"] == [{"id": "a1", "carrier": "DHL", "numbers": ["T1"]}]
    assert found.facts["trackings"] == ["T1"]


def test_an_order_without_a_status_is_invalid() -> None:
    with pytest.raises(InvalidOrder, match="status"):
        read(status=None)
