"""Submitting targets, one and many, and waiting for their end."""

from __future__ import annotations

import gc
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.cli.client import Client
from orchestrator.cli.failures import Refusal
from orchestrator.cli.place import Address
from tests.cli.fake import FakeDaemon, Run, a_problem, a_target, an_order

TARGETS = ("POST", "/v1/shops/acme/orders/67890/targets")
TARGET = ("GET", "/v1/targets/t-1")
ORDER = ("GET", "/v1/shops/acme/orders/67890")
BULK = ("POST", "/v1/targets")


def test_options_become_the_target(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    result = fulfilld(
        "submit", "acme", "67890", "shipped", "--item", "1", "--item", "2", "--tracking-code", "C", "--tracking-url",
        "https://t.example/C", "--carrier", "DHL", "--erp-number", "E-1", "--data", '{"reason": "r"}', "--key", "K",
    )  # fmt: skip
    assert result.exit_code == 0
    assert daemon.bodies() == [
        {
            "state": "shipped",
            "items": ["1", "2"],
            "tracking": {"code": "C", "url": "https://t.example/C", "carrier": "DHL"},
            "erp_order_number": "E-1",
            "reason": "r",
        }
    ]
    assert daemon.calls[0][4]["Idempotency-Key"] == "K"


def test_several_codes_are_the_numbers_of_one_parcel(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    result = fulfilld(
        "submit", "acme", "67890", "shipped", "--tracking-code", "C1", "--tracking-code", "C2", "--tracking-url",
        "https://t.example/C1", "--carrier", "DHL", "--location", "77",
    )  # fmt: skip
    assert result.exit_code == 0
    first = {"code": "C1", "url": "https://t.example/C1", "carrier": "DHL"}
    second = {"code": "C2", "carrier": "DHL"}
    assert daemon.bodies() == [{"state": "shipped", "tracking": [first, second], "location": "77"}]


@pytest.mark.parametrize("is_file", [True, False])
def test_a_parcel_is_given_as_json_or_as_a_file(
    daemon: FakeDaemon, fulfilld: Run, tmp_path: Path, is_file: bool
) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    text = '{"number": "B-1", "lines": [{"id": "1", "quantity": 1}]}'
    path = tmp_path / "parcel.json"
    path.write_text(text)
    result = fulfilld("submit", "acme", "67890", "shipped", "--parcel", str(path) if is_file else text)
    assert result.exit_code == 0
    assert daemon.bodies() == [{"state": "shipped", "parcel": json.loads(text)}]


@pytest.mark.parametrize("given", ['{"number": }', "no-such-file.json", "[1]"])
def test_a_parcel_that_is_neither_is_a_usage_error(daemon: FakeDaemon, fulfilld: Run, given: str) -> None:
    result = fulfilld("submit", "acme", "67890", "shipped", "--parcel", given)
    assert result.exit_code == 2
    assert "--parcel" in result.stderr
    assert daemon.calls == []


def test_a_link_that_belongs_to_no_code_is_a_usage_error(daemon: FakeDaemon, fulfilld: Run) -> None:
    links = ["--tracking-url", "https://t.example/1", "--tracking-url", "https://t.example/2"]
    assert fulfilld("submit", "acme", "67890", "shipped", *links).exit_code == 2
    assert daemon.calls == []


def test_what_is_not_given_is_not_sent(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    fulfilld("submit", "acme", "67890", "shipped")
    assert daemon.bodies() == [{"state": "shipped"}]
    assert "Idempotency-Key" not in daemon.calls[0][4]
    assert daemon.calls[0][2] == {}


@pytest.mark.parametrize("data", ["no json", "[1]", '{"state": "x"}', '{"tracking": {}}'])
def test_data_that_makes_no_sense_is_a_usage_error(daemon: FakeDaemon, fulfilld: Run, data: str) -> None:
    result = fulfilld("submit", "acme", "67890", "shipped", "--tracking-code", "C", "--data", data)
    assert result.exit_code == 2
    assert "--data" in result.stderr
    assert daemon.calls == []


@pytest.mark.parametrize("arguments", [[], ["acme"], ["acme", "1"], ["acme", "1", "shipped", "--file", "x"]])
def test_a_submission_names_one_order_or_a_file(fulfilld: Run, arguments: list[str]) -> None:
    assert fulfilld("submit", *arguments).exit_code == 2


def test_a_dry_run_shows_the_plan(daemon: FakeDaemon, fulfilld: Run) -> None:
    target = a_target()
    preview = {name: target[name] for name in ("state", "milestone", "plan")} | {"unused": ["tracking.carrier"]}
    daemon.answers[TARGETS] = preview
    result = fulfilld("submit", "acme", "67890", "shipped", "--dry-run")
    assert "plan to SentOrder (shipped):" in result.stdout
    assert "not used by this platform: tracking.carrier" in result.stdout
    assert daemon.calls[0][2] == {"dry_run": "true"}
    assert [method for method, _, _, _, _ in daemon.calls] == ["POST", "GET"]


NOTHING_LEFT = {"state": "SentOrder", "milestone": "shipped", "plan": [], "unused": []}


def test_a_dry_run_of_a_reached_target_says_so(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS], daemon.answers[ORDER] = NOTHING_LEFT, an_order(state="SentOrder")
    assert "reached already" in fulfilld("submit", "acme", "67890", "shipped", "--dry-run").stdout


def test_a_dry_run_behind_a_blocked_target_does_not_say_that_it_is_reached(daemon: FakeDaemon, fulfilld: Run) -> None:
    head = a_target(id="t-0", state="ToCustomer", milestone="in_transit", status="blocked", problem=a_problem())
    daemon.answers[TARGETS], daemon.answers[ORDER] = NOTHING_LEFT, an_order(situation="blocked", targets=[head])
    text = " ".join(fulfilld("submit", "acme", "67890", "shipped", "--dry-run").stdout.split())
    assert "reached already" not in text
    assert "SentOrder (shipped) is reached, or the targets before it lead there" in text
    assert "before it: t-0 (ToCustomer (in_transit), blocked)" in text
    assert "`fulfilld retry acme 67890`" in text


def test_a_plan_behind_other_targets_names_them(daemon: FakeDaemon, fulfilld: Run) -> None:
    target = a_target()
    daemon.answers[TARGETS] = {name: target[name] for name in ("state", "milestone", "plan")} | {"unused": []}
    daemon.answers[ORDER] = an_order(situation="running", targets=[a_target(id="t-0", status="running")])
    text = " ".join(fulfilld("submit", "acme", "67890", "shipped", "--dry-run").stdout.split())
    assert "before it: t-0 (SentOrder (shipped), running)" in text
    assert "fulfilld retry" not in text


def test_a_dry_run_that_cannot_see_the_order_claims_nothing(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = NOTHING_LEFT
    text = fulfilld("submit", "acme", "67890", "shipped", "--dry-run").stdout
    assert "or the targets before it lead there" in " ".join(text.split())


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ({"status": "reached"}, 0, ""),
        ({"status": "blocked", "problem": a_problem()}, 1, "fulfilld retry acme 67890"),
        ({"status": "failed", "problem": a_problem()}, 1, "failed"),
        ({"status": "cancelled"}, 1, "cancelled"),
    ],
)
def test_a_wait_ends_with_the_target(
    daemon: FakeDaemon, fulfilld: Run, end: dict[str, Any], code: int, said: str
) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    daemon.answers[TARGET] = [(202, a_target(status="running")), a_target(**end)]
    result = fulfilld("submit", "acme", "67890", "shipped", "--wait")
    assert result.exit_code == code
    assert f"SentOrder (shipped), {end['status']}" in result.stdout
    assert said in result.stderr
    assert [0 < float(query["wait"]) <= 60 for _, path, query, _, _ in daemon.calls if "wait" in query] == [True] * 2


def test_a_wait_that_runs_out_has_failed(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    result = fulfilld("submit", "acme", "67890", "shipped", "--wait", "0")
    assert result.exit_code == 1
    assert "still queued after 0 s" in result.stderr


def test_a_target_of_a_held_order_is_shown_with_the_hold(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    order = an_order(situation="held", held_at="2026-01-02T03:04:05.000Z", held_reason="stocktaking")
    daemon.answers[ORDER] = order
    result = fulfilld("submit", "acme", "67890", "shipped")
    assert "the order is held: stocktaking - `fulfilld release acme 67890` lets it go on" in result.stdout
    late = fulfilld("submit", "acme", "67890", "shipped", "--wait", "0")
    assert (late.exit_code, "is held - `fulfilld release acme 67890`" in " ".join(late.stderr.split())) == (1, True)
    daemon.answers[ORDER] = order | {"situation": "queued", "held_at": None, "held_reason": None}
    assert "release" not in fulfilld("submit", "acme", "67890", "shipped").output


@pytest.mark.parametrize(
    ("reason", "why", "remedy"),
    [
        ("paused", "shop acme is paused", "`fulfilld resume acme`"),
        ("restore", "shop acme waits until a person has checked it", "`fulfilld resume acme`"),
        ("access_denied", "the platform does not accept the credentials of shop acme", "`fulfilld resume acme`"),
        ("another_account", "the name of shop acme means another account now", "`fulfilld resume acme`"),
        ("not_configured", "shop acme is not in the config any more", "`fulfilld cancel acme 67890`"),
    ],
)
def test_a_target_that_waits_for_a_person_says_for_what(
    daemon: FakeDaemon, fulfilld: Run, reason: str, why: str, remedy: str
) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    wait = {"reason": reason, "until": None, "detail": "stocktaking"}
    daemon.answers[ORDER] = an_order(situation="waiting", wait=wait)
    at_once = fulfilld("submit", "acme", "67890", "shipped")
    assert at_once.exit_code == 0
    assert why in at_once.stdout
    assert remedy in at_once.stdout
    for form in ([], ["--json"]):
        late = fulfilld("submit", "acme", "67890", "shipped", "--wait", "0", *form)
        assert late.exit_code == 1
        assert f"still queued after 0 s, for {why}" in late.stderr
        assert remedy in late.stderr
        assert "goes on" not in late.stderr


@pytest.mark.parametrize("is_late", [False, True])
def test_a_target_behind_a_blocked_one_is_not_waited_for(daemon: FakeDaemon, fulfilld: Run, is_late: bool) -> None:
    """Whether that was blocked before, or is while it is waited for."""
    daemon.answers[TARGETS] = daemon.answers[TARGET] = (202, a_target())
    head = a_target(id="t-0", state="OrderConfirm", status="blocked", problem=a_problem())
    blocked = an_order(situation="blocked", targets=[head, a_target()])
    running = an_order(situation="running", targets=[{**head, "status": "running", "problem": None}, a_target()])
    daemon.answers[ORDER] = [running, blocked] if is_late else blocked
    remedy = "`fulfilld cancel acme 67890` drops them all"
    result = fulfilld("submit", "acme", "67890", "shipped", "--wait")
    assert result.exit_code == 1
    words = "the target is queued: it waits behind target t-0 (OrderConfirm), which is blocked: ORDER_CANCELED_ERROR"
    assert words in result.stderr
    assert remedy in result.stderr
    assert "goes on in the daemon" not in result.stderr
    assert len([path for _, path, _, _, _ in daemon.calls if path == TARGET[1]]) == is_late
    at_once = fulfilld("submit", "acme", "67890", "shipped")
    assert (at_once.exit_code, remedy in at_once.stdout) == (0, True)


def test_a_target_that_waits_for_what_ends_by_itself_says_so(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    wait = {"reason": "payment", "until": None, "detail": ""}
    daemon.answers[ORDER] = an_order(situation="waiting", wait=wait)
    late = fulfilld("submit", "acme", "67890", "shipped", "--wait", "0")
    assert "still queued after 0 s, waiting for payment - it goes on in the daemon" in late.stderr


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_target_whose_node_is_silent_is_not_said_to_go_on(daemon: FakeDaemon, fulfilld: Run, is_silent: bool) -> None:
    daemon.answers[TARGETS] = (202, a_target())
    daemon.answers[ORDER] = an_order(situation="queued")
    daemon.answers["GET", "/v1/shops/acme"] = {"name": "acme", "holder": "n2:78:0c1d", "holder_silent": is_silent}
    late = fulfilld("submit", "acme", "67890", "shipped", "--wait", "0")
    assert ("node n2:78:0c1d, which works for shop acme, is silent" in late.stderr) is is_silent
    assert ("it goes on in the daemon" in late.stderr) is not is_silent


def test_a_wait_without_a_number_may_stand_before_the_shop(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[TARGETS] = a_target(status="reached")
    result = fulfilld("submit", "--wait", "acme", "67890", "shipped", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == a_target(status="reached")


def test_a_word_behind_wait_that_is_no_number_is_not_taken_for_one(fulfilld: Run, daemon: FakeDaemon) -> None:
    daemon.answers["POST", "/v1/shops/inf/orders/67890/targets"] = a_target(status="reached")
    assert fulfilld("submit", "--wait", "inf", "67890", "shipped").exit_code == 0


async def _answer_each_line(request: web.Request) -> web.StreamResponse:
    """As the daemon does: one answer a line while it reads; a line with `bad` is refused."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    number = 0
    while line := await request.content.readline():
        number += 1
        if not line.strip():
            continue
        fields = json.loads(line)
        answer: dict[str, Any] = {"line": number, "status": 202, "target": {"id": "x" * 500}}
        if fields.get("bad"):
            errors = [{"path": "bad", "message": "is no known field"}]
            problem = {"type": "invalid-target", "title": "The target is not valid", "status": 422, "errors": errors}
            answer = {"line": number, "status": 422, "problem": problem}
        await response.write(json.dumps(answer).encode() + b"\n")
    return response


def _lines(count: int, bad: int = 0) -> bytes:
    targets = [
        {"shop": "acme", "order": str(n), "state": "shipped"} | ({"bad": 1} if n == bad else {})
        for n in range(1, count + 1)
    ]
    return "\n".join(map(json.dumps, targets)).encode()


def test_many_targets_are_submitted_from_a_file(daemon: FakeDaemon, fulfilld: Run, directory: Path) -> None:
    daemon.answers[BULK] = _answer_each_line
    (directory / "many").write_bytes(_lines(5))
    result = fulfilld("submit", "--file", str(directory / "many"))
    assert (result.exit_code, result.stdout) == (0, "5 accepted, 0 refused\n")


def test_a_refused_line_is_reported_with_its_number_and_the_rest_goes_on(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[BULK] = _answer_each_line
    result = fulfilld("submit", "--file", "-", stdin=b"\n" + _lines(4, bad=2))
    assert result.exit_code == 1
    assert result.stdout == "3 accepted, 1 refused\n"
    assert "line 3: The target is not valid; bad: is no known field\n" in result.stderr


def test_bulk_answers_as_json_are_one_a_line(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[BULK] = _answer_each_line
    result = fulfilld("submit", "--file", "-", "--json", stdin=_lines(3))
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == [1, 2, 3]


def test_more_lines_than_both_sides_can_buffer_go_through(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[BULK] = _answer_each_line
    assert fulfilld("submit", "--file", "-", stdin=_lines(8000)).stdout == "8000 accepted, 0 refused\n"


def test_a_daemon_that_goes_away_in_the_middle_is_reported_with_how_far_it_came(
    daemon: FakeDaemon, fulfilld: Run
) -> None:
    async def leave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await request.content.readline()
        await response.write(b'{"line": 1, "status": 202, "target": {}}\n')
        assert request.transport is not None
        request.transport.close()
        return response

    daemon.answers[BULK] = leave
    result = fulfilld("submit", "--file", "-", stdin=_lines(3))
    assert result.exit_code == 3
    assert "answered until then: 1 of " in result.stderr
    assert "key" in result.stderr


def test_a_bulk_that_is_refused_as_a_whole_says_why(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers[BULK] = (503, {"type": "draining", "title": "The daemon is shutting down", "status": 503})
    result = fulfilld("submit", "--file", "-", stdin=_lines(3))
    assert result.exit_code == 1
    assert "shutting down" in result.stderr


def test_a_daemon_that_shuts_down_says_so_once(daemon: FakeDaemon, fulfilld: Run) -> None:
    detail = "the daemon is shutting down; try again when it is back"
    problem = {"type": "draining", "title": "The daemon is shutting down", "status": 503, "detail": detail}
    daemon.answers[TARGETS] = (503, problem)
    assert fulfilld("submit", "acme", "67890", "shipped").stderr.count("when it is back") == 1


def test_lines_that_come_after_the_refusal_end_quietly(tmp_path: Path) -> None:
    refused = threading.Event()

    def lines() -> Iterator[bytes]:
        yield b"{}\n"
        assert refused.wait(60)
        yield b"{}\n"

    def refuse() -> None:
        connection = listener.accept()[0]
        with connection:
            connection.recv(1)
            connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            assert refused.wait(60)

    before = set(threading.enumerate())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d.sock"))
        listener.listen()
        threading.Thread(target=refuse).start()
        with pytest.raises(Refusal):
            list(Client(Address("a test", socket=tmp_path / "d.sock")).bulk("/v1/targets", lines()))
        gc.collect()  # the answer holds the socket open for as long as it lives
        refused.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)  # what a thread raises fails the test


def test_a_file_that_is_not_there_is_a_usage_error(fulfilld: Run) -> None:
    assert fulfilld("submit", "--file", "nowhere").exit_code == 2
