"""Orders: lists, one order, what can be done with it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from storage.nodes import Presence, join
from storage.orders import save_order
from storage.records import Problem, Situation, Wait
from storage.shops import pause_shop, save_admission
from tests.api.bench import Bench, an_order, bench
from tests.support.made_up import MACHINE as MADE_UP


async def ids(b: Bench, query: str) -> list[str]:
    got = await b.get(f"/v1/orders?{query}")
    assert got.status == 200, got
    return [order["id"] for order in got.json()["orders"]]


async def test_an_order_is_shown_with_all_that_the_documentation_names() -> None:
    problem = Problem("rejected", "The platform refused the step", "not paid", "prepare", 1_772_000_000_001)
    order = an_order(problem=problem, situation=Situation.BLOCKED, attempts=3)
    async with bench(order) as b:
        assert (await b.get("/v1/shops/acme/orders/67890")).json() == {
            "shop": "acme",
            "platform": "selldone",
            "id": "67890",
            "reference": "R-67890",
            "state": "CheckQueue",
            "platform_state": "CheckQueue",
            "milestone": "new",
            "situation": "blocked",
            "payment": "paid",
            "payment_status": "unknown",
            "returns": [],
            "parcels": [],
            "withdrawn": False,
            "withdrawn_at": None,
            "attention": None,
            "attempts": 3,
            "next_attempt_at": None,
            "wait": None,
            "problem": {
                "type": "rejected",
                "title": "The platform refused the step",
                "detail": "not paid",
                "step": "prepare",
                "since": "2026-02-25T06:13:20.001Z",
            },
            "held_at": None,
            "held_reason": None,
            "targets": [],
            "allowed": ["OrderConfirm", "Canceled"],
            "imported_at": "2026-02-25T06:13:20.000Z",
            "updated_at": "2026-02-25T06:13:20.000Z",
            "version": 1,
        }


@pytest.mark.parametrize(
    ("situation", "status", "second"),
    [
        ("running", "running", "now"),
        ("blocked", "blocked", "now"),
        ("held", "running", "next"),
        ("held", "blocked", "now"),
        ("waiting", "running", "next"),
        ("retrying", "running", "next"),
        ("queued", "running", "next"),
    ],
)
async def test_a_step_is_now_while_its_call_is_out_or_it_is_blocked(situation: str, status: str, second: str) -> None:
    async with bench(an_order(situation=Situation(situation))) as b:
        target = (await b.submit("preparing")).json()["id"]
        await b.store.write(
            lambda tx: tx.execute("UPDATE targets SET status = ?, steps_done = 1 WHERE id = ?", (status, target))
        )
        [shown] = (await b.get("/v1/shops/acme/orders/67890")).json()["targets"]
        assert [step["status"] for step in shown["plan"]] == ["done", second]
        assert (await b.get(f"/v1/targets/{target}")).json() == shown
        dumped = [json.loads(line) for line in (await b.get("/v1/dump")).body.splitlines()]
        assert dumped[-1]["targets"] == [shown]


async def test_a_payload_is_shown_as_it_came_to_the_last_digit() -> None:
    payload = b'{"id": 123456789012345678901234567890, "total": 1.10, "tiny": 1e-400, "name": "\\u00f3"}\n'
    async with bench() as b:
        await b.add(an_order(), payload=payload)
        body = (await b.get("/v1/shops/acme/orders/67890?include=payload")).body
        assert b'"total": 1.10' in body
        assert b"123456789012345678901234567890" in body
        assert json.loads(body)["payload"]["name"] == "ó"


@pytest.mark.parametrize(
    ("payload", "shown"),
    [(b"<html>", "<html>"), (b"\xff\xfe", "//4="), (b'{"a": NaN}', '{"a": NaN}'), (b"[1] [2]", "[1] [2]"), (b"", "")],
)
async def test_a_payload_that_is_not_json_is_shown_as_text(payload: bytes, shown: str) -> None:
    async with bench() as b:
        await b.add(an_order(), payload=payload)
        assert (await b.get("/v1/shops/acme/orders/67890?include=payload")).json()["payload"] == shown


async def test_a_timeline_is_the_orders_own_events_oldest_first() -> None:
    async with bench(an_order()) as b:
        await b.emit("order.imported", shop="acme", order="67890")
        await b.emit("order.imported", shop="acme", order="other")
        await b.emit("order.held", shop="acme", order="67890")
        got = (await b.get("/v1/shops/acme/orders/67890?include=timeline,payload")).json()
        assert [event["type"] for event in got["timeline"]] == ["order.imported", "order.held"]
        assert got["payload"] == {}
        assert "timeline" not in (await b.get("/v1/shops/acme/orders/67890")).json()


async def test_a_long_timeline_keeps_its_newest_thousand() -> None:
    async with bench(an_order()) as b:

        def unit(tx: Any) -> None:
            for number in range(1005):
                tx.insert(
                    "INSERT INTO events (at, type, shop, order_id, target, data) VALUES (?, ?, ?, ?, ?, ?)",
                    (number, "order.updated", "acme", "67890", None, "{}"),
                )

        await b.store.write(unit)
        timeline = (await b.get("/v1/shops/acme/orders/67890?include=timeline")).json()["timeline"]
        assert [timeline[0]["cursor"], timeline[-1]["cursor"]] == [6, 1005]


async def test_ids_with_odd_characters_are_found() -> None:
    odd = "a/b {c}%25 ż#?&"
    async with bench(an_order(odd, shop="żółw & co")) as b:
        path = "/v1/shops/%C5%BC%C3%B3%C5%82w%20%26%20co/orders/a%2Fb%20%7Bc%7D%2525%20%C5%BC%23%3F%26"
        from yarl import URL

        async with b.session.get(URL(f"http://localhost{path}", encoded=True)) as response:
            assert (response.status, (await response.json())["id"]) == (200, odd)


@pytest.mark.parametrize("order", ["%00", "%0A", "x" * 257, "%FF", "%C0%AF", "a%"])
async def test_an_id_that_cannot_be_one_is_refused(order: str) -> None:
    from yarl import URL

    async with bench() as b:
        for method, path in (("GET", ""), ("POST", "/hold"), ("POST", "/targets")):
            url = URL(f"http://localhost/v1/shops/acme/orders/{order}{path}", encoded=True)
            async with b.session.request(method, url) as response:
                assert response.status == 422
                assert (await response.json(content_type="application/problem+json"))["type"] == "invalid-request"


async def test_orders_come_in_pages_that_miss_and_repeat_nothing() -> None:
    async with bench(*(an_order(str(n)) for n in range(100, 107))) as b:
        found: list[str] = []
        after: Any = ""
        pages = 0
        while after is not None:
            page = (await b.get(f"/v1/orders?limit=3{f'&after={after}' if after else ''}")).json()
            found += [order["id"] for order in page["orders"]]
            after, pages = page["next"], pages + 1
        assert found == [str(n) for n in range(100, 107)]
        assert pages == 3


async def test_a_last_page_that_is_full_says_that_it_is_the_last() -> None:
    async with bench(an_order("1"), an_order("2")) as b:
        assert (await b.get("/v1/orders?limit=2")).json()["next"] is None


async def test_orders_are_filtered() -> None:
    async with bench(
        an_order("1"),
        an_order("2", state="SentOrder", updated_at=1_772_000_060_000),
        an_order("3", shop="żółw & co", situation=Situation.BLOCKED),
        an_order("4", state="Mystery", milestone=None),
    ) as b:
        assert await ids(b, "state=sentorder") == ["2"]
        assert await ids(b, "state=SHIPPED") == ["2"]
        assert await ids(b, "state=mystery") == ["4"]
        assert await ids(b, "state=cancelled") == []
        assert await ids(b, "milestone=new") == ["1", "3"]
        assert await ids(b, "shop=acme&milestone=New") == ["1"]
        assert await ids(b, "situation=blocked") == ["3"]
        assert await ids(b, "reference=R-2") == ["2"]
        assert await ids(b, "updated_after=2026-02-25T06:13:20Z") == ["2"]
        assert await ids(b, "updated_after=2026-02-25T08:14:20.000%2B02:00") == []
        assert await ids(b, "updated_after=2026-02-25T08:14:19.999+02:00") == ["2"]


async def test_orders_are_found_by_each_milestone_of_their_state() -> None:
    """One state is shipped and delivered in one shop, and shipped alone in another that calls it the same."""
    async with bench(
        an_order("1", state="completed", milestone="delivered"),
        an_order("2", shop="żółw & co", state="completed", milestone="delivered"),
        an_order("3", state="packed", milestone="preparing"),
        an_order("4", state="SentOrder", milestone="shipped", shop="żółw & co"),
    ) as b:
        b.node.known["acme"] = replace(b.node.known["acme"], platform="bazaar", machine=MADE_UP)
        assert await ids(b, "milestone=delivered") == ["1", "2"]
        assert await ids(b, "milestone=shipped") == ["1", "4"]
        assert await ids(b, "milestone=shipped&shop=acme") == ["1"]
        assert await ids(b, "milestone=shipped&state=SentOrder") == ["4"]
        assert await ids(b, "milestone=shipped&situation=blocked") == []
        assert await ids(b, "milestone=preparing") == ["3"]
        assert await ids(b, "shop=acme&state=shipped") == ["1"]
        shown = (await b.get("/v1/shops/acme/orders/1")).json()
        assert (shown["state"], shown["milestone"]) == ("completed", "delivered")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("state=Bestellt", "state"),
        ("milestone=done", "milestone"),
        ("situation=asleep", "situation"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1e2", "limit"),
        ("limit=+5", "limit"),
        ("limit=", "limit"),
        ("after=ZZ", "after"),
        ("after=1", "after"),
        ("after=zzzz", "after"),
        ("after=nonsense", "after"),
        ("after=zzzzzzzzzzzzzz", "after"),
        ("updated_after=yesterday", "updated_after"),
        ("updated_after=2026-02-30T00:00:00Z", "updated_after"),
        ("updated_after=2026-02-03T00:00:00", "updated_after"),
        ("reference=", "reference"),
        ("reference=%00", "reference"),
        ("shop=" + "x" * 257, "shop"),
        ("colour=red", "colour"),
    ],
)
async def test_a_bad_filter_is_reported_by_name(query: str, path: str) -> None:
    async with bench(an_order()) as b:
        got = await b.get(f"/v1/orders?{query}")
        assert (got.status, got.slug) == (422, "invalid-request")
        assert [error["path"] for error in got.json()["errors"]] == [path]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("reference=" + "x" * 257, "must have at most 256 characters"),
        ("reference=", "must have at least 1 character"),
        ("limit=0", "must be at least 1"),
        ("limit=1001", "must be at most 1000"),
        ("limit=x", "must be a whole number"),
        ("limit=" + "9" * 40, "must be at most 1000"),
    ],
)
async def test_a_bad_filter_is_reported_in_words_for_people(query: str, message: str) -> None:
    async with bench(an_order()) as b:
        assert (await b.get(f"/v1/orders?{query}")).json()["errors"] == [
            {"path": query.partition("=")[0], "message": message}
        ]


async def test_every_bad_filter_is_reported_at_once() -> None:
    async with bench() as b:
        got = await b.get("/v1/orders?limit=x&situation=y&z=1")
        assert {error["path"] for error in got.json()["errors"]} == {"limit", "situation", "z"}


async def test_a_shop_of_another_daemons_config_is_no_mistake_before_the_store_has_anything_of_it() -> None:
    async with bench(an_order()) as b:
        await b.store.write(lambda tx: join(tx, "other", Presence("1", ("theirs",)), 60_000))
        assert (await b.get("/v1/orders?shop=theirs")).json()["orders"] == []
        assert (await b.get("/v1/shops/theirs/orders/1")).slug == "order-not-found"
        refused = await b.get("/v1/shops/theirs")
        assert (refused.status, refused.slug) == (404, "shop-not-found")
        assert "in the config of another daemon" in refused.json()["detail"]
        assert (await b.get("/v1/shops/nope/orders/1")).slug == "shop-not-found"


async def test_a_shop_that_never_was_is_a_mistake_and_one_that_left_keeps_its_history() -> None:
    async with bench(an_order()) as b:
        assert (await b.get("/v1/orders?shop=nope")).slug == "shop-not-found"
        del b.node.known["acme"]
        [order] = (await b.get("/v1/orders?shop=acme")).json()["orders"]
        assert (order["id"], order["allowed"]) == ("67890", [])
        shown = (await b.get("/v1/shops/acme/orders/67890")).json()
        assert (shown["id"], shown["allowed"]) == ("67890", [])
        assert (await b.get("/v1/shops/acme/orders/1")).slug == "order-not-found"
        assert (await b.get("/v1/shops/nope/orders/67890")).slug == "shop-not-found"


async def test_a_repeated_parameter_counts_once() -> None:
    async with bench(an_order("1"), an_order("2")) as b:
        assert await ids(b, "reference=R-1&reference=R-2") == ["2"]


async def test_queued_orders_of_a_paused_shop_are_shown_waiting() -> None:
    async with bench(an_order("1", situation=Situation.QUEUED), an_order("2")) as b:
        await b.store.write(lambda tx: pause_shop(tx, "acme", "person", "stocktaking", 5))
        order = (await b.get("/v1/shops/acme/orders/1")).json()
        assert order["situation"] == "waiting"
        assert order["wait"] == {"reason": "paused", "until": None, "detail": "stocktaking"}
        assert await ids(b, "situation=waiting") == ["1"]
        assert await ids(b, "situation=queued") == []
        assert (await b.get("/v1/status")).json()["totals"]["by_situation"]["waiting"] == 1


async def test_queued_orders_of_a_shop_that_waits_are_shown_waiting_until_it_goes_on() -> None:
    async with bench(an_order("1", situation=Situation.QUEUED)) as b:
        until = b.clock.now_ms() + 3_600_000
        await b.store.write(lambda tx: save_admission(tx, "acme", "closed", "retry_after", until, "too many"))
        order = (await b.get("/v1/shops/acme/orders/1")).json()
        assert (order["situation"], order["wait"]["reason"]) == ("waiting", "retry_after")
        assert order["wait"]["until"].endswith("Z")
        await b.store.write(lambda tx: save_admission(tx, "acme", "closed", "retry_after", 5, "too many"))
        assert (await b.get("/v1/shops/acme/orders/1")).json()["situation"] == "queued"


async def test_an_orders_own_wait_is_shown() -> None:
    wait = Wait("platform", 10**17, "being rejected")  # further away than dates go
    async with bench(an_order(situation=Situation.WAITING, wait=wait)) as b:
        shown = (await b.get("/v1/shops/acme/orders/67890")).json()["wait"]
        assert shown == {"reason": "platform", "until": "9999-12-31T23:59:59.999Z", "detail": "being rejected"}


async def test_an_order_is_held_and_released() -> None:
    async with bench(an_order()) as b:
        path = "/v1/shops/acme/orders/67890"
        held = (await b.post(f"{path}/hold", {"reason": "the customer called"})).json()
        assert (held["situation"], held["held_reason"]) == ("held", "the customer called")
        assert (await b.post(f"{path}/release")).json()["situation"] == "idle"
        assert (await b.post(f"{path}/release")).slug == "not-held"


async def test_a_hold_needs_no_reason_and_takes_nothing_else() -> None:
    async with bench(an_order()) as b:
        path = "/v1/shops/acme/orders/67890/hold"
        assert (await b.post(path)).status == 200
        assert (await b.post(path, {})).status == 200
        assert (await b.post(path, {"why": "x"})).slug == "invalid-request"
        assert (await b.post(path, [])).slug == "invalid-request"
        assert (await b.call("POST", path, data=b"null")).status == 415
        null = await b.call("POST", path, data=b"null", headers={"Content-Type": "application/json"})
        assert null.slug == "invalid-request"


async def test_a_skip_needs_a_reason() -> None:
    async with bench(an_order(situation=Situation.BLOCKED)) as b:
        path = "/v1/shops/acme/orders/67890/skip"
        for body in (None, {}, {"reason": None}, {"reason": "  "}):
            got = await b.post(path, body)
            assert (got.status, got.slug) == (422, "reason-required")
        assert (await b.post(path, {"reason": "done in the panel"})).status == 200


async def test_an_order_is_announced_once_for_each_key() -> None:
    async with bench(an_order(), an_order("2")) as b:
        path = "/v1/shops/acme/orders/67890/announce"
        for key, count in ((None, 1), (None, 2), ("k", 3), ("k", 3), ("l", 4)):
            got = await b.post(path, headers={} if key is None else {"Idempotency-Key": key})
            assert (got.status, got.json()["id"]) == (200, "67890")
            page = (await b.get("/v1/events?type=order.announced")).json()
            assert [event["order"] for event in page["events"]] == ["67890"] * count
        page = (await b.get("/v1/consumers/erp/events?type=order.announced&include=payload,content&limit=1")).json()
        assert {"payload", "content"} <= page["events"][0]["data"].keys(), "with what the reader includes"
        other = await b.post("/v1/shops/acme/orders/2/announce", headers={"Idempotency-Key": "k"})
        assert (other.status, other.slug) == (422, "idempotency-key-reused")
        bad = await b.post(path, headers={"Idempotency-Key": " "})
        assert (bad.status, bad.slug) == (422, "invalid-request")
        assert (await b.post("/v1/shops/acme/orders/3/announce")).slug == "order-not-found"


@pytest.mark.parametrize("name", ["retry", "skip", "hold", "release", "cancel", "announce", "refresh"])
async def test_an_order_that_is_not_known_cannot_be_operated(name: str) -> None:
    async with bench() as b:
        body = {"reason": "x"} if name == "skip" else None
        assert (await b.post(f"/v1/shops/acme/orders/404/{name}", body)).slug == "order-not-found"
        assert (await b.post(f"/v1/shops/nope/orders/404/{name}", body)).slug == "shop-not-found"
        assert (await b.get(f"/v1/shops/acme/orders/404/{name}")).slug == "method-not-allowed"


async def test_cancel_drops_every_target() -> None:
    async with bench(an_order()) as b:
        await b.submit("accepted")
        await b.submit("shipped")
        assert (await b.post("/v1/shops/acme/orders/67890/cancel")).json()["targets"] == []


async def test_a_lone_surrogate_in_what_is_kept_breaks_no_answer() -> None:
    from orchestrator.operations.writing import to_json

    assert json.loads(to_json({"reference": "\ud800"})) == {"reference": "\ud800"}


async def test_a_changed_order_is_shown_changed() -> None:
    async with bench(an_order()) as b:

        def unit(tx: Any) -> None:
            from storage.orders import get_order

            found = get_order(tx, "acme", "67890")
            assert found is not None
            save_order(tx, replace(found, state="Mystery", milestone=None))

        await b.store.write(unit)
        order = (await b.get("/v1/shops/acme/orders/67890")).json()
        assert (order["state"], order["milestone"], order["allowed"], order["version"]) == ("Mystery", None, [], 2)
