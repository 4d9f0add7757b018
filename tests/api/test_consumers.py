"""Consumers whose cursor is kept here: shown, put elsewhere, forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from storage.events import note_seen
from tests.api.bench import Bench, bench
from tests.api.test_feed import some_events


async def events_of(b: Bench, name: str) -> list[int]:
    page = (await b.get(f"/v1/consumers/{name}/events")).json()
    return [event["cursor"] for event in page["events"]]


async def consumers(b: Bench) -> dict[str, dict[str, Any]]:
    found = (await b.get("/v1/consumers")).json()["consumers"]
    return {each["name"]: each for each in found}


async def test_consumers_are_shown_with_how_far_they_are_behind() -> None:
    async with bench() as b:
        await some_events(b)
        assert await consumers(b) == {}
        await b.post("/v1/consumers/erp/ack", {"cursor": 3})
        await b.post("/v1/consumers/books/ack", {"cursor": 4})
        shown = await consumers(b)
        assert list(shown) == ["books", "erp"]
        assert {name: (each["cursor"], each["lag_events"]) for name, each in shown.items()} == {
            "books": (4, 0),
            "erp": (3, 1),
        }
        assert set(shown["erp"]) == {"name", "cursor", "lag_events", "lag_seconds", "last_seen_at"}
        reported = (await b.get("/v1/status")).json()["consumers"]
        assert [(each["name"], each["cursor"]) for each in reported] == [("books", 4), ("erp", 3)]


async def test_a_consumer_that_reads_or_acknowledges_was_seen_whether_there_is_anything_new_or_not() -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 4})

        async def seen_again(call: str) -> bool:
            long_ago = "2020-01-01T00:00:00.000Z"
            await b.store.write(lambda tx: note_seen(tx, "erp", 1_577_836_800_000))
            assert (await consumers(b))["erp"]["last_seen_at"] == long_ago
            if call == "ack":
                await b.post("/v1/consumers/erp/ack", {"cursor": 2})
            else:
                await b.get(f"/v1/consumers/erp/{call}")
            found = (await consumers(b))["erp"]
            assert found["cursor"] == 4
            return bool(found["last_seen_at"] > long_ago)

        assert await seen_again("ack")
        assert await seen_again("events")
        assert await seen_again("events?type=order.*")
        await events_of(b, "nobody")
        assert list(await consumers(b)) == ["erp"], "reading alone makes none"


@pytest.mark.parametrize("cursor", [0, 1, 2, 4])
async def test_a_consumer_goes_on_behind_the_cursor_that_it_was_put_to(cursor: int) -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 2})
        got = await b.post("/v1/consumers/erp/seek", {"cursor": cursor})
        assert (got.status, got.json()["name"], got.json()["cursor"]) == (200, "erp", cursor)
        assert got.json()["feed"] == (await b.get("/v1/events")).json()["feed"]
        assert await events_of(b, "erp") == list(range(cursor + 1, 5))
        assert (await b.post("/v1/consumers/erp/ack", {"cursor": 4})).json()["cursor"] == 4


@pytest.mark.parametrize("body", [{"cursor": 5}, {"cursor": 10**17}, {"cursor": 1, "feed": "another"}])
async def test_a_cursor_that_the_feed_has_not_come_to_moves_nobody(body: dict[str, Any]) -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 2})
        problem = (await b.post("/v1/consumers/erp/seek", body)).json()
        assert (problem["status"], problem["type"], problem["newest"]) == (409, "cursor-ahead", 4)
        assert problem["feed"]
        assert await events_of(b, "erp") == [3, 4]


async def test_a_forgotten_consumer_begins_anew_and_is_not_shown() -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 3})
        got = await b.call("DELETE", "/v1/consumers/erp")
        assert (got.status, got.json()["name"], got.json()["cursor"]) == (200, "erp", 3)
        assert await consumers(b) == {}
        assert await events_of(b, "erp") == [1, 2, 3, 4]
        assert (await b.call("DELETE", "/v1/consumers/erp")).slug == "consumer-not-found"


@pytest.mark.parametrize("name", ["nobody", "ERP", "orders_url"])
async def test_a_name_that_nobody_has_is_reported_with_those_that_there_are(name: str) -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 3})
        for got in (
            await b.post(f"/v1/consumers/{name}/seek", {"cursor": 1}),
            await b.call("DELETE", f"/v1/consumers/{name}"),
        ):
            assert (got.status, got.slug) == (404, "consumer-not-found")
            assert "erp" in got.json()["detail"]
        assert list(await consumers(b)) == ["erp"]


@pytest.mark.parametrize("name", ["delivery:orders_url", ".ready"])
async def test_the_daemons_own_cursors_are_nobodys_to_move(name: str) -> None:
    async with bench() as b:
        await some_events(b)
        await b.get("/v1/ready")
        assert (await b.post(f"/v1/consumers/{name}/seek", {"cursor": 1})).slug == "invalid-request"
        assert (await b.call("DELETE", f"/v1/consumers/{name}")).slug == "invalid-request"
        assert await consumers(b) == {}


@pytest.mark.parametrize("body", [None, {}, {"cursor": -1}, {"cursor": "1"}, {"cursor": 1, "more": 2}, {"cursor": 1.5}])
async def test_what_is_no_cursor_is_refused(body: Any) -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 3})
        got = await b.post("/v1/consumers/erp/seek", body)
        assert got.status in (400, 415, 422)
        assert await events_of(b, "erp") == [4]
