"""The simulated Selldone's list, single reads, tokens and unknown ids (selldone.md §1, §3, §4, §6)."""

from __future__ import annotations

import re

import pytest

from tests.sandbox.probe import START_MS, probing

ALWAYS = {"id", "status", "delivery_state", "updated_at", "receiver_info", "delivery_info", "basket_item_returns"}


async def test_the_list_leaves_out_what_is_not_released_unless_asked() -> None:
    async with probing(options={"unreleased_orders": 3}) as probe:
        assert (await probe.list())["total"] == 3
        assert {order["status"] for order in (await probe.list())["orders"]} <= {"Payed", "COD"}
        everything = "statuses[]=Open&statuses[]=Reserved&statuses[]=Canceled&statuses[]=Payed&statuses[]=COD"
        assert (await probe.list(everything))["total"] == 6
        assert [o["status"] for o in (await probe.list("statuses%5B%5D=Canceled"))["orders"]] == ["Canceled"]
        assert [o["reserved_at"] for o in (await probe.list("statuses[]=Open"))["orders"]] == [None]


@pytest.mark.parametrize(
    ("query", "there", "absent"),
    [
        ("", set(), {"items", "buyer", "customer"}),
        ("with[]=items", {"items"}, {"buyer", "customer"}),
        ("with[]=buyer", {"buyer", "customer"}, {"items"}),
        ("with[]=items&with[]=buyer&with[]=payment", {"items", "buyer"}, set()),
    ],
)
async def test_sub_objects_come_only_when_asked_for(query: str, there: set[str], absent: set[str]) -> None:
    async with probing() as probe:
        for order in (await probe.list(query))["orders"]:
            assert order.keys() >= ALWAYS | there
            assert not order.keys() & absent


async def test_items_carry_their_products_only_when_asked_for() -> None:
    async with probing() as probe:
        bare = (await probe.list("with[]=items"))["orders"][0]["items"][0]
        full = (await probe.list("with[]=items&with[]=products"))["orders"][0]["items"][0]
        assert not bare.keys() & {"product", "variant"}
        assert full["product"]["id"] == full["product_id"]
        assert (full["variant"] or {}).get("id") == full["variant_id"]


async def test_pages_cover_every_order_once_in_the_asked_order() -> None:
    async with probing(orders=7) as probe:
        seen = []
        for offset in (0, 3, 6, 9):
            page = await probe.list(f"sortBy=reserved_at&sortDesc=false&limit=3&offset={offset}")
            assert page["total"] == 7
            seen += [str(order["id"]) for order in page["orders"]]
        assert seen == probe.sandbox.selldone.order_ids()
        newest_first = [str(order["id"]) for order in (await probe.list())["orders"]]
        assert newest_first == seen[::-1]


async def test_updated_at_means_strictly_after_that_second() -> None:
    async with probing() as probe:
        probe.time.pass_seconds(10)
        await probe.walk("OrderConfirm")
        changed = START_MS // 1000 + 10
        assert (await probe.list(f"updated_at={changed - 1}"))["total"] == 1
        assert (await probe.list(f"updated_at={changed}"))["total"] == 0
        await probe.walk("PreparingOrder")
        assert (await probe.list(f"updated_at={changed}"))["total"] == 1


async def test_the_unit_of_updated_at_is_a_switch() -> None:
    async with probing(options={"updated_at_unit": "ms"}) as probe:
        probe.time.pass_seconds(10)
        await probe.walk("OrderConfirm")
        assert (await probe.list(f"updated_at={START_MS + 9999}"))["total"] == 1
        assert (await probe.list(f"updated_at={START_MS + 10_000}"))["total"] == 0


async def test_every_change_moves_updated_at_even_while_the_clock_stands_still() -> None:
    async with probing() as probe:
        times = [(await probe.read())["updated_at"]]
        await probe.walk("OrderConfirm")
        times.append((await probe.read())["updated_at"])
        probe.sandbox.selldone.panel.edit(probe.order, "John Doe")
        edited = await probe.read()
        times.append(edited["updated_at"])
        assert edited["receiver_info"]["name"] == "John Doe"
        assert times == sorted(set(times))
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=251", "limit"),
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("offset=-1", "offset"),
        ("updated_at=2024-08-17", "updated_at"),
        ("updated_at=1.5", "updated_at"),
        ("sortBy=nonsense", "sortBy"),
        ("sortDesc=maybe", "sortDesc"),
        ("statuses[]=Paid", "statuses"),
        ("statuses=Payed", "statuses"),
        ("with=items", "with"),
    ],
)
async def test_a_bad_parameter_is_a_validation_error_that_names_it(query: str, field: str) -> None:
    async with probing() as probe:
        status, answer = await probe.call("GET", f"baskets-PHYSICAL?{query}")
        assert (status, list(answer["errors"])) == (422, [field])


