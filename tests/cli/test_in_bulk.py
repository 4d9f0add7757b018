"""Operating orders in bulk from a shell: counted first, asked or told, followed to the end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.cli import in_bulk
from tests.cli.fake import FakeDaemon, Run, a_problem, a_status, an_order

ACTIONS = ("retry", "skip", "hold", "release", "cancel")
ONE = "/v1/shops/acme/orders/67890"


def a_job(**changes: Any) -> dict[str, Any]:
    """A job as the API shows it."""
    return {
        "id": "j-1", "action": "retry", "filter": {"situation": "blocked"}, "status": "done", "count": 3, "done": 3,
        "refused": 0, "refusals": [], "reason": None, "by": "user ann", "started_at": "2026-01-02T03:04:05.000Z",
        "ended_at": "2026-01-02T03:04:06.000Z", **changes,
    }  # fmt: skip


REFUSAL = {"type": "not-blocked", "count": 2, "detail": "order 7 is idle", "shop": "acme", "order": "7"}


@pytest.fixture(autouse=True)
def answers(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_bulk, "_LOOK_SECONDS", 0)  # the fake daemon's jobs end when they are read twice
    for action in ACTIONS:
        dry = {"count": 3, "sample": [an_order(), an_order(id="7")]}
        daemon.answers["POST", f"/v1/orders/{action}"] = [dry, (202, {"job": "j-1", "count": 3})]
    daemon.answers["GET", "/v1/jobs/j-1"] = [a_job(status="running", done=1), a_job()]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_dry_run_counts_shows_some_and_asks_for_no_more(daemon: FakeDaemon, fulfilld: Run, action: str) -> None:
    result = fulfilld(action, "--situation", "blocked", "--problem", "rejected", "--step", "send", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "67890" in result.stdout
    words = "the targets of 3 orders would be dropped" if action == "cancel" else "3 orders would be"
    assert words in result.stdout
    wanted = {"situation": "blocked", "problem": "rejected", "step": "send"}
    assert daemon.bodies() == [{"filter": wanted, "dry_run": True}]


@pytest.mark.parametrize("action", ACTIONS)
def test_with_yes_it_is_done_and_followed_to_the_end(daemon: FakeDaemon, fulfilld: Run, action: str) -> None:
    daemon.answers["GET", "/v1/jobs/j-1"] = [a_job(status="running", done=1, action=action), a_job(action=action)]
    result = fulfilld(action, "--shop", "acme", "--limit", "3", "--reason", "it works again", "--yes")
    assert result.exit_code == 0, result.output
    words = "the targets of 3 of 3 orders dropped" if action == "cancel" else "3 of 3 orders"
    assert f"job j-1: {words}" in result.stdout
    body = {"filter": {"shop": "acme"}, "limit": 3, "reason": "it works again"}
    assert daemon.bodies() == [{**body, "dry_run": True}, body]
    assert [call[1] for call in daemon.calls].count("/v1/jobs/j-1") == 2


def test_json_is_the_dry_run_or_the_job_as_the_daemon_answers(daemon: FakeDaemon, fulfilld: Run) -> None:
    assert json.loads(fulfilld("retry", "--state", "new", "--dry-run", "--json").stdout)["count"] == 3
    dry, started = {"count": 3, "sample": []}, (202, {"job": "j-1", "count": 3})
    daemon.answers["POST", "/v1/orders/retry"] = [dry, started]
    daemon.answers["GET", "/v1/jobs/j-1"] = a_job()
    assert json.loads(fulfilld("retry", "--state", "new", "--yes", "--json").stdout) == a_job()


def test_what_goes_on_after_a_job_is_said_to_be_looked_at_later(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/orders/retry"] = [{"count": 3, "sample": []}, (202, {"job": "j-1", "count": 3})]
    daemon.answers["GET", "/v1/jobs/j-1"] = a_job(blocked_again=0)
    told = fulfilld("retry", "--state", "new", "--yes").stdout.splitlines()
    assert told[-2:] == [
        "job j-1: 3 of 3 orders retried",
        "  they go on now; `fulfilld jobs j-1` shows how many are blocked again",
    ]


def test_without_waiting_the_job_is_named(daemon: FakeDaemon, fulfilld: Run) -> None:
    result = fulfilld("retry", "--state", "new", "--yes", "--no-wait")
    assert result.stdout.splitlines()[-1] == "job j-1 has 3 orders"
    assert not [call for call in daemon.calls if call[1].startswith("/v1/jobs")]


def test_where_nobody_can_be_asked_nothing_is_done(daemon: FakeDaemon, fulfilld: Run) -> None:
    result = fulfilld("cancel", "--situation", "blocked")
    assert result.exit_code == 2
    assert "the targets of 3 orders would be dropped, and nobody can be asked" in result.stderr
    assert "--yes" in result.stderr
    assert [body.get("dry_run") for body in daemon.bodies()] == [True]


@pytest.mark.parametrize(("said", "calls"), [("y\n", 2), ("YES\n", 2), ("\n", 1), ("n\n", 1), ("", 1)])
def test_on_a_terminal_somebody_is_asked(
    daemon: FakeDaemon, fulfilld: Run, monkeypatch: pytest.MonkeyPatch, said: str, calls: int
) -> None:
    monkeypatch.setattr(in_bulk, "_is_asked", lambda: True)
    result = fulfilld("retry", "--situation", "blocked", stdin=said.encode())
    assert result.exit_code == 0, result.output
    assert "retry 3 orders? [y/N]" in result.stderr
    assert ("nothing was done" in result.stderr) is (calls == 1)
    asked = {"filter": {"situation": "blocked"}}
    assert daemon.bodies() == [{**asked, "dry_run": True}, {**asked, "limit": 3}][:calls]  # no more than was agreed to


def test_what_would_be_refused_is_said_before_it_is_done(
    daemon: FakeDaemon, fulfilld: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["POST", "/v1/orders/retry"] = {"count": 96, "refused": 95, "sample": [an_order()]}
    words = "1 of 96 orders would be retried, 95 refused as they are now"
    assert words in fulfilld("retry", "--situation", "idle", "--dry-run").stdout
    assert words in fulfilld("retry", "--situation", "idle").stderr
    monkeypatch.setattr(in_bulk, "_is_asked", lambda: True)
    asked = fulfilld("retry", "--situation", "idle", stdin=b"n\n").stderr
    assert "retry 96 orders (95 would be refused)? [y/N]" in asked


def test_the_question_of_a_cancel_is_about_targets(
    daemon: FakeDaemon, fulfilld: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_bulk, "_is_asked", lambda: True)
    assert "drop the targets of 3 orders? [y/N]" in fulfilld("cancel", "--shop", "acme", stdin=b"n\n").stderr


def test_an_unknown_cause_leads_to_the_command_that_names_them(daemon: FakeDaemon, fulfilld: Run) -> None:
    detail = "'x' names no cause; GET /v1/orders/causes has their names"
    errors = [{"path": "cause", "message": detail}]
    problem = {"type": "invalid-request", "title": "Not valid", "status": 422, "detail": detail, "errors": errors}
    daemon.answers["GET", "/v1/orders"] = daemon.answers["POST", "/v1/orders/retry"] = (422, problem)
    for arguments in (("orders", "--cause", "x"), ("retry", "--cause", "x", "--dry-run")):
        result = fulfilld(*arguments)
        assert result.exit_code == 2
        assert "'x' names no cause; `fulfilld causes` has their names" in " ".join(result.stderr.split())
        assert "/v1/" not in result.stderr


def test_where_no_order_fits_nothing_is_asked(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/orders/retry"] = {"count": 0, "sample": []}
    result = fulfilld("retry", "--situation", "blocked")
    assert (result.exit_code, result.stdout) == (0, "no such orders\n")
    assert len(daemon.bodies()) == 1


@pytest.mark.parametrize(
    ("job", "code", "words"),
    [
        (
            a_job(done=1, refused=2, refusals=[REFUSAL]),
            0,
            "2 orders refused, not-blocked: order 7 is idle (order 7 ",
        ),
        (a_job(done=0, refused=3, refusals=[REFUSAL]), 5, "none of the orders could be operated"),
        (a_job(status="failed", done=1), 1, "job j-1 is failed"),
        (a_job(status="cancelled", done=1), 1, "then it was cancelled"),
    ],
)
def test_the_end_of_the_job_is_the_end_of_the_command(
    daemon: FakeDaemon, fulfilld: Run, job: dict[str, Any], code: int, words: str
) -> None:
    daemon.answers["GET", "/v1/jobs/j-1"] = job
    result = fulfilld("retry", "--situation", "blocked", "--yes")
    assert result.exit_code == code, result.output
    assert words in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name an order (fulfilld retry SHOP ID), or a filter"),
        (("--limit", "3", "--yes"), "name an order (fulfilld retry SHOP ID), or a filter"),
        (("acme",), "--shop acme"),
        (("acme", "67890", "--situation", "blocked"), "not both"),
        (("acme", "--situation", "blocked"), "not both"),
        (("acme", "67890", "--dry-run"), "not both"),
        (("acme", "67890", "--reason", "why"), "retry of one order takes no --reason"),
        (("--updated-before", "soon"), "'soon' is no time that can be read"),
        (("--limit", "0", "--shop", "acme"), "--limit"),
    ],
)
def test_what_does_not_go_together_is_a_mistake(
    daemon: FakeDaemon, fulfilld: Run, arguments: tuple[str, ...], words: str
) -> None:
    result = fulfilld("retry", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert daemon.calls == []


@pytest.mark.parametrize("arguments", [("acme", "67890"), ("--situation", "blocked", "--yes")])
def test_a_skip_says_how_it_was_done(daemon: FakeDaemon, fulfilld: Run, arguments: tuple[str, ...]) -> None:
    result = fulfilld("skip", *arguments)
    assert result.exit_code == 2
    assert "skip needs --reason TEXT" in result.stderr
    assert daemon.calls == []


def test_a_filter_of_time_is_an_instant(daemon: FakeDaemon, fulfilld: Run) -> None:
    fulfilld("cancel", "--updated-before", "2026-03-01", "--dry-run")
    assert daemon.bodies()[0]["filter"] == {"updated_before": "2026-03-01T00:00:00.000Z"}


def test_what_was_shown_is_what_is_asked_for(daemon: FakeDaemon, fulfilld: Run) -> None:
    assert fulfilld("retry", "--updated-before", "1h", "--yes").exit_code == 0
    shown, asked = (body["filter"]["updated_before"] for body in daemon.bodies())
    assert shown == asked


def test_what_the_daemon_refuses_ends_the_command_with_its_words(daemon: FakeDaemon, fulfilld: Run) -> None:
    problem = {"type": "shop-not-found", "title": "No such shop", "status": 404, "detail": "no shop is named 'nope'"}
    daemon.answers["POST", "/v1/orders/hold"] = (404, problem)
    result = fulfilld("hold", "--shop", "nope", "--yes")
    assert result.exit_code == 4
    assert "no shop is named 'nope'" in result.stderr


def test_causes_are_shown_with_what_helps(daemon: FakeDaemon, fulfilld: Run) -> None:
    cause = {
        "cause": "rejected.send.0123456789", "problem": "rejected", "title": "The platform refused the step",
        "step": "send", "detail": "HTTP 422: order … is locked", "count": 61, "shops": {"acme": 60, "xs": 1},
        "since": "2026-01-02T03:04:05.000Z", "remedy": "`fulfilld retry --cause rejected.send.0123456789`",
        "sample": [],
    }  # fmt: skip
    daemon.answers["GET", "/v1/orders/causes"] = {"causes": [cause], "orders": 62, "left_out": 1}
    text = fulfilld("causes", "--shop", "acme").stdout
    assert "61  The platform refused the step at send: HTTP 422: order … is locked" in text
    assert "acme 60, xs 1; since 2026-01-02T03:04:05.000Z" in text
    assert "`fulfilld retry --cause rejected.send.0123456789`" in text
    assert "and 1 more" in text
    assert daemon.calls[0][2] == {"shop": "acme", "limit": "20"}
    daemon.answers["GET", "/v1/orders/causes"] = {"causes": [], "orders": 0, "left_out": 0}
    assert fulfilld("causes").stdout == "no order waits for a person\n"


def test_jobs_are_listed_shown_and_cancelled(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/jobs"] = {"jobs": [a_job(reason="it works again")], "next": None}
    daemon.answers["GET", "/v1/jobs/j-1"] = a_job(status="running", done=1)
    daemon.answers["DELETE", "/v1/jobs/j-1"] = a_job(status="cancelled", done=2)
    assert "situation blocked" in fulfilld("jobs").stdout
    assert "user ann: it works again" in fulfilld("jobs").stdout
    assert fulfilld("jobs", "j-1").stdout.startswith("job j-1: 1 of 3 orders retried, it goes on\n")
    assert fulfilld("jobs", "j-1", "--cancel").stdout.startswith("job j-1: 2 of 3 orders retried, then it was")
    assert json.loads(fulfilld("jobs", "j-1", "--json").stdout)["done"] == 1
    daemon.answers["GET", "/v1/jobs/j-1"] = a_job(blocked_again=1)
    assert fulfilld("jobs", "j-1").stdout.splitlines() == [
        "job j-1: 3 of 3 orders retried",
        "  1 order blocked again now",
        "  orders with situation blocked",
        "  asked for by user ann",
        "  begun 2026-01-02T03:04:05.000Z, ended 2026-01-02T03:04:06.000Z",
    ]
    assert fulfilld("jobs", "--cancel").exit_code == 2
    daemon.answers["GET", "/v1/jobs"] = {"jobs": [], "next": None}
    assert fulfilld("jobs").stdout == "nothing was asked for in bulk\n"


def test_one_order_is_operated_as_ever(daemon: FakeDaemon, fulfilld: Run) -> None:
    for action in ACTIONS:
        daemon.answers["POST", f"{ONE}/{action}"] = an_order(situation="queued")
    daemon.answers["GET", ONE] = an_order(targets=[{}])
    assert fulfilld("hold", "acme", "67890", "--reason", "stock").exit_code == 0
    assert fulfilld("retry", "acme", "67890").stdout.startswith("acme 67890 is at")
    assert daemon.bodies() == [{"reason": "stock"}]


def test_the_list_of_orders_narrows_by_cause(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/orders"] = {"orders": [an_order()], "next": None}
    fulfilld("orders", "--problem", "rejected", "--step", "send", "--cause", "rejected.send.0123456789")
    query = daemon.calls[0][2]
    assert [query[name] for name in ("problem", "step", "cause")] == ["rejected", "send", "rejected.send.0123456789"]


@pytest.mark.parametrize(("needy", "is_named"), [(5, False), (6, True)])
def test_the_status_of_many_blocked_orders_leads_to_their_causes(
    daemon: FakeDaemon, fulfilld: Run, needy: int, is_named: bool
) -> None:
    attention = [{"shop": "acme", "order": str(each), "problem": a_problem()} for each in range(needy)]
    daemon.answers["GET", "/v1/status"] = a_status(attention=attention)
    assert ("`fulfilld causes`" in fulfilld("status").stdout) is is_named


@pytest.mark.parametrize(("needy", "is_early"), [(10, False), (11, True)])
def test_a_long_list_of_blocked_orders_begins_with_their_causes(
    daemon: FakeDaemon, fulfilld: Run, needy: int, is_early: bool
) -> None:
    attention = [{"shop": "acme", "order": str(each), "problem": a_problem()} for each in range(needy)]
    daemon.answers["GET", "/v1/status"] = a_status(attention=attention)
    before = fulfilld("status").stdout.partition("SHOP")[0]
    assert (f"{needy} orders need a person: `fulfilld causes`" in before) is is_early


def test_the_orders_of_the_status_are_sorted_and_those_that_it_leaves_out_are_counted(
    daemon: FakeDaemon, fulfilld: Run
) -> None:
    places = [("xs", "2"), ("acme", "10"), ("xs", "1"), ("acme", "9")]
    attention = [{"shop": shop, "order": order, "problem": a_problem()} for shop, order in places]
    status = a_status(attention=attention)
    daemon.answers["GET", "/v1/status"] = status | {"totals": {**status["totals"], "by_situation": {"blocked": 9}}}
    below = fulfilld("status").stdout.partition("These orders need a person:")[2]
    rows = [tuple(each.split()[:2]) for each in below.splitlines() if "ORDER_CANCELED_ERROR" in each]
    assert rows == [("acme", "9"), ("acme", "10"), ("xs", "1"), ("xs", "2")]
    assert "… and 5 more: `fulfilld orders --situation blocked`" in below
    assert "more" not in _listed_in_full(daemon, fulfilld, status)


def _listed_in_full(daemon: FakeDaemon, fulfilld: Run, status: dict[str, Any]) -> str:
    """What is said below the heading where the status lists all of them."""
    totals = {**status["totals"], "by_situation": {"blocked": len(status["attention"])}}
    daemon.answers["GET", "/v1/status"] = {**status, "totals": totals}
    return fulfilld("status").stdout.partition("These orders need a person:")[2]


def test_orders_that_the_erp_asks_about_are_counted_by_themselves(daemon: FakeDaemon, fulfilld: Run) -> None:
    asked = {"reason": None, "since": "2026-01-02T03:04:05.000Z"}
    entry = {"shop": "acme", "order": "7", "problem": a_problem(type="attention"), "attention": asked}
    status = a_status(attention=[entry])
    [shop] = status["shops"]
    totals = {**status["totals"], "by_situation": {"blocked": 0}}
    daemon.answers["GET", "/v1/status"] = {**status, "totals": totals, "shops": [{**shop, "attention": 3}]}
    text = fulfilld("status").stdout
    assert "… and 2 more about which the ERP asks for a person" in text
    assert "--situation blocked" not in text
