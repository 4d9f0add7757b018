"""Why orders wait for a person: the problems of a hundred orders by their few causes, which are filters."""

from __future__ import annotations

from typing import Any

import pytest

from storage.records import Order, Problem, Situation
from tests.api.bench import Bench, an_order, bench


def blocked(order: str, detail: str, *, step: str | None = "prepare", type_: str = "rejected", **fields: Any) -> Order:
    problem = Problem(type_, "The platform refused the step", detail, step, 1_772_000_000_000 + int(order))
    return an_order(order, problem=problem, situation=fields.pop("situation", Situation.BLOCKED), **fields)


ORDERS = (
    *(blocked(str(number), f"HTTP 422: order {number} is locked") for number in range(1, 6)),
    blocked("6", "HTTP 422: order 6 is locked", shop="żółw & co"),
    *(blocked(str(number), "HTTP 422: no carrier") for number in (7, 8)),
    blocked("9", "no answer within 30 s", type_="attempts-exhausted", step="send", situation=Situation.HELD),
    an_order("10"),
    an_order("11", situation=Situation.QUEUED),
    an_order("12", gone_at=1_772_000_000_000, gone_detail="HTTP 404"),
)


async def test_problems_are_counted_by_cause_with_what_helps_and_some_orders() -> None:
    async with bench(*ORDERS) as b:
        found = (await b.get("/v1/orders/causes")).json()
    assert (found["orders"], found["left_out"]) == (9, 0)
    first, second, third = found["causes"]
    assert first["cause"].startswith("rejected.prepare.")
    assert {name: first[name] for name in ("problem", "step", "detail", "count", "since", "shops")} == {
        "problem": "rejected",
        "step": "prepare",
        "detail": "HTTP 422: order … is locked",
        "count": 6,
        "since": "2026-02-25T06:13:20.001Z",
        "shops": {"acme": 5, "żółw & co": 1},
    }
    assert first["sample"][0] == {"shop": "acme", "order": "1", "detail": "HTTP 422: order 1 is locked"}
    assert f"`fulfilld retry --cause {first['cause']}`" in first["remedy"]
    assert [(each["step"], each["count"]) for each in (second, third)] == [("prepare", 2), ("send", 1)]


async def test_causes_narrow_to_a_shop_and_to_the_largest() -> None:
    async with bench(*ORDERS) as b:
        one = (await b.get("/v1/orders/causes?shop=acme&limit=1")).json()
        nobody = await b.get("/v1/orders/causes?shop=nobody")
    assert [(each["count"], each["shops"]) for each in one["causes"]] == [(5, {"acme": 5})]
    assert (one["orders"], one["left_out"]) == (8, 2)
    assert (nobody.status, nobody.slug) == (404, "shop-not-found")


async def ids(b: Bench, query: str) -> list[str]:
    got = await b.get(f"/v1/orders?{query}")
    assert got.status == 200, got
    return [order["id"] for order in got.json()["orders"]]


async def test_the_list_narrows_by_cause_problem_step_and_last_change() -> None:
    async with bench(*ORDERS) as b:
        causes = (await b.get("/v1/orders/causes")).json()["causes"]
        locked, carrier, silent = (each["cause"] for each in causes)
        assert await ids(b, f"cause={locked}") == ["1", "2", "3", "4", "5", "6"]
        assert await ids(b, f"cause={locked}&shop=acme&situation=blocked") == ["1", "2", "3", "4", "5"]
        assert await ids(b, f"cause={carrier}") == ["7", "8"]
        assert await ids(b, f"cause={silent}&problem=rejected") == []
        assert await ids(b, f"cause={locked}&step=send") == []
        assert await ids(b, "problem=rejected&step=prepare&shop=acme") == ["1", "2", "3", "4", "5", "7", "8"]
        assert await ids(b, "problem=attempts-exhausted") == ["9"]
        assert await ids(b, "step=send") == ["9"]
        assert await ids(b, "problem=quarantined") == []
        assert await ids(b, "problem=order-not-found") == ["12"]
        assert await ids(b, "problem=order-not-found&step=send") == []
        assert await ids(b, "updated_before=2026-02-25T06:13:20Z") == []
        assert len(await ids(b, "updated_before=2026-02-25T06:13:20.001Z")) == 12


async def test_pages_by_cause_show_each_order_once() -> None:
    many = [
        blocked(str(number), f"order {number} is {'locked' if number % 3 else 'sold out'}") for number in range(1, 40)
    ]
    async with bench(*many) as b:
        cause = (await b.get("/v1/orders/causes")).json()["causes"][0]["cause"]
        seen: list[str] = []
        after: str | None = "0"
        while after is not None:
            page = (await b.get(f"/v1/orders?cause={cause}&limit=7&after={after}")).json()
            seen += [order["id"] for order in page["orders"]]
            after = page["next"]
    assert seen == [str(number) for number in range(1, 40) if number % 3]


@pytest.mark.parametrize(
    ("query", "path", "words"),
    [
        ("cause=locked", "cause", "/v1/orders/causes"),
        ("problem=rejectd", "problem", 'did you mean "rejected"'),
        ("updated_before=yesterday", "updated_before", "RFC 3339"),
    ],
)
async def test_filters_that_mean_nothing_are_refused_with_what_helps(query: str, path: str, words: str) -> None:
    async with bench() as b:
        got = await b.get(f"/v1/orders?{query}")
    assert (got.status, got.slug) == (422, "invalid-request")
    (error,) = got.json()["errors"]
    assert error["path"] == path
    assert words in error["message"]


async def test_a_problem_that_cannot_be_read_is_no_cause_and_hides_no_other() -> None:
    async with bench(*ORDERS) as b:
        await b.store.write(lambda tx: tx.execute("UPDATE orders SET problem = '[\"rejected\"' WHERE id = '1'"))
        found = (await b.get("/v1/orders/causes")).json()
        assert found["causes"][0]["count"] == 5
        assert await ids(b, f"cause={found['causes'][0]['cause']}") == ["2", "3", "4", "5", "6"]
