"""The event feed: pages, long polls, server-sent events, consumers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import pytest

from orchestrator.api.handlers import feed
from orchestrator.clock import rfc3339
from storage.events import append_event
from storage.retention import EVENTS
from tests.api.bench import Bench, bench

SSE = {"Accept": "text/event-stream"}


async def some_events(b: Bench) -> None:
    await b.emit("order.imported", shop="acme", order="1", data={"state": "CheckQueue"})
    await b.emit("order.imported", shop="acme", order="2")
    await b.emit("order.held", shop="acme", order="1")
    await b.emit("sync.completed", shop="żółw & co")


async def cursors(b: Bench, query: str) -> tuple[list[int], int]:
    got = await b.get(f"/v1/events?{query}")
    assert got.status == 200, got
    page = got.json()
    return [event["cursor"] for event in page["events"]], page["next"]


async def test_events_are_read_from_a_cursor() -> None:
    async with bench() as b:
        await some_events(b)
        first = (await b.get("/v1/events")).json()["events"][0]
        assert first.pop("at").endswith("Z")
        assert first == {
            "cursor": 1,
            "type": "order.imported",
            "shop": "acme",
            "order": "1",
            "target": None,
            "data": {"state": "CheckQueue"},
        }
        assert await cursors(b, "limit=3") == ([1, 2, 3], 3)
        assert await cursors(b, "after=3") == ([4], 4)
        assert await cursors(b, "after=4") == ([], 4)


async def test_events_are_filtered_and_the_reader_moves_on_over_the_others() -> None:
    async with bench() as b:
        await some_events(b)
        assert await cursors(b, "shop=acme&order=1") == ([1, 3], 4)
        assert await cursors(b, "type=order.held&type=sync.completed") == ([3, 4], 4)
        assert await cursors(b, "type=order.held,sync.completed&limit=1") == ([3], 3)
        assert await cursors(b, "type=target.reached") == ([], 4)
        assert (await b.get("/v1/events?shop=nope")).slug == "shop-not-found"


async def test_the_newest_events_of_a_filter_are_asked_for_by_their_number() -> None:
    async with bench() as b:
        await some_events(b)
        assert await cursors(b, "tail=2") == ([3, 4], 4)
        assert await cursors(b, "tail=99") == ([1, 2, 3, 4], 4)
        assert await cursors(b, "tail=0") == ([], 4)
        assert await cursors(b, "tail=1&shop=acme") == ([3], 4)
        assert await cursors(b, "tail=1&type=order.imported&order=1") == ([1], 4)
        assert await cursors(b, "tail=3&limit=2") == ([2, 3], 3)
        assert await cursors(b, "tail=3&after=3") == ([4], 4)
        assert await cursors(b, "tail=1&type=target.reached") == ([], 4)


async def test_events_are_asked_for_from_an_instant_on() -> None:
    async with bench() as b:
        await some_events(b)
        later = b.clock.now_ms() + 3_600_000
        now = rfc3339(later)
        assert await cursors(b, f"since={now}") == ([], 4)
        for shop in ("żółw & co", "acme", "acme", "żółw & co"):
            await b.store.write(partial(append_event, at=later, type="order.held", shop=shop, order="1"))
        assert await cursors(b, f"since={now}") == ([5, 6, 7, 8], 8)
        assert await cursors(b, f"since={now}&shop=acme&tail=2") == ([6, 7], 8)
        assert await cursors(b, f"since={now}&tail=99") == ([5, 6, 7, 8], 8)
        assert await cursors(b, "since=2001-01-01T00:00:00Z&limit=1") == ([1], 1)


async def test_a_stream_begins_where_it_is_asked_to_and_resumes_where_it_was() -> None:
    async with bench() as b:
        await some_events(b)
        async with streamed(b, "?tail=1") as response:
            assert (await next_event(response))["id"] == "4"
        async with streamed(b, "?tail=1", **{"Last-Event-ID": "2"}) as response:
            assert (await next_event(response))["id"] == "3"


@pytest.mark.parametrize("query", ["tail=-1", "tail=x", "since=yesterday", "since=2026-01-01"])
async def test_a_beginning_that_cannot_be_read_is_refused(query: str) -> None:
    async with bench() as b:
        assert (await b.get(f"/v1/events?{query}")).slug == "invalid-request"


@pytest.mark.parametrize(
    "query", ["after=-1", "limit=0", "limit=1001", "wait=301", "wait=-1", "wait=nan", "type=x.y", "from=1", "order="]
)
async def test_bad_parameters_are_refused(query: str) -> None:
    async with bench() as b:
        assert (await b.get(f"/v1/events?{query}")).slug == "invalid-request"


async def test_a_long_poll_is_woken_by_the_event_that_it_waits_for() -> None:
    async with bench() as b, anyio.create_task_group() as group:
        await some_events(b)

        async def emit() -> None:
            await b.emit("order.imported", shop="acme", order="9")
            await b.emit("order.held", shop="acme", order="9")

        group.start_soon(emit)
        assert await cursors(b, "after=4&type=order.held&wait=100") == ([6], 6)


async def test_a_long_poll_in_vain_answers_an_empty_page() -> None:
    async with bench() as b:
        assert await cursors(b, "after=0&wait=0.02") == ([], 0)


async def test_a_long_poll_on_a_forgotten_feed_sleeps_until_there_is_an_event() -> None:
    async with bench() as b, anyio.create_task_group() as group:
        await some_events(b)
        await b.store.write(lambda tx: EVENTS.forget(tx, EVENTS.find(tx, 1 << 60), 1 << 60))

        async def emit() -> None:
            await b.emit("order.held", shop="acme", order="9")

        group.start_soon(emit)
        assert await cursors(b, "after=0&wait=100") == ([5], 5)


async def test_long_polls_end_when_the_daemon_does() -> None:
    async with bench() as b, anyio.create_task_group() as group:

        async def end() -> None:
            b.feed.close()

        group.start_soon(end)
        assert await cursors(b, "wait=300") == ([], 0)


@asynccontextmanager
async def streamed(b: Bench, query: str = "", **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"http://localhost/v1/events{query}"
    async with b.session.get(url, headers={**SSE, **headers}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        yield response


async def next_event(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next frame that is an event, as its fields."""
    fields: dict[str, Any] = {}
    while True:
        line = (await response.content.readline()).decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            return {**fields, "data": json.loads(fields["data"])}
        else:
            fields = {}


