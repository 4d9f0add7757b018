"""The event feed and the dump."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from orchestrator.cli.client import Client
from orchestrator.cli.commands.feed import _pages
from orchestrator.cli.instants import instant_of
from orchestrator.cli.place import Address
from tests.cli.fake import FakeDaemon, Run, a_status, an_event


def test_events_are_read_to_the_end_from_a_cursor(daemon: FakeDaemon, fulfilld: Run) -> None:
    pages = [
        {"events": [an_event(6), an_event(7)], "next": 7},
        {"events": [an_event(8)], "next": 8},
        {"events": [], "next": 8},
    ]
    daemon.answers["GET", "/v1/events"] = pages
    result = fulfilld("events", "--after", "5", "--json")
    assert [json.loads(line)["cursor"] for line in result.stdout.splitlines()] == [6, 7, 8]
    assert [query["after"] for _, _, query, _, _ in daemon.calls] == ["5", "7", "8"]
    assert all("wait" not in query for _, _, query, _, _ in daemon.calls)


def test_events_as_json_are_the_events_of_the_api(daemon: FakeDaemon, fulfilld: Run) -> None:
    event = an_event(1, data={"id": 9007199254740995, "name": "Łukasz"})
    daemon.answers["GET", "/v1/events"] = [{"events": [event], "next": 1}, {"events": [], "next": 1}]
    assert json.loads(fulfilld("events", "--json").stdout) == event


def test_events_are_filtered_by_the_daemon(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/events"] = {"events": [], "next": 0}
    assert fulfilld("events", "--shop", "acme", "--order", "1", "--type", "step.done").stdout == ""
    expected = {"shop": "acme", "order": "1", "type": "step.done", "after": "0", "limit": "1000"}
    assert daemon.calls[0][2] == expected


def test_several_types_may_be_asked_for_one_by_one_and_as_a_list(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/events"] = {"events": [], "next": 0}
    assert fulfilld("events", "--type", "step.done,order.held", "--type", "target.failed").exit_code == 0
    assert daemon.calls[0][2]["type"] == "step.done,order.held,target.failed"


def test_the_newest_events_are_asked_for_once_and_the_cursor_goes_on(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/events"] = [{"events": [an_event(9)], "next": 9}, {"events": [], "next": 9}]
    assert fulfilld("events", "--tail", "5", "--since", "2026-03-01T12:00Z").exit_code == 0
    first, second = (query for _, _, query, _, _ in daemon.calls)
    assert (first["tail"], first["since"]) == ("5", "2026-03-01T12:00:00.000Z")
    assert (second["after"], second.keys() & {"tail", "since"}) == ("9", set())


@pytest.mark.parametrize("given", ["soon", "1y", "2026-13-01", "", "999999999w"])
def test_a_time_that_cannot_be_read_is_refused_with_examples(fulfilld: Run, given: str) -> None:
    result = fulfilld("events", "--since", given)
    assert result.exit_code == 2
    assert "1h" in result.stderr


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("90s", "2026-03-01T11:58:30.000Z"),
        ("15m", "2026-03-01T11:45:00.000Z"),
        ("1h", "2026-03-01T11:00:00.000Z"),
        ("2D", "2026-02-27T12:00:00.000Z"),
        ("1w", "2026-02-22T12:00:00.000Z"),
        ("2026-02-28", "2026-02-28T00:00:00.000Z"),
        ("2026-02-28T10:30", "2026-02-28T10:30:00.000Z"),
        ("2026-02-28T10:30:00+01:00", "2026-02-28T09:30:00.000Z"),
    ],
)
def test_a_time_is_so_long_ago_or_one_of_the_calendar(given: str, instant: str) -> None:
    noon = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
    assert instant_of(given, noon) == instant


def test_an_event_is_one_line(daemon: FakeDaemon, fulfilld: Run) -> None:
    event = an_event(1, type="step.failed", data={"step": "send", "kind": "transient", "attempt": 2, "payload": {}})
    daemon.answers["GET", "/v1/events"] = [{"events": [event], "next": 1}, {"events": [], "next": 1}]
    (text,) = fulfilld("events").stdout.splitlines()
    assert "step.failed" in text
    assert text.endswith("send kind=transient attempt=2")


def test_following_waits_for_events_and_outlives_a_daemon_that_drains(daemon: FakeDaemon) -> None:
    draining = (503, {"type": "draining", "title": "The daemon is shutting down", "status": 503})
    daemon.answers["GET", "/v1/events"] = [
        {"events": [an_event(1)], "next": 1},
        draining,
        {"events": [], "next": 1},
        {"events": [an_event(2)], "next": 2},
    ]
    pages = _pages(Client(Address("a test", socket=daemon.socket)), 0, {}, is_following=True)
    assert [next(pages)[0]["cursor"], next(pages)[0]["cursor"]] == [1, 2]
    assert [(query["after"], query.get("wait")) for _, _, query, _, _ in daemon.calls] == [
        ("0", None),
        ("1", "30"),
        ("1", "30"),
        ("1", "30"),
    ]


def test_following_a_daemon_that_was_never_there_fails_at_once(run: Run, directory: Path) -> None:
    assert run("--socket", str(directory / "none.sock"), "events", "--follow").exit_code == 3


async def _dump(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    await response.write(b'{"shop": 1}\n{"order"')
    await response.write(b': "\xc5\x81"}\n')
    return response


async def _cut_dump(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"shop": 1}\n')
    assert request.transport is not None
    request.transport.close()
    return response


def test_a_dump_is_printed_byte_for_byte(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/dump"] = _dump
    result = fulfilld("dump")
    assert (result.exit_code, result.stdout_bytes) == (0, b'{"shop": 1}\n{"order": "\xc5\x81"}\n')


def test_a_dump_file_appears_when_it_is_complete(daemon: FakeDaemon, fulfilld: Run, directory: Path) -> None:
    daemon.answers["GET", "/v1/dump"] = _dump
    target = directory / "all.ndjson"
    result = fulfilld("dump", "--output", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.read_bytes() == b'{"shop": 1}\n{"order": "\xc5\x81"}\n'
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_dump_that_is_cut_fails_and_leaves_what_was_there(daemon: FakeDaemon, fulfilld: Run, directory: Path) -> None:
    daemon.answers["GET", "/v1/dump"] = _cut_dump
    target = directory / "all.ndjson"
    target.write_text("yesterday's")
    before = sorted(directory.iterdir())
    result = fulfilld("dump", "--output", str(target))
    assert result.exit_code == 3
    assert target.read_text() == "yesterday's"
    assert sorted(directory.iterdir()) == before


def test_a_dump_into_nowhere_says_so(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/dump"] = _dump
    result = fulfilld("dump", "--output", "no/such/directory/file")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_cursor_of_another_feed_ends_the_reading_with_what_to_do(daemon: FakeDaemon, fulfilld: Run) -> None:
    ahead = {
        "type": "cursor-ahead",
        "title": "The feed has not come that far",
        "status": 409,
        "detail": "x",
        "newest": 4,
    }
    daemon.answers["GET", "/v1/events"] = [{"events": [an_event(9)], "next": 9, "feed": "aa"}, (409, ahead)]
    result = fulfilld("events", "--follow", "--json")
    assert (result.exit_code, json.loads(result.stdout)["cursor"]) == (5, 9)
    assert "`fulfilld events --after 0`" in " ".join(result.stderr.split())
    assert [query.get("feed") for _, _, query, _, _ in daemon.calls] == [None, "aa"]


def test_a_shop_of_a_restored_store_says_how_it_goes_on(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_status()
    dump["shops"][0] |= {
        "name": "acme",
        "paused": True,
        "paused_by": "restore",
        "paused_reason": "this store is a copy",
    }
    daemon.answers["GET", "/v1/status"] = dump
    reported = " ".join(fulfilld("status").stdout.split())
    assert "restored" in reported
    assert "`fulfilld resume acme`" in reported
