"""Many targets in one request."""

from __future__ import annotations

import gzip
import io
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from orchestrator.api.handlers import bulk
from orchestrator.api.lines import LONGEST_LINE_BYTES
from storage.errors import StoreUnavailable
from tests.api.bench import Bench, an_order, bench

NDJSON = {"Content-Type": "application/x-ndjson"}
HEAD = b"POST /v1/targets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"


def line(order: str = "1", state: str = "accepted", **fields: Any) -> bytes:
    return json.dumps({"shop": "acme", "order": order, "state": state, **fields}).encode() + b"\n"


async def sent(b: Bench, body: bytes, **headers: str) -> list[dict[str, Any]]:
    got = await b.call("POST", "/v1/targets", data=io.BytesIO(body), headers={**NDJSON, **headers})
    assert got.status == 200, got
    assert got.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(each) for each in got.body.splitlines()]


def orders(count: int) -> list[Any]:
    return [an_order(str(number)) for number in range(count)]


async def test_every_line_is_answered_in_order() -> None:
    async with bench(*orders(200)) as b:
        answers = await sent(b, b"".join(line(str(number)) for number in range(200)))
        assert [answer["line"] for answer in answers] == list(range(1, 201))
        assert [answer["target"]["order"] for answer in answers] == [str(number) for number in range(200)]
        assert {answer["status"] for answer in answers} == {202}
        assert sum(b.commands.units) == 200
        assert max(b.commands.units) == 100


async def test_lines_that_came_together_are_accepted_together() -> None:
    async with bench(*orders(30)) as b:
        await sent(b, b"".join(line(str(number % 30)) for number in range(250)))
        assert sum(b.commands.units) == 250
        assert len(b.commands.units) < 10


async def test_lines_of_orders_that_have_to_be_read_are_submitted_by_themselves_and_in_sequence() -> None:
    async with bench(*orders(3)) as b:
        body = b"".join(line(order, state) for state in ("accepted", "shipped") for order in ("0", "404", "1", "405"))
        answers = await sent(b, body)
        assert [answer["status"] for answer in answers] == [202, 404, 202, 404] * 2
        alone = [(r.state, order) for _, order, r, _ in b.commands.alone]
        assert [each for each in alone if each[1] == "404"] == [("accepted", "404"), ("shipped", "404")]


async def test_lines_of_many_unknown_orders_are_worked_on_a_few_at_a_time() -> None:
    async with bench() as b:
        answers = await sent(b, b"".join(line(str(number)) for number in range(300)))
        assert [answer["line"] for answer in answers] == list(range(1, 301))
        assert {answer["status"] for answer in answers} == {404}
        assert 1 < b.commands.most_at_once <= 64


async def test_a_bad_line_fails_alone() -> None:
    lines = [
        line("0"),
        b"{\n",
        b"\n",
        b'{"shop": "acme", "order": "0"}\n',
        line("404"),
        json.dumps({"shop": "nope", "order": "0", "state": "accepted"}).encode() + b"\n",
        line("0", "Bestellt"),
        line("0", colour="red"),
        b"[]\n",
        b'{"shop": "acme", "order": "0", "state": "\\ud800"}\n',
        b"\xff\n",
        line(0, "accepted"),  # type: ignore[arg-type]
        line("0", "shipped")[:-1],
    ]
    async with bench(*orders(1)) as b:
        answers = await sent(b, b"".join(lines))
        reported = [(a["line"], a["status"], a.get("problem", {}).get("type")) for a in answers]
        assert reported == [
            (1, 202, None),
            (2, 400, "malformed-json"),
            (4, 422, "invalid-target"),
            (5, 404, "order-not-found"),
            (6, 404, "shop-not-found"),
            (7, 422, "unknown-state"),
            (8, 422, "invalid-target"),
            (9, 422, "invalid-target"),
            (10, 422, "invalid-target"),
            (11, 400, "malformed-json"),
            (12, 202, None),
            (13, 202, None),
        ]
        assert answers[2]["problem"]["errors"][0]["path"] == "state"
        garbage = answers[1]["problem"]["detail"]
        assert garbage.startswith("column "), "the line is reported beside it"