async def test_a_stream_brings_what_was_and_what_comes() -> None:
    async with bench() as b:
        await some_events(b)
        async with streamed(b, "?after=2") as response:
            first, second = await next_event(response), await next_event(response)
            assert [first["id"], second["id"]] == ["3", "4"]
            assert first["event"] == first["data"]["type"] == "order.held"
            await b.emit("order.released", shop="acme", order="1")
            assert (await next_event(response))["data"]["cursor"] == 5


async def test_a_stream_resumes_behind_the_last_event_that_was_seen() -> None:
    async with bench() as b:
        await some_events(b)
        async with streamed(b, "?after=0&type=order.imported", **{"Last-Event-ID": "1"}) as response:
            assert (await next_event(response))["id"] == "2"
        assert (await b.get("/v1/events", headers={**SSE, "Last-Event-ID": "x"})).slug == "invalid-request"
        assert (await b.get("/v1/events?shop=nope", headers=SSE)).slug == "shop-not-found"


async def test_the_last_event_that_was_seen_counts_more_than_after() -> None:
    async with bench() as b:
        await some_events(b)
        for after in (0, 1, 4):
            async with streamed(b, f"?after={after}", **{"Last-Event-ID": "2"}) as response:
                assert (await next_event(response))["id"] == "3"


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream;q=0.5", True),
        ("text/event-stream, */*", True),
        ("text/event-stream, application/json;q=0.9", True),
        ("application/json;q=0.1, text/event-stream", True),
        ("application/json, text/event-stream;q=0.1", False),
        ("application/json, text/event-stream", False),
        ("application/json, text/event-stream;q=0", False),
        ("text/event-stream;q=0", False),
        ("application/x-text/event-stream", False),
        ("*/*", False),
        ("", False),
    ],
)
async def test_a_reader_gets_the_form_that_it_likes_better(accept: str, is_stream: bool) -> None:
    async with bench() as b:
        got = await b.call("HEAD", "/v1/events", headers={"Accept": accept})
        assert got.headers["Content-Type"] == ("text/event-stream" if is_stream else "application/json")


@pytest.mark.parametrize(
    ("wanted", "cursors_found"),
    [
        ("type=order.*", [1, 2, 3]),
        ("type=ORDER.*", [1, 2, 3]),
        ("type=order.h*,sync.*", [3, 4]),
        ("type=*.completed&type=order.imported", [1, 2, 4]),
        ("type=*", [1, 2, 3, 4]),
        ("type=shop.*", []),
    ],
)
async def test_types_are_chosen_by_patterns_too(wanted: str, cursors_found: list[int]) -> None:
    async with bench() as b:
        await some_events(b)
        assert (await cursors(b, wanted))[0] == cursors_found
        page = (await b.get(f"/v1/consumers/erp/events?{wanted}")).json()
        assert [event["cursor"] for event in page["events"]] == cursors_found
        if cursors_found:
            async with streamed(b, f"?{wanted}") as response:
                assert (await next_event(response))["id"] == str(cursors_found[0])


