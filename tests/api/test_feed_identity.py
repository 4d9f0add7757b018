"""The feed has an id: a reader whose cursor is of another feed, or above the newest, gets an error and never waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storage import retention
from storage.identity import feed_id, settle_identity
from tests.api.bench import Bench, bench
from tests.api.test_feed import SSE, some_events


async def own_feed(b: Bench) -> str:
    return await b.store.read(feed_id)


def ahead(problem: dict[str, Any]) -> tuple[Any, ...]:
    return problem["status"], problem["type"], problem["newest"], problem["feed"]


async def test_pages_acknowledgements_and_the_status_carry_the_feed() -> None:
    async with bench() as b:
        await some_events(b)
        feed = await own_feed(b)
        assert feed
        assert (await b.get("/v1/events")).json()["feed"] == feed
        assert (await b.get("/v1/events?after=4&wait=0.01")).json() == {"events": [], "next": 4, "feed": feed}
        assert (await b.get("/v1/consumers/erp/events")).json()["feed"] == feed
        assert (await b.post("/v1/consumers/erp/ack", {"cursor": 4, "feed": feed})).json()["feed"] == feed
        assert (await b.get("/v1/status")).json()["daemon"]["feed"] == feed


async def test_a_stream_names_its_feed_before_its_events() -> None:
    async with bench() as b:
        await some_events(b)
        feed = await own_feed(b)
        async with b.session.get("http://localhost/v1/events", headers=SSE) as response:
            assert response.headers["Fulfilld-Feed"] == feed
            first = await response.content.readuntil(b"\n\n")
        assert f": feed {feed}" in first.decode().splitlines()
        assert b"data:" not in first


@pytest.mark.parametrize("wait", ["", "&wait=30"])
@pytest.mark.parametrize("query", ["after=5", "after=99&type=order.held", "after=999999999999999999&shop=acme"])
async def test_a_cursor_above_the_newest_is_refused_at_once(query: str, wait: str) -> None:
    async with bench() as b:
        await some_events(b)
        feed = await own_feed(b)
        assert ahead((await b.get(f"/v1/events?{query}{wait}")).json()) == (409, "cursor-ahead", 4, feed)
        assert ahead((await b.get(f"/v1/events?{query}{wait}", headers=SSE)).json()) == (409, "cursor-ahead", 4, feed)


async def test_a_stream_that_would_resume_above_the_newest_is_refused() -> None:
    async with bench() as b:
        await some_events(b)
        got = await b.get("/v1/events", headers={**SSE, "Last-Event-ID": "5"})
        assert ahead(got.json())[:3] == (409, "cursor-ahead", 4)
        got = await b.get("/v1/consumers/erp/events", headers={**SSE, "Last-Event-ID": "5"})
        assert ahead(got.json())[:3] == (409, "cursor-ahead", 4)


@pytest.mark.parametrize(
    "path", ["/v1/events?after=2", "/v1/consumers/erp/events?limit=5", "/v1/events?after=0&wait=30"]
)
async def test_a_cursor_of_another_feed_is_refused_though_this_one_has_come_further(path: str) -> None:
    async with bench() as b:
        await some_events(b)
        was = await own_feed(b)
        joint = "&" if "?" in path else "?"
        assert (await b.get(f"{path}{joint}feed={was}")).status == 200
        await b.store.write(lambda tx: settle_identity(tx, "another", None, "/there"))
        for headers in ({}, SSE):
            got = await b.get(f"{path}{joint}feed={was}", headers=headers)
            assert ahead(got.json()) == (409, "cursor-ahead", 4, "another")
            assert was in got.json()["detail"]


async def test_an_acknowledgement_of_another_feed_moves_nothing() -> None:
    async with bench() as b:
        await some_events(b)
        feed = await own_feed(b)
        for body in ({"cursor": 5}, {"cursor": 3, "feed": "another"}, {"cursor": 5, "feed": feed}):
            assert ahead((await b.post("/v1/consumers/erp/ack", body)).json()) == (409, "cursor-ahead", 4, feed)
        assert (await b.get("/v1/consumers/erp/events")).json()["events"][0]["cursor"] == 1


async def test_a_feed_whose_events_are_forgotten_has_still_come_as_far() -> None:
    """Else a reader that is up to date would be refused after the next start."""
    async with bench() as b:
        await some_events(b)
        later = 2**45
        keys = await b.store.read(lambda tx: retention.EVENTS.find(tx, later))
        await b.store.write(lambda tx: retention.EVENTS.forget(tx, keys, later))
        b.feed.last_cursor = 0  # as after a start
        page = (await b.get("/v1/events?after=4")).json()
        assert (page["events"], page["next"]) == ([], 4)
        assert (await b.get("/v1/events?after=5")).slug == "cursor-ahead"
        assert await b.emit("order.held", shop="acme", order="1") == 5
        assert [each["cursor"] for each in json.loads((await b.get("/v1/events?after=4")).body)["events"]] == [5]