async def test_a_line_that_is_too_long_fails_alone() -> None:
    long = line("0", reason="x" * (LONGEST_LINE_BYTES + 10))
    async with bench(*orders(1)) as b:
        answers = await sent(b, line("0") + long + line("0") + long[:-1])
        assert [(a["line"], a["status"]) for a in answers] == [(1, 202), (2, 413), (3, 202), (4, 413)]
        assert answers[1]["problem"]["type"] == "body-too-large"


async def test_keys_make_repeats_harmless() -> None:
    async with bench(*orders(1)) as b:
        answers = await sent(b, line("0", key="k") * 2 + line("0", "shipped", key="k") + line("0", key=""))
        assert answers[0]["target"] == answers[1]["target"]
        assert [answer["status"] for answer in answers] == [202, 202, 422, 422]
        assert answers[2]["problem"]["type"] == "idempotency-key-reused"


@pytest.mark.parametrize(
    ("key", "is_taken"), [("a b", True), ("x" * 255, True), (" a", False), ("é", False), ("x" * 256, False)]
)
async def test_a_key_is_one_in_a_line_exactly_if_it_is_one_in_the_header(key: str, is_taken: bool) -> None:
    async with bench(*orders(1)) as b:
        [answer] = await sent(b, line("0", key=key))
        assert (answer["status"] == 202) is is_taken
        if not is_taken:
            [error] = answer["problem"]["errors"]
            assert error["path"] == "key"
            assert error["message"].startswith("must be 1 to 255 printable ASCII characters")
        if key == key.strip():  # blanks around a header's value are no part of it
            single = await b.post(
                "/v1/shops/acme/orders/0/targets", {"state": "accepted"}, headers={"Idempotency-Key": key}
            )
            assert (single.status == 202) is is_taken


@pytest.mark.parametrize("media_type", ["application/json", "application/ndjson", "application/jsonl; charset=utf-8"])
async def test_lines_are_taken_by_any_of_their_types(media_type: str) -> None:
    async with bench(*orders(2)) as b:
        answers = await sent(b, line("0") + line("1")[:-1], **{"Content-Type": media_type})
        assert [answer["status"] for answer in answers] == [202, 202]