@pytest.mark.parametrize(
    "wanted", ["x.*", "order", "order.imp", "order.?mported", "[a-z]*", "target.reached,ordr.*", ""]
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/consumers/erp/events"])
async def test_a_pattern_that_no_type_matches_is_refused_with_the_known_ones(path: str, wanted: str) -> None:
    async with bench() as b:
        got = await b.get(f"{path}?type={wanted}")
        assert (got.status, got.slug) == (422, "invalid-request")
        [error] = got.json()["errors"]
        assert error["path"] == "type"
        assert "order.imported" in error["message"]
        assert "order.*" in error["message"]


async def test_a_bad_type_is_reported_by_the_parameters_name() -> None:
    async with bench() as b:
        got = await b.get("/v1/events?type=target.reached,bogus")
        assert [error["path"] for error in got.json()["errors"]] == ["type"]


async def test_a_silent_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "KEEP_ALIVE_SECONDS", 0.01)
    async with bench() as b, streamed(b) as response:
        lines = [await response.content.readline() for _ in range(6)]
        assert b": keep-alive\n" in lines


async def test_streams_end_when_the_daemon_does() -> None:
    async with bench() as b, streamed(b) as response:
        await response.content.readline()
        b.feed.close()
        with anyio.fail_after(60):
            await response.content.read()


async def test_a_stream_that_nobody_reads_any_more_ends() -> None:
    async with bench() as b:
        async with streamed(b) as response:
            await response.content.readline()
            response.close()
        with anyio.fail_after(60):
            while b.metrics.render({}).find(b'route="/v1/events",status="200"') < 0:
                await b.emit("order.held", shop="acme", order="1")
                await anyio.lowlevel.checkpoint()


async def test_a_consumers_cursor_is_kept_and_never_goes_back() -> None:
    async with bench() as b:
        await some_events(b)
        page = (await b.get("/v1/consumers/erp/events?limit=2")).json()
        assert ([event["cursor"] for event in page["events"]], page["next"]) == ([1, 2], 2)
        moved = (await b.post("/v1/consumers/erp/ack", {"cursor": 2})).json()
        assert (moved["name"], moved["cursor"]) == ("erp", 2)
        assert (await b.post("/v1/consumers/erp/ack", {"cursor": 1})).json()["cursor"] == 2
        page = (await b.get("/v1/consumers/erp/events")).json()
        assert [event["cursor"] for event in page["events"]] == [3, 4]
        assert len((await b.get("/v1/consumers/other/events")).json()["events"]) == 4


async def test_a_consumer_can_stream_too() -> None:
    async with bench() as b:
        await some_events(b)
        await b.post("/v1/consumers/erp/ack", {"cursor": 3})
        async with b.session.get("http://localhost/v1/consumers/erp/events", headers=SSE) as response:
            assert (await next_event(response))["id"] == "4"


@pytest.mark.parametrize("body", [{"cursor": -1}, {"cursor": "1"}, {"cursor": True}, {}, None])
async def test_a_cursor_that_is_none_is_refused(body: Any) -> None:
    async with bench() as b:
        await some_events(b)
        got = await b.post("/v1/consumers/erp/ack", body)
        assert (got.status, got.slug) == (422, "invalid-request")
        assert got.json()["errors"]


@pytest.mark.parametrize("name", [".ready", "a%20b", "x" * 65, "%C5%BC"])
async def test_a_name_that_is_no_consumers_is_refused(name: str) -> None:
    async with bench() as b:
        assert (await b.get(f"/v1/consumers/{name}/events")).slug == "invalid-request"
        assert (await b.post(f"/v1/consumers/{name}/ack", {"cursor": 0})).slug == "invalid-request"


async def test_instants_and_problems_inside_an_event_are_written_as_everywhere() -> None:
    async with bench() as b:
        await b.emit("step.failed", shop="acme", data={"next_attempt_at": 1_772_000_000_000, "kind": "transient"})
        problem = {"type": "rejected", "title": "t", "detail": "d", "step": None}
        await b.emit("order.blocked", shop="acme", data={"problem": problem})
        await b.emit("import.rejected", shop="acme", data={"id": 7})
        failed, blocked, rejected = (await b.get("/v1/events")).json()["events"]
        assert failed["data"]["next_attempt_at"] == "2026-02-25T06:13:20.000Z"
        assert blocked["data"]["problem"]["since"] == blocked["at"]
        assert rejected["data"]["id"] == "7"