async def test_lists_can_be_narrowed_to_a_customer_or_a_product() -> None:
    async with probing(orders=20) as probe:
        orders = (await probe.list("limit=250&with[]=items"))["orders"]
        customer = next(order["customer_id"] for order in orders if order["customer_id"] is not None)
        found = (await probe.list(f"customer_id={customer}"))["orders"]
        assert found
        assert {order["customer_id"] for order in found} == {customer}
        product = orders[0]["items"][0]["product_id"]
        expected = {o["id"] for o in orders if product in [item["product_id"] for item in o["items"]]}
        assert {o["id"] for o in (await probe.list(f"product_id={product}"))["orders"]} == expected


@pytest.mark.parametrize("envelope", ["bare", "basket", "order"])
async def test_a_single_order_comes_whole_in_the_envelope_of_the_switch(envelope: str) -> None:
    async with probing(options={"envelope": envelope}) as probe:
        answer = await probe.read()
        order = answer if envelope == "bare" else answer[envelope]
        assert str(order["id"]) == probe.order
        assert order.keys() >= ALWAYS | {"items", "buyer", "customer"}


async def test_orders_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    everything = "limit=250&with[]=items&with[]=buyer&with[]=products"
    async with (
        probing(orders=30, seed=5) as one,
        probing(orders=30, seed=5) as same,
        probing(orders=30, seed=6) as other,
    ):
        listed = await one.list(everything)
        assert listed == await same.list(everything)
        assert listed != await other.list(everything)
        assert {order["status"] for order in listed["orders"]} == {"Payed", "COD"}
        assert any(order["buyer"] is None for order in listed["orders"])
        assert any(order["buyer"] is not None for order in listed["orders"])


async def test_an_id_beyond_the_doubles_is_there_when_asked_for() -> None:
    async with probing(options={"has_big_id": True}) as probe:
        assert int(probe.order) > 2**53
        assert str((await probe.read())["id"]) == probe.order
        await probe.walk("OrderConfirm")


async def test_a_missing_or_wrong_token_is_401() -> None:
    async with probing() as probe:
        for token in ("", "wrong"):
            probe.token = token
            assert await probe.call("GET", "baskets-PHYSICAL") == (401, {"message": "Unauthenticated."})


async def test_a_changed_token_shuts_the_old_one_out() -> None:
    async with probing() as probe:
        probe.sandbox.selldone.panel.change_token("fresh")
        assert (await probe.call("GET", "baskets-PHYSICAL"))[0] == 401
        probe.token = "fresh"
        assert (await probe.call("GET", "baskets-PHYSICAL"))[0] == 200


async def test_a_token_opens_its_own_shop_only() -> None:
    async with probing(shops=2) as probe:
        status, answer = await probe.call("GET", "baskets-PHYSICAL", shop=12346)
        assert (status, answer["error"]) == (403, "TOKEN_HAS_NO_ACCESS_ERROR")
        probe.token = "sandbox-token-2"
        assert (await probe.call("GET", "baskets-PHYSICAL", shop=12346))[0] == 200


@pytest.mark.parametrize("shop", [1, "acme", "9" * 30])
async def test_an_unknown_shop_is_404(shop: int | str) -> None:
    async with probing() as probe:
        status, answer = await probe.call("GET", "baskets-PHYSICAL", shop=shop)
        assert (status, answer["error"]) == (404, "NOT_FOUND_SHOP_ERROR")


@pytest.mark.parametrize("order", ["1", "abc", "9" * 30, "²"])
async def test_an_unknown_order_is_404(order: str) -> None:
    async with probing() as probe:
        for method, tail in (("GET", ""), ("POST", "/state"), ("PUT", "/tracking"), ("POST", "/delivery-returned")):
            status, answer = await probe.call(method, f"baskets/{order}{tail}")
            assert (status, answer["error"]) == (404, "NOT_FOUNT_BASKET_ERROR")


async def test_unknown_routes_are_404_and_wrong_methods_405() -> None:
    async with probing() as probe:
        assert (await probe.call("GET", "nonsense"))[0] == 404
        assert (await probe.call("GET", f"baskets/{probe.order}/nonsense"))[0] == 404
        assert (await probe.call("POST", "baskets-PHYSICAL"))[0] == 405
        assert (await probe.call("GET", f"baskets/{probe.order}/state"))[0] == 405
        assert {call.step for call in probe.sandbox.ledger.calls()} == {"unknown"}