async def test_a_mark_and_the_line_ends_of_windows_are_no_part_of_the_lines() -> None:
    async with bench(*orders(2)) as b:
        body = b"\xef\xbb\xbf" + line("0").replace(b"\n", b"\r\n") + b"\r\n" + line("1").replace(b"\n", b"\r\n")
        answers = await sent(b, body)
        assert [(answer["line"], answer["status"]) for answer in answers] == [(1, 202), (3, 202)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
async def test_lines_in_another_encoding_are_refused_in_words(encoding: str) -> None:
    async with bench(*orders(2)) as b:
        answers = await sent(b, (line("0") + line("1")).decode().encode(encoding))
        assert answers
        assert {answer["status"] for answer in answers} == {400}
        assert "send UTF-8" in answers[0]["problem"]["detail"]
        assert b.commands.submitted == []


async def test_lines_of_one_order_are_submitted_one_after_the_other() -> None:
    states = ["accepted", "preparing", "shipped", "delivered"]
    async with bench(*orders(20)) as b:
        await sent(b, b"".join(line(str(n), state) for state in states for n in range(20)))
        for number in range(20):
            assert [r.state for _, order, r, _ in b.commands.submitted if order == str(number)] == states


async def test_lines_are_answered_while_more_are_sent() -> None:
    async with bench(*orders(2)) as b:
        answered = anyio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield line("0")
            await answered.wait()
            yield line("1")

        async with b.session.post("http://localhost/v1/targets", data=body(), headers=NDJSON) as response:
            first = json.loads(await response.content.readline())
            assert first["line"] == 1
            answered.set()
            assert json.loads(await response.content.readline())["line"] == 2
            assert await response.content.read() == b""


async def test_a_client_that_sends_everything_before_it_reads_is_served() -> None:
    """Answers are several times as long as lines: they must not fill the pipe and stop the reading."""
    count = 3000
    async with bench(*orders(3)) as b:
        body = b"".join(line(str(number % 3), "nonsense") for number in range(count))

        def send_then_read() -> bytes:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(60)
                sock.connect(str(b.served.socket))
                head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
                sock.sendall(head + body)
                return b"".join(iter(lambda: sock.recv(65536), b""))

        got = await anyio.to_thread.run_sync(send_then_read)
        assert got.count(b'"unknown-state"') == count


async def test_reading_stops_when_answers_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_UNREAD_BYTES", 0)
    async with bench(*orders(1)) as b:
        assert len(await sent(b, line("0", "nonsense") * 500)) == 500


async def test_a_compressed_body_is_taken() -> None:
    async with bench(*orders(1)) as b:
        body = gzip.compress(line("0") * 5)
        assert len(await sent(b, body, **{"Content-Encoding": "gzip"})) == 5


async def test_others_get_their_turn_while_a_body_of_blank_lines_is_read() -> None:
    """What is unpacked already is read without a pause: one kilobyte of these held the daemon for minutes."""
    async with bench(*orders(1)) as b:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as group:
            group.start_soon(count)
            body = gzip.compress(b"\n" * 2_000_000 + line("0"))
            [answer] = await sent(b, body, **{"Content-Encoding": "gzip"})
            group.cancel_scope.cancel()
        assert answer["line"] == 2_000_001
        assert turns > 100


async def test_nothing_sent_is_nothing_answered() -> None:
    async with bench() as b:
        assert await sent(b, b"") == []


async def test_a_failing_store_is_reported_line_by_line() -> None:
    async with bench(*orders(1)) as b:
        b.commands.failure = StoreUnavailable("disk full")
        [answer] = await sent(b, line("0"))
        assert (answer["status"], answer["problem"]["type"]) == (503, "overloaded")


async def test_a_draining_daemon_takes_no_bulk() -> None:
    async with bench() as b:
        b.node.is_draining = True
        got = await b.call("POST", "/v1/targets", data=line(), headers=NDJSON)
        assert (got.status, got.slug) == (503, "draining")


async def test_a_body_of_another_type_is_refused() -> None:
    async with bench() as b:
        got = await b.call("POST", "/v1/targets", data=line(), headers={"Content-Type": "text/csv"})
        assert (got.status, got.slug) == (415, "unsupported-media-type")


async def test_a_body_that_breaks_off_cuts_the_answer_and_keeps_what_was_whole() -> None:
    async with bench(*orders(1)) as b:

        def send_half() -> bytes:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(30)
                sock.connect(str(b.served.socket))
                sock.sendall(HEAD + b"Content-Length: 9999\r\n\r\n")
                sock.sendall(line("0") + line("0", "shipped")[:20])
                got = sock.recv(65536)
                while b'"line":1' not in got:
                    got += sock.recv(65536)
                sock.shutdown(socket.SHUT_WR)
                return got + b"".join(iter(lambda: sock.recv(65536), b""))

        got = await anyio.to_thread.run_sync(send_half)
        assert b'"line":2' not in got
        assert not got.endswith(b"0\r\n\r\n")
        assert [request.state for _, _, request, _ in b.commands.submitted] == ["accepted"]


async def test_a_client_that_goes_away_ends_the_work_and_what_it_sent_is_done() -> None:
    async with bench(*orders(1)) as b:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(b.served.socket))
            sock.sendall(HEAD + b"Content-Length: 9999\r\n\r\n" + line("0"))
            await b.feed.wait_beyond(0)
        with anyio.fail_after(60):
            while b'route="/v1/targets",status="200"' not in b.metrics.render({}):
                await anyio.lowlevel.checkpoint()
        assert len(b.commands.submitted) == 1


async def test_a_field_that_cannot_narrow_is_refused_alike_wherever_a_target_comes_in() -> None:
    fields: dict[str, Any] = {"items": ["1"]}
    async with bench(an_order()) as b:
        (answer,) = await sent(b, line("67890", "shipped", **fields))
        alone = await b.submit("shipped", **fields)
        preview = await b.submit("shipped", query="?dry_run=true", **fields)
        for problem in (answer["problem"], alone.json(), preview.json()):
            assert (problem["type"], problem["status"]) == ("not-allowed", 409)
            assert "leave out 2" in problem["reason"]
        assert b.commands.submitted == [] or (await b.get("/v1/shops/acme/orders/67890")).json()["targets"] == []
