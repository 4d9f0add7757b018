"""`include=payload,content`: one order, the list, the feed in all its forms, consumers, the dump."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import TypeAdapter

from orchestrator.operations import inclusions
from orchestrator.platforms.content_document import Content
from storage.orders import insert_order
from storage.payloads import save_payload
from storage.transaction import Transaction
from tests.api.bench import Bench, an_order, bench
from tests.api.test_feed import next_event, streamed

PAYLOAD = b'{"id": 67890, "price": 10.10}'
CONTENT: dict[str, Any] = {"currency": "EUR", "note": None, "payment": {"status": "authorized"}, "tags": ["a"]}
ONE = "/v1/shops/acme/orders/67890"


@asynccontextmanager
async def filled() -> AsyncIterator[Bench]:
    """An order with its payload, one without content, and an event of each and of a shop."""
    async with bench() as b:
        await b.store.write(lambda tx: insert_order(tx, an_order(payment_status="authorized"), PAYLOAD, CONTENT))
        await b.add(an_order("2"), payload=b"{}")
        await b.emit("order.imported", shop="acme", order="67890", data={"state": "CheckQueue"})
        await b.emit("order.imported", shop="acme", order="2")
        await b.emit("sync.completed", shop="acme")
        yield b


async def of_one(b: Bench, include: str) -> list[dict[str, Any]]:
    return [(await b.get(f"{ONE}?include={include}")).json()]


async def of_list(b: Bench, include: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await b.get(f"/v1/orders?include={include}")).json()["orders"]
    return found


async def of_feed(b: Bench, include: str) -> list[dict[str, Any]]:
    return [each["data"] for each in (await b.get(f"/v1/events?include={include}")).json()["events"]]


async def of_consumer(b: Bench, include: str) -> list[dict[str, Any]]:
    return [each["data"] for each in (await b.get(f"/v1/consumers/erp/events?include={include}")).json()["events"]]


async def of_stream(b: Bench, include: str) -> list[dict[str, Any]]:
    async with streamed(b, f"?include={include}") as response:
        return [(await next_event(response))["data"]["data"] for _ in range(3)]


async def of_dump(b: Bench, include: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (await b.get(f"/v1/dump?include={include}")).body.splitlines())
    return [line for line in lines if line["kind"] == "order"]


PLACES = [of_one, of_list, of_feed, of_consumer, of_stream, of_dump]
every_place = pytest.mark.parametrize("place", PLACES)


@every_place
async def test_content_is_shown_whole_where_it_is_asked_for(place: Callable[..., Any]) -> None:
    async with filled() as b:
        first, *others = await place(b, "content")
        content = TypeAdapter(Content).validate_python(first["content"])
        assert (content["currency"], content["note"], content["bill_to"]) == ("EUR", None, None)
        assert "/bill_to" in content["gaps"]
        assert "/note" not in content["gaps"]
        assert (content["read_at"], content["stale"]) == ("2026-02-25T06:13:20.000Z", False)
        assert first["content"]["tags"] == ["a"]
        assert "payload" not in first
        assert [each["content"] for each in others] == [None] * len(others), "not read yet, or about no order"


@every_place
async def test_the_payload_is_shown_as_it_came(place: Callable[..., Any]) -> None:
    async with filled() as b:
        first, *others = await place(b, "payload,content")
        assert first["payload"] == {"id": 67890, "price": 10.10}
        assert first["content"]["currency"] == "EUR"
        assert [each["payload"] for each in others] in ([], [{}], [{}, None])


@every_place
@pytest.mark.parametrize(
    "damaged",
    [lambda _: b"", lambda _: b"\0", lambda packed: packed[:-5], lambda packed: packed[2:]],
    ids=["nothing", "a zero", "no end", "no beginning"],
)
async def test_a_kept_order_that_the_disk_damaged_is_shown_without_what_is_lost(
    place: Callable[..., Any], damaged: Callable[[bytes], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the feed or the list is not held up by one row for ever."""
    async with filled() as b:

        def damage(tx: Transaction) -> None:
            ((packed,),) = tx.query("SELECT packed FROM payloads WHERE id = ?", ("67890",))
            tx.execute("UPDATE payloads SET packed = ? WHERE id = ?", (damaged(packed), "67890"))

        await b.store.write(damage)
        first, *others = await place(b, "payload,content")
        assert (first["payload"], first["content"]) == (None, None)
        assert [each["payload"] for each in others] in ([], [{}], [{}, None])
        said = "".join(capfd.readouterr())
        assert "payload.damaged" in said
        assert "fulfilld refresh acme 67890" in said


