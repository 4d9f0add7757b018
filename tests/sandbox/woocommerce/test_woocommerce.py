"""The simulated WooCommerce: what its documentation and its source say, asked with nothing of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest

from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Incoming, Operation, PanelError, Reply, Stock
from orchestrator.sandbox.woocommerce import SandboxOptions, WooCommercePlatform
from tests.sandbox.probe import HandClock
from tests.sandbox.receiver import Receiver, receiving


@dataclass(slots=True)
class Caller:
    """A bare client of the first shop."""

    time: HandClock
    platform: WooCommercePlatform
    ledger: Ledger
    key: str
    root: str = "/shop-1/wp-json"
    query: dict[str, str] = field(default_factory=dict)

    @property
    def order(self) -> str:
        return self.platform.order_ids()[0]

    def open(self, method: str, path: str, body: Any = None, **query: Any) -> Operation:
        auth = base64.b64encode(self.key.encode()).decode()
        headers = {"Authorization": f"Basic {auth}", "Host": "shops.example.com"} if self.key else {}
        raw = json.dumps(body).encode() if body is not None else b""
        return self.platform.open(Incoming(method, f"{self.root}{path}", urlencode(query), headers, raw))

    def reply(self, method: str, path: str, body: Any = None, **query: Any) -> Reply:
        return self.open(method, path, body, **query).act()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        reply = self.reply(method, path, body, **query)
        return reply.status, json.loads(reply.body)

    def orders(self, **query: Any) -> list[int]:
        status, found = self.call("GET", "/wc/v3/orders", **query)
        assert status == 200, found
        return [each["id"] for each in found]

    def read(self) -> Any:
        status, order = self.call("GET", f"/wc/v3/orders/{self.order}")
        assert status == 200
        return order

    def put(self, status: str, order: str | None = None) -> Reply:
        return self.reply("PUT", f"/wc/v3/orders/{order or self.order}", {"status": status})

    def operate(self, action: str, **fields: Any) -> Any:
        return self.platform.operate({"action": action, "order": self.order, **fields})


def caller(*, orders: int = 3, shops: int = 1, **options: Any) -> Caller:
    time = HandClock()
    ledger = Ledger(time.clock())
    platform = WooCommercePlatform(time.clock(), ledger, SandboxOptions(**options), Stock(orders, 1, shops))
    (_, shop), *_ = platform.shops("http://sandbox.example").items()
    return Caller(time, platform, ledger, ":".join(shop["credentials"].values()))


# -- access ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "woocommerce_rest_cannot_view"),
        ("ck_nobody:cs_sandbox-secret-1", "woocommerce_rest_cannot_view"),
        ("ck_shop-2:cs_sandbox-secret-2", "woocommerce_rest_cannot_view"),
        ("ck_shop-1:cs_sandbox-secret-2", "woocommerce_rest_authentication_error"),
    ],
)
def test_a_key_opens_its_own_shop_alone(key: str, code: str) -> None:
    one = caller(shops=2)
    good, one.key = one.key, key
    for method, path in (("GET", "/wc/v3/orders"), ("PUT", f"/wc/v3/orders/{one.order}"), ("POST", "/wc/v3/webhooks")):
        status, answer = one.call(method, path, {"status": "completed"})
        assert (status, answer["code"], answer["data"]["status"]) == (401, code, 401)
    one.key = good
    assert one.read()["status"] == "processing"


def test_shops_of_one_host_lie_in_folders() -> None:
    one = caller(shops=2)
    assert {shop["base_url"] for shop in one.platform.shops("http://h").values()} == {
        "http://h/woocommerce/shop-1",
        "http://h/woocommerce/shop-2",
    }
    one.root = "/shop-9/wp-json"
    assert (one.reply("GET", "/wc/v3/orders").status, one.open("GET", "/wc/v3/orders").shop) == (404, "")


def test_plain_permalinks_know_no_paths() -> None:
    one = caller(is_plain=True)
    answer = one.reply("GET", "/wc/v3/orders")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html")
    one.root = "/shop-1"
    assert len(one.call("GET", "/", rest_route="/wc/v3/orders", per_page=2)[1]) == 2
    assert one.call("PUT", "/", {"status": "completed"}, rest_route=f"/wc/v3/orders/{one.order}")[0] == 200


def test_a_route_of_no_plug_in_is_no_route() -> None:
    path = f"/wc-shipment-tracking/v3/orders/{caller().order}/shipment-trackings"
    assert caller().call("GET", path) == (200, [])
    status, answer = caller(has_tracking=False).call("GET", path)
    assert (status, answer["code"]) == (404, "rest_no_route")
    assert caller().call("POST", f"/wc/v3/orders/{caller().order}/refunds", {})[1]["code"] == "rest_no_route"


# -- the list ----------------------------------------------------------------------------------------------------------


def test_pages_say_how_many_there_are() -> None:
    one = caller(orders=25)
    reply = one.reply("GET", "/wc/v3/orders", order="asc", orderby="id", page=2)
    assert [each["id"] for each in json.loads(reply.body)] == [int(each) for each in one.platform.order_ids()[10:20]]
    assert (reply.headers["X-WP-Total"], reply.headers["X-WP-TotalPages"]) == ("25", "3")
    assert 'rel="next"' in reply.headers["Link"]
    assert "page=3" in reply.headers["Link"]
    assert "Link" not in one.reply("GET", "/wc/v3/orders", page=3).headers
    assert one.orders(page=9) == []
    assert one.orders(offset=24, page=1, order="asc", orderby="id") == [int(one.platform.order_ids()[24])]


def test_rows_that_the_key_may_not_read_are_counted_and_left_out() -> None:
    one = caller(orders=5, hidden=frozenset({1, 4}))
    reply = one.reply("GET", "/wc/v3/orders", order="asc", orderby="id", per_page=3)
    assert (reply.headers["X-WP-Total"], len(json.loads(reply.body))) == ("5", 2)
    assert len(one.orders(per_page=3, page=2)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_page", 101),
        ("per_page", 0),
        ("page", 0),
        ("status", "shipped"),
        ("status", "wc-completed"),
        ("orderby", "x"),
        ("modified_after", "yesterday"),
        ("order", "up"),
        ("offset", -1),
    ],
)
def test_parameters_are_validated(name: str, value: Any) -> None:
    status, answer = caller().call("GET", "/wc/v3/orders", **{name: value})
    assert (status, answer["code"], list(answer["data"]["params"])) == (400, "rest_invalid_param", [name])


def test_every_invalid_parameter_is_named() -> None:
    status, answer = caller().call("GET", "/wc/v3/orders", page=0, orderby="x", after="soon", modified_before="01.02.")
    assert (status, sorted(answer["data"]["params"])) == (400, ["after", "modified_before", "orderby", "page"])


def test_a_change_is_found_after_the_second_before_it() -> None:
    one = caller()
    one.time.pass_seconds(10.7)
    one.put("completed")
    stamp = one.read()["date_modified_gmt"]
    assert len(stamp) == len("2026-11-30T11:00:00")
    query = {"dates_are_gmt": "true", "orderby": "modified", "order": "asc"}
    assert one.orders(modified_after=stamp, **query) == []
    before = stamp[:-2] + f"{int(stamp[-2:]) - 1:02d}"
    assert one.orders(modified_after=before, **query) == [int(one.order)]
    assert one.orders(modified_before=stamp, **query) == [int(each) for each in one.platform.order_ids()[1:]]


def test_a_stamp_with_a_zone_is_turned_into_the_sites_own() -> None:
    one = caller(zone_hours=2)
    one.time.pass_seconds(3600)
    one.put("completed")
    order = one.read()
    assert order["date_modified"] != order["date_modified_gmt"]
    before = order["date_modified_gmt"].replace(":20", ":19")
    assert one.orders(modified_after=before, dates_are_gmt="true") == [order["id"]]
    assert one.orders(modified_after=f"{before}Z", dates_are_gmt="true") == []
    assert one.orders(modified_after=f"{before}Z") == [order["id"]]


def test_any_leaves_the_trash_out() -> None:
    one = caller()
    stamp = one.read()["date_modified_gmt"]
    one.operate("trash")
    assert int(one.order) not in one.orders(status="any")
    assert one.orders(status="trash") == [int(one.order)]
    assert (one.read()["status"], one.read()["date_modified_gmt"]) == ("trash", stamp)
    one.operate("restore")
    assert one.read()["status"] == "processing"


# -- orders ------------------------------------------------------------------------------------------------------------


def test_an_unknown_order_is_answered_by_the_method() -> None:
    one = caller()
    for method, expected in (("GET", 404), ("PUT", 400)):
        status, answer = one.call(method, "/wc/v3/orders/7", {"status": "completed"})
        assert (status, answer["code"]) == (expected, "woocommerce_rest_shop_order_invalid_id")


def test_any_known_status_is_taken_and_the_ledger_judges() -> None:
    one = caller(statuses=("packed",))
    assert (one.put("packed").took_effect, one.put("packed").took_effect) == (True, False)
    assert one.put("completed").in_sequence
    assert not one.put("packed").in_sequence
    assert one.read()["status"] == "packed"
    assert one.put("trash").status == one.put("shipped").status == 400


@pytest.mark.parametrize("status", ["pending", "failed", "on-hold", "checkout-draft"])
def test_an_unpaid_order_may_be_set_ahead_too(status: str) -> None:
    one = caller()
    order = one.platform.operate({"action": "add", "status": status})["order"]
    reply = one.put("processing", order)
    assert (reply.status, reply.took_effect, reply.in_sequence) == (200, True, True)


def test_an_order_in_the_trash_is_over() -> None:
    one = caller()
    one.operate("trash")
    reply = one.put("completed")
    assert (reply.status, reply.in_sequence, one.read()["status"]) == (200, False, "completed")


def test_an_amount_has_two_decimals_however_it_was_typed() -> None:
    one = caller()
    one.operate("refund", amount="3")
    assert [each["total"] for each in one.read()["refunds"]] == ["-3.00"]
    assert one.call("GET", f"/wc/v3/orders/{one.order}/refunds")[1][0]["amount"] == "3.00"


def test_taxes_of_lines_add_up_to_those_of_their_rates() -> None:
    one = caller(orders=30)
    status, orders = one.call("GET", "/wc/v3/orders", per_page=30)
    assert status == 200
    assert {len(order["tax_lines"]) for order in orders} == {1, 2}
    for order in orders:
        for rate in order["tax_lines"]:
            for kinds, total in (("line_items fee_lines", "tax_total"), ("shipping_lines", "shipping_tax_total")):
                taxes = [tax for kind in kinds.split() for line in order[kind] for tax in line["taxes"]]
                assert Decimal(rate[total]) == sum(Decimal(t["total"]) for t in taxes if t["id"] == rate["rate_id"])


def test_a_status_brings_its_dates() -> None:
    one = caller()
    order = one.platform.operate({"action": "add", "status": "on-hold"})["order"]
    assert one.call("GET", f"/wc/v3/orders/{order}")[1]["date_paid_gmt"] is None
    one.platform.operate({"action": "pay", "order": order})
    paid = one.call("GET", f"/wc/v3/orders/{order}")[1]
    assert (paid["status"], paid["date_paid_gmt"] is None, paid["date_completed"]) == ("processing", False, None)
    one.put("completed", order)
    assert one.call("GET", f"/wc/v3/orders/{order}")[1]["date_completed_gmt"] is not None


@pytest.mark.parametrize("quantity", [1, 2, 7])
def test_an_order_adds_up(quantity: int) -> None:
    one = caller()
    one.operate("edit_line", quantity=quantity)
    order = one.read()
    lines = [*order["line_items"], *order["fee_lines"], *order["shipping_lines"]]
    net, tax = (sum(Decimal(line[name]) for line in lines) for name in ("total", "total_tax"))
    assert Decimal(order["total"]) == net + tax
    assert Decimal(order["total_tax"]) == tax == sum(Decimal(order[name]) for name in ("cart_tax", "shipping_tax"))
    gone = sum(Decimal(line["subtotal"]) - Decimal(line["total"]) for line in order["line_items"])
    assert gone == Decimal(order["discount_total"]) == Decimal(order["coupon_lines"][0]["discount"])
    assert order["line_items"][0]["quantity"] == quantity


def test_refunds_are_negative_in_the_order_and_positive_beside_it() -> None:
    one = caller()
    total = Decimal(one.read()["total"])
    one.operate("refund", amount="10.00")
    assert (one.read()["status"], [each["total"] for each in one.read()["refunds"]]) == ("processing", ["-10.00"])
    one.operate("refund")
    assert one.read()["status"] == "refunded"
    assert sum(Decimal(each["total"]) for each in one.read()["refunds"]) == -total
    _, beside = one.call("GET", f"/wc/v3/orders/{one.order}/refunds")
    assert sum(Decimal(each["amount"]) for each in beside) == total


def test_the_status_refunded_makes_a_refund_of_the_rest() -> None:
    one = caller()
    one.put("refunded")
    assert [each["total"] for each in one.read()["refunds"]] == [f"-{one.read()['total']}"]


@pytest.mark.parametrize(
    ("path", "body", "moves"),
    [
        ("/wc/v3/orders/{}/notes", {"note": "UPS 1Z", "customer_note": True}, False),
        ("/wc-shipment-tracking/v3/orders/{}/shipment-trackings", {"tracking_number": "1Z"}, True),
    ],
)
def test_what_is_sent_twice_is_there_twice(path: str, body: dict[str, Any], moves: bool) -> None:
    one = caller()
    before = one.read()["date_modified_gmt"]
    for n in (1, 2):
        reply = one.reply("POST", path.format(one.order), body)
        assert (reply.status, reply.took_effect) == (201, True)
        rows = one.call("GET", path.format(one.order))[1]
        assert len(rows) == n
        assert rows[0].items() >= body.items()
    assert (one.read()["date_modified_gmt"] != before) is moves
    status, answer = one.call("POST", path.format(7), body)
    assert (status, answer["code"]) == (404, "woocommerce_rest_order_invalid_id")
    status, answer = one.call("POST", path.format(one.order), {})
    assert (status, answer["code"]) == (400, "rest_missing_callback_param")


def test_a_tracking_is_kept_with_the_order() -> None:
    one = caller()
    sent = {
        "tracking_number": "1Z",
        "custom_tracking_provider": "UPS",
        "custom_tracking_link": "https://ups.example/1Z",
    }
    path = f"/wc-shipment-tracking/v3/orders/{one.order}/shipment-trackings"
    assert "_wc_shipment_tracking_items" not in [each["key"] for each in one.read()["meta_data"]]
    assert one.call("POST", path, sent)[1]["tracking_provider"] == "UPS"
    (meta,) = [each for each in one.read()["meta_data"] if each["key"] == "_wc_shipment_tracking_items"]
    assert meta["value"][0].items() >= sent.items()
    assert meta["value"][0]["tracking_provider"] == ""


def test_what_the_back_office_does_not_know_is_refused() -> None:
    one = caller()
    for request in ({"action": "dance"}, {"action": "edit", "order": one.order}, {"action": "cancel", "order": "7"}):
        with pytest.raises(PanelError):
            one.platform.operate(request)
    with pytest.raises(PanelError, match="unknown state 'lost'"):
        one.operate("move", state="lost")
    one.operate("delete")
    assert one.put("completed", "520000001").status == 400


# -- webhooks ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Post:
    one: Caller
    receiver: Receiver

    def register(self, topic: str = "order.updated", **fields: Any) -> Any:
        body = {"topic": topic, "delivery_url": self.receiver.url(), "secret": "s3cret", **fields}
        status, made = self.one.call("POST", "/wc/v3/webhooks", body)
        assert status == 201, made
        return made

    def status(self, number: int) -> str:
        return str(self.one.call("GET", f"/wc/v3/webhooks/{number}")[1]["status"])

    def sent(self, topic: str) -> list[Any]:
        return [each for each in self.receiver.got if each.headers.get("X-WC-Webhook-Topic") == topic]

    async def until(self, n: int) -> None:
        """Waits until the platform knows what came of so many attempts."""
        counts = self.one.platform.shop.webhooks.counts
        while counts.acknowledged + counts.failed < n:
            await self.one.platform.senders[0].outcome()


@asynccontextmanager
async def posting() -> AsyncIterator[Post]:
    one = caller()
    async with receiving() as receiver, anyio.create_task_group() as group:
        for work in one.platform.background(FaultPlan(one.time.clock())):
            group.start_soon(work)
        yield Post(one, receiver)
        group.cancel_scope.cancel()


async def test_a_new_address_is_pinged_without_a_signature() -> None:
    async with posting() as post:
        made = post.register()
        await post.until(1)
        (ping,) = post.receiver.got
        assert ping.raw == f"webhook_id={made['id']}".encode()
        assert ping.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert not [name for name in ping.headers if name.lower().startswith("x-wc-")]
        assert "secret" not in made
        assert "secret" not in post.one.call("GET", "/wc/v3/webhooks")[1][0]
        post.one.call("PUT", f"/wc/v3/webhooks/{made['id']}", {"delivery_url": post.receiver.url("/there")})
        await post.until(2)
        assert post.receiver.got[1].path == "/there"


async def test_a_change_is_sent_signed_with_the_order_as_it_is() -> None:
    async with posting() as post:
        post.register()
        await post.until(1)
        post.one.put("completed")
        await post.until(2)
        (sent,) = post.sent("order.updated")
        assert sent.body["status"] == "completed"
        wanted = base64.b64encode(hmac.new(b"s3cret", sent.raw, hashlib.sha256).digest()).decode()
        assert sent.headers["X-WC-Webhook-Signature"] == wanted
        assert sent.headers["X-WC-Webhook-Source"] == "http://shops.example.com/woocommerce/shop-1/"
        assert (sent.headers["X-WC-Webhook-Resource"], sent.headers["X-WC-Webhook-Event"]) == ("order", "updated")


async def test_two_deliveries_of_a_second_have_one_id() -> None:
    async with posting() as post:
        post.register()
        for _ in range(2):
            post.one.operate("edit", receiver_name="Grace Hopper")
        await post.until(3)
        post.one.time.pass_seconds(1)
        post.one.operate("edit", receiver_name="Ada Lovelace")
        await post.until(4)
        first, second, third = [each.headers["X-WC-Webhook-Delivery-ID"] for each in post.sent("order.updated")]
        assert first == second != third


async def test_the_trash_is_sent_as_deleted_and_deleting_for_good_is_not_sent() -> None:
    async with posting() as post:
        for topic in ("order.deleted", "order.restored", "order.updated"):
            post.register(topic)
        post.one.operate("trash")
        await post.until(4)
        assert [each.body for each in post.sent("order.deleted")] == [{"id": int(post.one.order)}]
        post.one.operate("restore")
        await post.until(5)
        post.one.operate("delete")
        post.one.operate("edit", receiver_name="Grace Hopper")
        await post.until(6)
        assert len(post.sent("order.deleted")) == 1


async def test_an_order_that_is_gone_makes_a_signed_error() -> None:
    async with posting() as post:
        post.register()
        await post.until(1)
        order = post.one.order
        post.one.operate("edit", receiver_name="Grace Hopper")
        post.one.platform.operate({"action": "delete", "order": order})
        await post.until(2)
        assert post.sent("order.updated")[0].body["data"] == {"status": 404}


async def test_the_seventh_failure_in_a_row_disables_and_the_count_is_kept() -> None:
    async with posting() as post:
        made = post.register()
        await post.until(1)
        post.receiver.answer = lambda _: 500
        for n in range(7):
            assert post.status(made["id"]) == "active"
            post.one.operate("edit", receiver_name=f"Name {n}")
            await post.until(2 + n)
        assert post.status(made["id"]) == "disabled"
        assert len(post.sent("order.updated")) == 7
        assert post.one.call("PUT", f"/wc/v3/webhooks/{made['id']}", {"status": "active"})[1]["status"] == "active"
        post.one.operate("edit", receiver_name="Once more")
        await post.until(9)
        assert post.status(made["id"]) == "disabled"


@pytest.mark.parametrize("status", [200, 204, 302])
async def test_a_success_ends_the_row_of_failures(status: int) -> None:
    async with posting() as post:
        made = post.register()
        await post.until(1)
        for n in range(14):
            post.receiver.answer = lambda _, n=n: status if n == 6 else 500  # type: ignore[misc]
            post.one.operate("edit", receiver_name=f"Name {n}")
            await post.until(2 + n)
            assert post.status(made["id"]) == ("disabled" if n == 13 else "active")


def test_the_secret_of_a_webhook_is_not_kept_among_the_calls() -> None:
    body = {"topic": "order.updated", "delivery_url": "https://x", "secret": "s3cret"}
    assert caller().open("POST", "/wc/v3/webhooks", body).sent is None


def test_bad_webhooks_are_refused() -> None:
    one = caller()
    for body, code in (
        ({"topic": "order.eaten", "delivery_url": "https://x"}, "invalid_topic"),
        ({"topic": "order.updated", "delivery_url": "ftp://x"}, "invalid_delivery_url"),
        ({"topic": "order.updated"}, "invalid_delivery_url"),
    ):
        status, answer = one.call("POST", "/wc/v3/webhooks", body)
        assert (status, answer["code"]) == (400, f"woocommerce_rest_shop_webhook_{code}")
    assert one.call("GET", "/wc/v3/webhooks/7")[0] == 400
    assert one.call("DELETE", "/wc/v3/webhooks/7", force="true")[0] == 404
    made = one.call("POST", "/wc/v3/webhooks", {"topic": "order.updated", "delivery_url": "https://x"})[1]
    assert one.call("DELETE", f"/wc/v3/webhooks/{made['id']}")[0] == 501
    assert one.call("DELETE", f"/wc/v3/webhooks/{made['id']}", force="true")[0] == 200
    assert one.call("GET", "/wc/v3/webhooks") == (200, [])


def test_an_own_status_is_known_once_a_plug_in_brought_it() -> None:
    shop = caller()
    assert shop.call("PUT", f"/wc/v3/orders/{shop.order}", {"status": "packed"})[0] == 400
    assert shop.call("GET", "/wc/v3/orders", status="packed")[0] == 400
    for status in ("wc-received", "packed", "packed"):
        shop.platform.operate({"action": "register_status", "status": status})
    for n, status in enumerate(("received", "packed", "completed")):
        reply = shop.reply("PUT", f"/wc/v3/orders/{shop.order}", {"status": status})
        assert (reply.status, reply.in_sequence) == (200, True), n
    shop.platform.operate({"action": "move", "order": shop.order, "state": "packed"})
    assert shop.orders(status="packed") == [int(shop.order)]


@pytest.mark.parametrize("status", ["Packed", "wc-", "a" * 18, "geschält", "a b"])
def test_a_status_that_is_none_is_refused(status: Any) -> None:
    with pytest.raises(PanelError, match="no status"):
        caller().platform.operate({"action": "register_status", "status": status})
