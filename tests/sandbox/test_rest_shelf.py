"""Simulated REST shops of carts: what the shared rooms do for a platform that says little more than its words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest

from orchestrator.sandbox.base import answer, bearer
from orchestrator.sandbox.cart_shelf import CartOffice
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Incoming, Json, Operation, PanelError, Reply, Stock
from orchestrator.sandbox.registry import Registered
from orchestrator.sandbox.rest import Call, Parameter, Refused, RestPlatform, Route, one_of, some_of, whole
from orchestrator.sandbox.rest_shelf import ListWords, RestShelf, order_routes, row_routes, webhook_routes
from orchestrator.sandbox.webhooks import Delivery
from tests.sandbox.probe import START_MS, HandClock


class Shop(RestShelf):
    """Has no trash, and counts in milliseconds."""

    state_name: ClassVar[str] = "state"
    unpaid = ("open",)
    paid, done, cancelled, refunded = "paid", "sent", "void", "returned"
    states = ("paid", "packed", "sent", "void", "returned")
    words = ListWords(
        size="limit", sizes=(2, 5), state="state", all_states="all", sorts={"id": "id", "changed": "modified"},
        after={"since": "modified"}, before={"until": "modified"}, totals=("X-Total", "X-Pages"),
    )  # fmt: skip
    topics = ("order.updated",)

    def view(self, order: Mapping[str, Json]) -> Json:
        cart = self.carts[order["id"]]
        return {**order, "total": str(cart.total), "receiver": cart.receiver.first_name}

    def stamp(self, name: str, ms: int | None) -> Mapping[str, Json]:
        return {f"{name}_ms": ms}

    def bound_ms(self, text: str, call: Call) -> float:
        return float(datetime.fromisoformat(text).timestamp() * 1000)

    def put_sent(self, what: str, order_id: int, sent: Mapping[str, Json]) -> dict[str, Json]:
        if "text" not in sent:
            raise Refused("missing", "text")
        return self.note(order_id, "somebody", sent["text"], is_public=False)

    def headers(self, asked: Registered, body: bytes) -> Mapping[str, str]:
        return {"X-Size": str(len(body))}

    def ping(self, fields: Mapping[str, Json]) -> Delivery:
        return Delivery("ping", b"", {})


class Office(CartOffice[Shop]):
    """Adds nothing."""


class Options:
    """What can be switched off."""

    has_notes = True


class Platform(RestPlatform[Shop, Office]):
    """One shop, behind a token."""

    name: ClassVar[str] = "made-up"
    options: ClassVar[type] = Options
    config_name: ClassVar[str] = "up"
    office: ClassVar = Office
    routes = (
        *order_routes("v1/orders"),
        *row_routes("v1/orders/{order}/notes", "note", "has_notes"),
        *row_routes("v1/orders/{order}/refunds"),
        *webhook_routes("v1/hooks"),
        Route("GET", "v1/orders/{order}/teapot", "brew", lambda shop, call: answer(418, call.number())),
    )

    def shop_of(self, n: int) -> Shop:
        return Shop(self._clock, f"shop{n}", "s3cret", 1000)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        return {}

    def enter(self, incoming: Incoming, query: dict[str, str]) -> tuple[Shop | None, str, Reply | None]:
        is_known = bearer(incoming.headers) == self.shop.secret
        return self.shop, incoming.path, None if is_known else answer(401, {"message": "Who?"})

    def refusal(self, call: Call, wrong: str, names: Sequence[str]) -> Reply:
        return answer(404 if wrong in ("route", "order", "webhook") else 400, {"wrong": wrong, "names": list(names)})


class Client:
    """Asks the platform, and operates its back office."""

    def __init__(self, orders: int = 5, seed: int = 1) -> None:
        self.time, self.token = HandClock(), "s3cret"
        self.platform = Platform(self.time.clock(), Ledger(self.time.clock()), Options(), Stock(orders, seed, 1))
        self.order = self.platform.order_ids()[0]

    def open(self, method: str, path: str, body: Any = None, **query: Any) -> Operation:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.platform.open(Incoming(method, path, urlencode(query), headers, json.dumps(body).encode()))

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        reply = self.open(method, path, body, **query).act()
        return reply.status, json.loads(reply.body)

    def ids(self, **query: Any) -> list[int]:
        status, rows = self.call("GET", "/v1/orders", **query)
        assert status == 200, rows
        return [row["id"] for row in rows]

    def read(self) -> Any:
        return self.call("GET", f"/v1/orders/{self.order}")[1]

    def operate(self, action: str, **fields: Any) -> Any:
        return self.platform.operate({"action": action, "order": self.order, **fields})


# -- routes and parameters ---------------------------------------------------------------------------------------------


def test_a_route_says_what_a_request_is_about() -> None:
    one = Client()
    opened = one.open("GET", "/v1/orders/7/teapot", {"with": "milk"})
    assert (opened.shop, opened.order, opened.step, opened.sent) == ("shop0", "7", "brew", {"with": "milk"})
    assert one.call("GET", "/v1/orders/7/teapot") == (418, 7)
    assert one.open("PUT", f"/v1/orders/{one.order}", {"state": "void"}).step == "cancel"
    assert one.open("POST", "/v1/hooks", {"secret": "hidden"}).sent is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("DELETE", "/v1/orders"),
        ("GET", "/v1/orders/7/x"),
        ("POST", "/v1/orders/7/refunds"),
        ("GET", "/"),
    ],
)
def test_what_no_route_has_is_refused_in_the_platforms_words(method: str, path: str) -> None:
    one = Client()
    assert one.open(method, path).step == "unknown"
    assert one.call(method, path) == (404, {"wrong": "route", "names": []})


def test_a_route_of_an_option_is_there_with_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Client()
    assert one.call("GET", f"/v1/orders/{one.order}/notes") == (200, [])
    monkeypatch.setattr(Options, "has_notes", False)
    assert one.call("GET", f"/v1/orders/{one.order}/notes")[1]["wrong"] == "route"


def test_who_may_not_enter_changes_nothing() -> None:
    one = Client()
    one.token = "of-yesterday"
    assert one.call("PUT", f"/v1/orders/{one.order}", {"state": "sent"})[0] == 401
    assert one.call("GET", "/v1/nothing")[0] == 401
    one.token = "s3cret"
    assert one.read()["state"] == "paid"


@pytest.mark.parametrize(
    ("parameter", "good", "value", "bad"),
    [
        (whole(3, 1, 9), "9", 9, ("0", "10", "-1", "1.5", "", "x", "٣")),
        (whole(), "0", 0, ("-1",)),
        (one_of("a", ("a", "b")), "b", "b", ("c", "", "a,b")),
        (some_of("a", ("a", "b")), "a,b", {"a", "b"}, ("a,c", "")),
        (Parameter(datetime.fromisoformat), "2026-11-30", datetime(2026, 11, 30), ("soon",)),  # noqa: DTZ001
    ],
)
def test_a_parameter_is_read_or_refused(parameter: Parameter, good: str, value: Any, bad: Sequence[str]) -> None:
    def read(query: dict[str, str]) -> Any:
        return Call("GET", "", {}, query, {}).checked({"it": parameter, "other": whole(5)})

    assert read({"it": good, "unheard": "of"}) == {"it": value, "other": 5}
    assert read({})["it"] == parameter.default
    for text in bad:
        with pytest.raises(Refused) as refused:
            read({"it": text, "other": "x"})
        assert (refused.value.wrong, refused.value.names) == ("parameters", ("it", "other"))


# -- lists -------------------------------------------------------------------------------------------------------------


def test_pages_have_their_size_their_totals_and_no_end() -> None:
    one = Client(orders=5)
    reply = one.open("GET", "/v1/orders", order="asc").act()
    assert (reply.headers["X-Total"], reply.headers["X-Pages"], "Link" in reply.headers) == ("5", "3", False)
    assert one.ids(order="asc", page=3) == [1004]
    assert one.ids(order="asc", page=4) == []
    assert one.ids(order="asc", page=2, offset=1, limit=5) == [1001, 1002, 1003, 1004]
    assert one.ids() == [1004, 1003]
    assert one.call("GET", "/v1/orders", limit=6, page=0) == (400, {"wrong": "parameters", "names": ["page", "limit"]})


def test_a_link_leads_to_the_next_page_and_hidden_rows_are_counted() -> None:
    one = Client(orders=5)
    one.platform.shop.home, one.platform.shop.hidden = "http://h/", {1}
    reply = one.open("GET", "/v1/orders", order="asc").act()
    assert reply.headers["Link"] == '<http://h/v1/orders?order=asc&page=2>; rel="next"'
    assert [row["id"] for row in json.loads(reply.body)] == [1000]


def test_bounds_are_exclusive_and_states_are_chosen() -> None:
    one = Client(orders=3)
    one.time.pass_seconds(60)
    one.operate("edit", receiver_name="Grace Hopper")
    changed = datetime.fromtimestamp(START_MS / 1000 + 60).isoformat()  # noqa: DTZ006
    assert one.ids(since=changed) == []
    assert one.ids(until=changed) == [1002, 1001]
    assert one.ids(orderby="changed", limit=1) == [1000]
    one.operate("cancel")
    assert one.ids(state="void,sent") == [1000]
    assert one.ids(state="all", limit=5) == [1002, 1001, 1000]
    assert one.call("GET", "/v1/orders", state="eaten")[0] == 400


# -- orders and rows ---------------------------------------------------------------------------------------------------


def test_a_label_can_always_be_set_and_is_in_sequence_only_ahead() -> None:
    one, found = Client(), []
    for state in ("packed", "packed", "paid", "sent", "packed"):
        reply = one.open("PUT", f"/v1/orders/{one.order}", {"state": state}).act()
        found.append((reply.took_effect, reply.in_sequence))
    assert found == [(True, True), (False, True), (True, False), (True, True), (True, False)]
    assert one.call("PUT", f"/v1/orders/{one.order}", {"state": "eaten"})[1]["wrong"] == "state"
    assert one.call("PUT", "/v1/orders/7", {"state": "sent"})[1]["wrong"] == "order"


def test_a_state_brings_its_time() -> None:
    one = Client()
    order = one.platform.operate({"action": "add", "status": "open"})["order"]
    one.order = order
    assert (one.read()["paid"], one.read()["done"]) == (None, None)
    one.time.pass_seconds(1)
    one.operate("pay")
    one.time.pass_seconds(1)
    one.call("PUT", f"/v1/orders/{order}", {"state": "sent"})
    assert (one.read()["paid"], one.read()["done"]) == (START_MS + 1000, START_MS + 2000)
    one.operate("pay")
    assert one.read()["state"] == "sent"


def test_rows_beside_an_order_are_its_own() -> None:
    one = Client()
    path = f"/v1/orders/{one.order}/notes"
    for _ in range(2):
        assert one.call("POST", path, {"text": "hello"})[0] == 201
    one.operate("note", text="from the shop")
    assert [row["text"] for row in one.call("GET", path)[1]] == ["from the shop", "hello", "hello"]
    assert one.call("GET", "/v1/orders/1001/notes") == (200, [])
    assert one.call("POST", path, {}) == (400, {"wrong": "missing", "names": ["text"]})
    assert one.call("POST", "/v1/orders/7/notes", {"text": "x"})[1]["wrong"] == "order"


def test_webhooks_are_made_changed_and_removed() -> None:
    one = Client()
    sent = {"topic": "order.updated", "delivery_url": "https://a", "secret": "hidden", "status": "paused"}
    status, made = one.call("POST", "/v1/hooks", sent)
    assert (status, made["status"], "secret" in made, made["created_ms"]) == (201, "active", False, START_MS)
    path = f"/v1/hooks/{made['id']}"
    one.time.pass_seconds(1)
    changed = one.call("PUT", path, {"status": "paused"})[1]
    assert changed == {**made, "status": "paused", "modified_ms": START_MS + 1000}
    assert one.call("PUT", path, {"delivery_url": "ftp://a"})[1]["wrong"] == "delivery_url"
    assert one.call("POST", "/v1/hooks", {**sent, "topic": "tea"})[1]["wrong"] == "topic"
    assert one.call("GET", "/v1/hooks") == (200, [changed])
    assert one.call("DELETE", path) == (200, changed)
    assert one.call("GET", path)[1]["wrong"] == "webhook"


def test_a_webhook_says_how_the_order_is_when_it_is_sent() -> None:
    one = Client()
    shop, order = one.platform.shop, int(one.order)
    asked = Registered({"topic": "order.updated"})
    one.operate("edit", receiver_name="Grace Hopper")
    sent = shop.delivery(asked, order)
    assert json.loads(sent.body) == one.read()
    assert sent.headers == {"Content-Type": "application/json", "X-Size": str(len(sent.body))}
    assert shop.delivery(Registered({"topic": "order.deleted"}), order).body == f'{{"id":{order}}}'.encode()
    one.operate("delete")
    assert shop.delivery(asked, order).body == shop.gone


# -- the back office ---------------------------------------------------------------------------------------------------


def test_the_same_seed_stocks_the_same_shop() -> None:
    totals = [[row["total"] for row in Client(seed=seed).call("GET", "/v1/orders", limit=5)[1]] for seed in (1, 1, 2)]
    assert totals[0] == totals[1] != totals[2]
    assert totals[1][-1] == totals[2][-1], "the first order is always the same"


def test_people_change_an_order_and_its_sums_follow() -> None:
    one = Client()
    cart = one.platform.shop.carts[int(one.order)]
    before = cart.total
    one.operate("edit_line", quantity=40, line=cart.rows[0].id)
    assert Decimal(one.read()["total"]) == cart.total > before
    one.operate("edit", receiver_name="Grace Hopper")
    assert one.read()["receiver"] == "Grace"
    one.operate("backdate", to="2026-01-01")
    assert one.read()["created"] == int(datetime.fromisoformat("2026-01-01T00:00:00Z").timestamp() * 1000)


def test_money_goes_back_in_parts_until_nothing_is_left() -> None:
    one = Client()
    total = Decimal(one.read()["total"])
    one.operate("refund", amount="1.00")
    assert one.read()["state"] == "paid"
    one.operate("refund", amount=str(total))
    assert one.read()["state"] == "returned"
    amounts = [Decimal(row["amount"]) for row in one.call("GET", f"/v1/orders/{one.order}/refunds")[1]]
    assert amounts == [total - 1, 1]


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "trash"},
        {"action": "refund", "amount": "-1"},
        {"action": "refund", "amount": "0.001"},
        {"action": "refund", "amount": "much"},
        {"action": "edit_line", "quantity": 0},
        {"action": "edit_line", "quantity": "two"},
        {"action": "edit_line", "quantity": 1, "line": 99},
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(request_: dict[str, Any]) -> None:
    one = Client()
    before = one.read()
    with pytest.raises(PanelError):
        one.operate(**request_)
    assert one.read() == before


def test_an_order_comes_out_of_the_trash_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Client()
    monkeypatch.setattr(Shop, "trashed", "bin")
    before = one.read()
    for _ in range(2):
        one.operate("trash")
    assert one.read() == {**before, "state": "bin"}
    assert int(one.order) not in one.ids(limit=5)
    assert one.ids(state="bin") == [int(one.order)]
    for _ in range(2):
        one.operate("restore")
    assert one.read() == before