@every_place
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_a_payload_of_many_lines_ends_no_line_of_a_stream(place: Callable[..., Any], end: str) -> None:
    indented = json.dumps({"id": 67890, "note": f"one{end}two", "lines": [{"id": 1}]}, indent=2).replace("\n", end)
    async with filled() as b:
        await b.store.write(lambda tx: save_payload(tx, "acme", "67890", indented.encode(), 0, CONTENT))
        first, *others = await place(b, "payload,content")
        assert first["payload"] == {"id": 67890, "note": f"one{end}two", "lines": [{"id": 1}]}
        assert first["content"]["currency"] == "EUR"
        assert [each["payload"] for each in others] in ([], [{}], [{}, None])


async def test_the_digits_of_a_payload_are_kept_in_every_place() -> None:
    async with filled() as b:
        for path in (f"{ONE}?", "/v1/orders?", "/v1/events?", "/v1/consumers/erp/events?", "/v1/dump?"):
            assert b'"price": 10.10' in (await b.get(f"{path}include=payload")).body


async def test_nothing_is_shown_that_nobody_asked_for() -> None:
    async with filled() as b:
        for path in (ONE, "/v1/orders", "/v1/events", "/v1/dump"):
            body = (await b.get(path)).body
            assert b'"content"' not in body
            assert b'"payload"' not in body


@pytest.mark.parametrize("path", [ONE, "/v1/orders", "/v1/events", "/v1/consumers/erp/events", "/v1/dump"])
@pytest.mark.parametrize("include", ["contents", "payload,nothing", ""])
async def test_what_cannot_be_included_is_refused_with_what_can(path: str, include: str) -> None:
    async with filled() as b:
        got = await b.get(f"{path}?include={include}")
        assert (got.status, got.slug) == (422, "invalid-request")
        (error,) = got.json()["errors"]
        assert error["path"] == "include"
        assert "'payload'" in error["message"]
        assert "'content'" in error["message"]


async def test_a_page_that_grows_large_ends_early_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inclusions, "MOST_BYTES", 10)
    async with filled() as b:
        first = (await b.get("/v1/orders?include=payload")).json()
        second = (await b.get(f"/v1/orders?include=payload&after={first['next']}")).json()
        assert [[each["id"] for each in page["orders"]] for page in (first, second)] == [["67890"], ["2"]]
        assert second["next"] is None
        page = (await b.get("/v1/events?include=payload")).json()
        assert ([each["cursor"] for each in page["events"]], page["next"]) == ([1], 1)
        page = (await b.get("/v1/events?include=payload&after=1")).json()
        assert ([each["cursor"] for each in page["events"]], page["next"]) == ([2, 3], 3)


async def test_content_of_an_older_version_is_not_shown_before_the_order_is_read() -> None:
    async with filled() as b:
        await b.store.write(lambda tx: tx.execute("UPDATE payloads SET content_version = NULL"))
        (order,) = await of_one(b, "content")
        assert order["content"] is None


async def test_the_payment_status_is_shown_and_found_in_what_an_older_version_kept() -> None:
    async with filled() as b:
        assert [each["payment_status"] for each in await of_list(b, "content")] == ["authorized", "unknown"]
        await b.store.write(lambda tx: tx.execute("UPDATE orders SET payment_status = NULL"))
        for place in (of_one, of_list, of_dump):
            assert (await place(b, "content"))[0]["payment_status"] == "authorized"


async def test_an_event_about_no_order_carries_null() -> None:
    async with filled() as b:
        await b.emit("product.updated", shop="acme", data={"id": "5"})
        *_, data = await of_feed(b, "payload,content")
        assert data == {"id": "5", "payload": None, "content": None}
