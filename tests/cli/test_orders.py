"""Looking at orders and shops, and operating them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from orchestrator.registry import PLATFORMS
from tests.cli.fake import NOW, FakeDaemon, Run, a_cluster, a_problem, a_status, a_target, an_event, an_order

ORDER = "/v1/shops/acme/orders/67890"


def test_json_is_the_answer_unchanged(daemon: FakeDaemon, fulfilld: Run) -> None:
    odd = '{"daemon": {"x": 1.10, "big": 9007199254740995},\n "later": true}'
    daemon.answers["GET", "/v1/status"] = odd
    assert fulfilld("status", "--json").stdout == odd + "\n"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (r'{"state": "Wys\u0142ane"}', '{"state": "Wysłane"}'),
        (r'"\ud83d\udce6\u0142"', '"📦ł"'),
        (
            r'"\\u0142 \u0022 \n \u001b[31m \u202e \ud800 \u0041"',
            r'"\\u0142 \u0022 \n \u001b[31m \u202e \ud800 \u0041"',
        ),
    ],
)
def test_json_shows_letters_and_keeps_other_escapes(daemon: FakeDaemon, fulfilld: Run, sent: str, shown: str) -> None:
    daemon.answers["GET", "/v1/status"] = sent
    printed = fulfilld("status", "--json").stdout
    assert printed == shown + "\n"
    assert json.loads(printed) == json.loads(sent)


def test_status_shows_shops_and_what_needs_a_person(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/status"] = a_status()
    text = fulfilld("status").stdout
    assert "fulfilld 9.9.9 on n1, process 77" in text
    assert "CheckQueue 2" in text
    assert "5 min" in text
    [header] = [each for each in text.splitlines() if "WAITING" in each]
    [row] = [each for each in text.splitlines() if "4711" in each]
    assert row.index("4711") + 4 == header.index("WAITING") + 7  # numbers end where their heading does
    assert "The platform refused at send: ORDER_CANCELED_ERROR" in text


def test_status_counts_orders_that_a_person_holds_where_there_are_some(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_status()
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert "HELD" not in text
    assert "2 orders (1 idle, 1 blocked), 1 target pending" in text
    acme = dump["shops"][0] | {"by_situation": {"held": 17}}
    dump["shops"] = [acme, acme | {"name": "cs", "by_situation": {"held": 0}}]
    lines = fulfilld("status").stdout.splitlines()
    [header] = [line for line in lines if "HELD" in line]
    held = [line[: header.index("HELD") + 4].split()[-1] for line in lines[lines.index(header) + 1 :][:2]]
    assert held == ["17", "0"]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"paused": True}, "paused: `fulfilld resume acme` ends it"),
        ({"paused": True, "paused_by": "access_denied", "paused_reason": None}, "access denied"),
        (
            {"paused": True, "paused_by": "person", "paused_reason": "stocktaking"},
            "paused: stocktaking; `fulfilld resume acme` ends it",
        ),
        (
            {"wait": {"reason": "retry_after", "until": "2026-01-02T03:04:09Z"}},
            "waits: retry_after until 2026-01-02T03:04:09Z",
        ),
        (
            {"circuit": "half_open"},
            "circuit half open: `fulfilld doctor` asks the platform, `fulfilld resume acme` tries at once",
        ),
        (
            {"circuit": "open", "last_sync_error": "HTTP 502", "next_sync_at": "2026-01-02T03:04:09.000Z"},
            "circuit open: HTTP 502; tried again at 03:04:09Z; `fulfilld doctor` asks the platform, ",
        ),
        ({"last_sync_error": "HTTP 502"}, "sync failed: HTTP 502; if it stays, `fulfilld doctor` says more"),
        (
            {"last_sync_error": "HTTP 502", "next_sync_at": "2026-01-02T03:04:09.000Z"},
            "sync failed: HTTP 502; tried again at 03:04:09Z; if it stays, `fulfilld doctor` says more",
        ),
        ({"held": False}, "elsewhere: waits for the lease of a daemon before, or"),
        ({"held": False, "holder": "db2:7:00ff"}, "ok"),
        ({}, "ok"),
    ],
)
def test_status_says_why_a_shop_is_not_worked_for(
    daemon: FakeDaemon, fulfilld: Run, changes: dict[str, Any], shown: str
) -> None:
    dump = a_status()
    dump["shops"][0] |= changes
    daemon.answers["GET", "/v1/status"] = dump
    assert f"  {shown}" in fulfilld("status").stdout


def test_status_has_a_table_of_nodes_where_there_are_several(daemon: FakeDaemon, fulfilld: Run) -> None:
    seen_at = "2026-01-02T03:04:05.000Z"
    one = {"name": "n1:77:0a1b", "shops": ["acme", "cs"], "seen_at": seen_at, "draining": False, "version": "0.3.0"}
    daemon.answers["GET", "/v1/status"] = a_status(nodes=[one])
    assert "NODE" not in fulfilld("status").stdout
    other = {"name": "n2:78:0c1d", "shops": [], "seen_at": seen_at, "draining": True, "version": "0.4.0"}
    daemon.answers["GET", "/v1/status"] = a_status(nodes=[one, other])
    lines = [line.split() for line in fulfilld("status").stdout.splitlines()]
    assert ["NODE", "VERSION", "SHOPS", "SEEN", "WORKS", "FOR"] in lines
    assert ["n1:77:0a1b", "0.3.0", "2", "03:04:05Z", "acme,", "cs"] in lines
    assert ["n2:78:0c1d", "0.4.0", "0", "03:04:05Z", "hands", "over"] in lines


NO_ORDERS = [
    ({"last_sync_at": None}, "not synced yet"),
    ({}, "none open; those from before are history"),
    ({"skipped": 30}, "30 left out as history"),
]


@pytest.mark.parametrize(("changes", "words"), NO_ORDERS)
def test_a_shop_without_orders_says_why(daemon: FakeDaemon, fulfilld: Run, changes: dict[str, Any], words: str) -> None:
    dump = a_status()
    dump["shops"][0] |= {"by_state": {}, "queued": 0, "waiting": 0, "blocked": 0, **changes}
    daemon.answers["GET", "/v1/status"] = dump
    assert f"  {words}\n" in fulfilld("status").stdout
    daemon.answers["GET", "/v1/orders"] = {"orders": [], "next": None}
    daemon.answers["GET", "/v1/shops"] = {"shops": dump["shops"]}
    shown = fulfilld("orders", "--shop", "acme")
    assert shown.stdout.split() == ["SHOP", "ORDER", "REFERENCE", "STATE", "SITUATION", "TARGET", "UPDATED"]
    assert shown.stderr == f"no orders (acme: {words}); `fulfilld refresh SHOP ID` imports one\n"


def test_orders_that_a_filter_does_not_find_are_no_matter_of_the_shop(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/orders"] = {"orders": [], "next": None}
    assert fulfilld("orders", "--situation", "blocked").stderr == "no such orders\n"
    assert fulfilld("orders", "--situation", "blocked", "--json").stderr == ""


def test_status_says_how_long_ago_each_node_was_seen_and_which_one_is_silent_or_lost(
    daemon: FakeDaemon, fulfilld: Run
) -> None:
    daemon.answers["GET", "/v1/status"] = a_cluster()
    lines = [line.split() for line in fulfilld("status").stdout.splitlines()]
    assert ["n1:77:0a1b", "0.4.0", "1", "2", "s", "ago", "acme"] in lines
    assert ["n2:78:0c1d", "0.4.0", "2", "9", "s", "ago", "silent", "cs,", "woo"] in lines
    assert ["n3:79:0e1f", "0.4.0", "12", "min", "ago", "lost", "worked", "for", "acme"] in lines
    assert ["acme", "n3:79:0e1f", "n1:77:0a1b", "its", "lease", "ended", "12", "min", "ago"] in lines


def test_status_says_of_the_shops_of_a_silent_node_that_it_is(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/status"] = a_cluster()
    text = fulfilld("status").stdout
    rows = [row.split()[2:7] for row in text.splitlines() if " selldone " in row]
    assert rows == [["ok", "55", "s", "ago", "1"], *[["node", "silent", "55", "s", "ago"]] * 2]
    why = "its node n2:78:0c1d was last seen 9 s ago; another node takes over, unless it comes back"
    assert text.count(why) == 1, "once for both"
    assert f"cs, woo  {why}" in text


def test_status_of_a_node_that_is_left_alone_still_shows_whom_it_took_its_shops_from(
    daemon: FakeDaemon, fulfilld: Run
) -> None:
    dump = a_cluster()
    dump["nodes"], dump["shops"] = dump["nodes"][:1], dump["shops"][:1]
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert "lost" in text
    assert "its lease ended" in text
    dump["shops"][0]["takeover"]["why"] = "handed_over"
    dump["lost_nodes"] = []
    text = fulfilld("status").stdout
    assert "n3" not in text, "a daemon that is restarted is no news"
    dump["shops"][0]["takeover"] |= {"why": "lease_ended", "at": "2026-01-02T02:04:00.000Z"}
    assert "n3" not in fulfilld("status").stdout, "nor is what was long ago"


def test_not_more_lost_nodes_are_listed_than_help(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_cluster()
    dump["lost_nodes"] = dump["lost_nodes"] * 20
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert text.count("  lost  ") == 5
    assert "… and 15 more that were lost within the hour" in text


def test_status_gives_times_as_durations(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_status(at=NOW)
    late = {"last_sync_at": "2026-01-02T01:00:00.000Z", "last_sync_error": "HTTP 502"}
    again = {"name": "cs", "next_sync_at": "2026-01-02T03:05:40.000Z"}
    dump["shops"] = [dump["shops"][0], dump["shops"][0] | late | again]
    daemon.answers["GET", "/v1/status"] = dump
    acme, cs = [line for line in fulfilld("status").stdout.splitlines() if "selldone" in line]
    assert "  55 s ago  " in acme
    assert "tried again in 40 s" in cs
    assert "  2 h ago  " in cs


@pytest.mark.parametrize(
    ("by", "reason", "sentence"),
    [
        ("restore", "the store was moved", "the store was moved; check what is pending, then `fulfilld resume SHOP`"),
        ("another_account", "was a {1}", "was a {1}; fix the config, or `fulfilld resume SHOP`"),
        ("person", "stocktaking {until} Monday", "stocktaking {until} Monday; `fulfilld resume SHOP` ends it"),
        ("access_denied", "401 Unauthenticated", "401 Unauthenticated"),
    ],
)
def test_status_says_once_what_keeps_several_shops(
    daemon: FakeDaemon, fulfilld: Run, by: str, reason: str, sentence: str
) -> None:
    dump = a_status()
    paused = dump["shops"][0] | {"paused": True, "paused_by": by, "paused_reason": reason}
    dump["shops"] = [paused | {"name": name} for name in ("acme", "bcme", "ccme", "dcme", "ecme")]
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert text.count(sentence) == 1
    assert text.count("fulfilld resume") == 1
    assert "acme, bcme, ccme and 2 more  " in text


def test_status_says_once_why_the_syncs_of_several_shops_fail(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_status()
    for name, again in (("acme", "05"), ("bcme", "06")):
        failed = {"last_sync_error": "the platform answered 502", "next_sync_at": f"2026-01-02T03:04:{again}.000Z"}
        dump["shops"].append(dump["shops"][0] | {"name": name} | failed)
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert text.count("the platform answered 502") == 1
    assert "  sync failed: tried again at 03:04:05Z  " in text
    assert "  sync failed: tried again at 03:04:06Z  " in text


def test_status_says_what_helps_a_shop_that_was_denied_access(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_status()
    dump["shops"][0] |= {"paused": True, "paused_by": "access_denied", "paused_reason": "401 Unauthenticated"}
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert "401 Unauthenticated" in text
    assert "check its credentials and address in the config and send SIGHUP, or `fulfilld resume acme`" in text
    dump["shops"][0] |= {"paused_by": "person"}
    assert "credentials" not in fulfilld("status").stdout


def test_status_of_a_daemon_without_shops_says_what_to_do(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/status"] = a_status(shops=[], attention=[])
    assert "add one to the config" in fulfilld("status").stdout


def test_orders_are_filtered_by_the_daemon_and_read_page_by_page(daemon: FakeDaemon, fulfilld: Run) -> None:
    pages = [{"orders": [an_order(id="1")], "next": "tok"}, {"orders": [an_order(id="2")], "next": None}]
    daemon.answers["GET", "/v1/orders"] = list(pages)
    result = fulfilld("orders", "--shop", "acme", "--state", "accepted", "--situation", "idle", "--json")
    assert [order["id"] for order in json.loads(result.stdout)["orders"]] == ["1", "2"]
    first, second = (query for _, _, query, _, _ in daemon.calls)
    assert first == {"shop": "acme", "state": "accepted", "situation": "idle", "limit": "1000"}
    assert second["after"] == "tok"


def test_one_page_of_orders_is_printed_unchanged(daemon: FakeDaemon, fulfilld: Run) -> None:
    text = '{"orders":[], "next":null}'
    daemon.answers["GET", "/v1/orders"] = text
    assert fulfilld("orders", "--json").stdout == text + "\n"


def test_a_limit_ends_the_paging(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/orders"] = {"orders": [an_order(id="1")], "next": "more"}
    assert fulfilld("orders", "--limit", "2").exit_code == 0
    assert [query["limit"] for _, _, query, _, _ in daemon.calls] == ["2", "1"]


def test_a_table_is_aligned_when_piped(daemon: FakeDaemon, fulfilld: Run) -> None:
    orders = [an_order(id="1", reference="注文"), an_order(id="12345", situation="blocked")]
    daemon.answers["GET", "/v1/orders"] = {"orders": orders, "next": None}
    header, first, second = fulfilld("orders").stdout.splitlines()
    assert second.index("OrderConfirm") == header.index("STATE") == first.index("OrderConfirm") + 2  # two wide ones


def test_an_order_shows_its_plan_and_timeline(daemon: FakeDaemon, fulfilld: Run) -> None:
    waiting = {"reason": "platform", "until": "2026-01-04T00:00:00Z", "detail": "being rejected"}
    order = an_order(targets=[a_target(status="running")], timeline=[an_event(7)], wait=waiting, situation="waiting")
    daemon.answers["GET", ORDER] = order
    text = fulfilld("order", "acme", "67890").stdout
    assert "waiting for platform until 2026-01-04T00:00:00Z: being rejected" in text
    assert "1. done prepare          OrderConfirm → PreparingOrder" in text
    assert "2. now  set_tracking     PreparingOrder" in text
    assert "step.done  send PreparingOrder → SentOrder how=called" in text
    assert daemon.calls[0][2] == {"include": "timeline,content"}


@pytest.mark.parametrize(
    ("fine", "shown"), [("authorized", "unpaid (authorized)"), ("unpaid", "unpaid"), ("unknown", "unpaid")]
)
def test_an_order_shows_the_finer_word_for_its_payment(
    daemon: FakeDaemon, fulfilld: Run, fine: str, shown: str
) -> None:
    daemon.answers["GET", ORDER] = an_order(payment="unpaid", payment_status=fine, timeline=[])
    assert f"payment    {shown}\n" in fulfilld("order", "acme", "67890").stdout


def test_an_order_shows_its_parcels_and_what_became_of_them(daemon: FakeDaemon, fulfilld: Run) -> None:
    at = "2026-01-02T03:04:05.000Z"
    parcel = {"carrier": None, "url": None, "location": None, "last": False, "recorded_at": at, "returned": False}
    parcels = [
        {
            **parcel,
            "number": "B-1",
            "tracking": ["T1", "T2"],
            "lines": [{"id": "1", "quantity": "2"}],
            "delivered_at": at,
        },
        {**parcel, "number": "B-2", "tracking": [], "lines": [{"id": "2", "quantity": None}], "delivered_at": None},
    ]
    daemon.answers["GET", ORDER] = an_order(parcels=parcels)
    shown = fulfilld("order", "acme", "67890").stdout.splitlines()
    at_line = shown.index("parcels    B-1 (T1, T2): 1 ×2, arrived")
    assert shown[at_line + 1] == "           B-2: 2 in full"


def test_an_order_shows_what_the_buyer_sends_back(daemon: FakeDaemon, fulfilld: Run) -> None:
    rows = [("7", "OPEN", [("1", 2), ("2", "1.5")]), ("8", "DECLINED", [])]
    returns = [
        {"id": each, "state": state, "lines": [{"id": line, "quantity": count} for line, count in lines]}
        for each, state, lines in rows
    ]
    daemon.answers["GET", ORDER] = an_order(returns=returns)
    reported = fulfilld("order", "acme", "67890").stdout.splitlines()
    at = reported.index("returns    OPEN 7: 1 ×2, 2 ×1.5")
    assert reported[at + 1] == "           DECLINED 8"


def test_a_blocked_order_shows_the_platforms_own_words(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", ORDER] = an_order(situation="blocked", problem=a_problem())
    text = fulfilld("order", "acme", "67890").stdout
    assert "The platform refused at send: ORDER_CANCELED_ERROR since 2026-01-02T03:04:05.000Z" in text


def test_a_held_order_shows_since_when_and_why(daemon: FakeDaemon, fulfilld: Run) -> None:
    held = {"held_at": "2026-01-02T03:04:05.000Z", "held_reason": "fraud?", "situation": "held"}
    daemon.answers["GET", ORDER] = an_order(**held, state="Returned", platform_state="PreparingOrder")
    text = fulfilld("order", "acme", "67890").stdout
    assert "held       fraud? since 2026-01-02T03:04:05.000Z" in text
    assert "on the platform PreparingOrder" in text


HELD = {"held_at": "2026-01-02T03:04:05.000Z", "held_reason": "fraud?", "situation": "held"}


@pytest.mark.parametrize(("type_", "is_blocked"), [("rejected", True), ("order-not-found", False)])
def test_a_held_order_that_is_blocked_too_says_what_a_release_leaves(
    daemon: FakeDaemon, fulfilld: Run, type_: str, *, is_blocked: bool
) -> None:
    problem = {"type": type_, "title": "?", "detail": "?", "step": None, "since": "2026-01-02T03:04:05.000Z"}
    daemon.answers["GET", ORDER] = an_order(**HELD, problem=problem)
    daemon.answers["GET", "/v1/orders"] = {"orders": [an_order(**HELD, problem=problem)], "next": None}
    text = fulfilld("order", "acme", "67890").stdout
    assert ("situation  held, and blocked" in text) == is_blocked
    assert ("`fulfilld release acme 67890` ends the hold and leaves it blocked" in text) == is_blocked
    assert ("`fulfilld release acme 67890` lets it go on" in text) != is_blocked
    assert ("held, blocked" in fulfilld("orders").stdout) == is_blocked


def test_what_a_platform_says_cannot_steer_the_terminal(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", ORDER] = an_order(problem=a_problem(detail="a\x1b[2J\x07b\u202ec\nd"))
    text = fulfilld("order", "acme", "67890").stdout
    assert "a [2J b c d" in text
    assert "\x1b" not in text


def test_the_payload_comes_when_asked_for(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", ORDER] = an_order(payload={"id": 67890})
    fulfilld("order", "acme", "67890", "--payload", "--json")
    assert daemon.calls[0][2] == {"include": "payload,timeline"}


def test_content_and_payload_are_printed_as_json_with_their_own_digits(daemon: FakeDaemon, fulfilld: Run) -> None:
    row = '{"id": "1", "payload": {"price": 10.10, "big": 12345678901234567890123}, "content": {"note": "Łódź"}}'
    daemon.answers["GET", ORDER] = row
    daemon.answers["GET", "/v1/orders"] = [
        f'{{"orders": [{row}], "next": "a"}}',
        f'{{"orders": [{row}], "next": null}}',
    ]
    daemon.answers["GET", "/v1/events"] = [
        f'{{"events": [{{"cursor": 1, "data": {row}}}], "next": 1}}',
        '{"events": [], "next": 1}',
    ]
    include = ("--include", "payload", "--include", "content")
    for command in (("order", "acme", "67890"), ("orders",), ("events",)):
        text = fulfilld(*command, *include).stdout
        assert "10.10" in text
        assert "12345678901234567890123" in text
        assert "Łódź" in text
    wanted = [query["include"] for _, _, query, _, _ in daemon.calls]
    assert wanted == ["timeline,payload,content", *["payload,content"] * 4]


def test_a_dump_brings_what_is_asked_for(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/dump"] = '{"kind": "order", "content": null}\n'
    assert fulfilld("dump", "--include", "content").stdout == '{"kind": "order", "content": null}\n'
    fulfilld("dump")
    assert [query for _, _, query, _, _ in daemon.calls] == [{"include": "content"}, {}]


@pytest.mark.parametrize("action", ["retry", "hold", "release", "cancel", "announce", "refresh"])
def test_an_order_is_operated(daemon: FakeDaemon, fulfilld: Run, action: str) -> None:
    daemon.answers["POST", f"{ORDER}/{action}"] = an_order(situation="held")
    result = fulfilld(action, "acme", "67890")
    assert result.exit_code == 0
    assert result.stdout == "acme 67890 is at OrderConfirm (accepted), held\n"
    assert daemon.bodies() == []


@pytest.mark.parametrize("action", ["skip", "hold"])
def test_a_reason_is_sent_along(daemon: FakeDaemon, fulfilld: Run, action: str) -> None:
    daemon.answers["POST", f"{ORDER}/{action}"] = an_order()
    assert fulfilld(action, "acme", "67890", "--reason", "by phone").exit_code == 0
    assert daemon.bodies() == [{"reason": "by phone"}]


def test_skip_needs_a_reason(daemon: FakeDaemon, fulfilld: Run) -> None:
    assert fulfilld("skip", "acme", "67890").exit_code == 2
    assert daemon.calls == []


@pytest.mark.parametrize(("action", "said"), [("pause", "acme is paused"), ("resume", "acme is resumed: its steps")])
def test_a_shop_is_operated(daemon: FakeDaemon, fulfilld: Run, action: str, said: str) -> None:
    daemon.answers["POST", f"/v1/shops/acme/{action}"] = {"name": "acme"}
    assert fulfilld(action, "acme").stdout.startswith(said)


def test_a_shop_that_another_cause_keeps_paused_is_not_said_to_go_on(daemon: FakeDaemon, fulfilld: Run) -> None:
    wait = {"reason": "another_account", "until": None, "detail": "orders of shop 1, the config says shop 2"}
    daemon.answers["POST", "/v1/shops/acme/resume"] = {"name": "acme", "wait": wait}
    said = fulfilld("resume", "acme").stdout
    assert said.startswith("that pause is over, but the name of shop acme means another account now: orders of shop 1")
    assert "fix the config" in said


def test_a_sync_is_begun(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/shops/acme/sync"] = (202, {})
    assert fulfilld("sync", "acme").exit_code == 0
    assert daemon.calls[0][2] == {}


@pytest.mark.parametrize(("arguments", "seconds"), [(["--wait"], 60), (["--wait", "7"], 7), (["--wait=0.5"], 0.5)])
def test_a_sync_that_is_waited_for_shows_what_it_found(
    daemon: FakeDaemon, fulfilld: Run, arguments: list[str], seconds: float
) -> None:
    daemon.answers["POST", "/v1/shops/acme/sync"] = {"imported": 3, "updated": 0}
    assert fulfilld("sync", "acme", *arguments).stdout == "acme is synced: 3 imported, 0 updated\n"
    assert float(daemon.calls[0][2]["wait"]) == seconds


def test_a_sync_that_does_not_end_in_time_has_failed(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/shops/acme/sync"] = (202, {})
    assert fulfilld("sync", "--wait", "acme").exit_code == 1


@pytest.mark.parametrize("arguments", [[], ["--wait", "1"], ["--json"]])
def test_a_sync_of_a_shop_that_waits_for_a_person_has_failed(
    daemon: FakeDaemon, fulfilld: Run, arguments: list[str]
) -> None:
    daemon.answers["POST", "/v1/shops/acme/sync"] = (202, {"shop": "acme"})
    wait = {"reason": "paused", "until": None, "detail": "stocktaking"}
    daemon.answers["GET", "/v1/shops/acme"] = {"name": "acme", "wait": wait}
    result = fulfilld("sync", "acme", *arguments)
    assert result.exit_code == 1
    assert "not synced now, for shop acme is paused: stocktaking - `fulfilld resume acme`" in result.stderr
    assert "being synced" not in result.stdout


def test_a_sync_of_a_shop_that_may_not_be_asked_yet_says_until_when(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/shops/acme/sync"] = (202, {"shop": "acme"})
    wait = {"reason": "circuit", "until": "2026-01-02T03:04:05.000Z", "detail": ""}
    daemon.answers["GET", "/v1/shops/acme"] = {"name": "acme", "wait": wait}
    result = fulfilld("sync", "acme")
    assert result.exit_code == 0
    assert result.stdout == "acme is to be synced, waiting for circuit until 2026-01-02T03:04:05.000Z\n"


@pytest.mark.parametrize("command", [["order"], ["retry"], ["skip", "--reason", "by hand"], ["hold"], ["cancel"]])
def test_an_order_that_is_not_known_can_be_read_from_its_platform(
    daemon: FakeDaemon, fulfilld: Run, command: list[str]
) -> None:
    problem = {"type": "order-not-found", "title": "No such order", "status": 404, "detail": "no order 67890 is known"}
    daemon.answers["GET", ORDER] = daemon.answers["POST", f"{ORDER}/{command[0]}"] = (404, problem)
    result = fulfilld(*command, "acme", "67890")
    assert result.exit_code == 4
    assert "`fulfilld refresh acme 67890` reads it from the platform" in result.stderr


def test_an_order_that_the_platform_does_not_have_is_not_said_to_be_refreshed(
    daemon: FakeDaemon, fulfilld: Run
) -> None:
    problem = {"type": "order-not-found", "title": "No such order", "status": 404, "detail": "acme has no order 67890"}
    daemon.answers["POST", f"{ORDER}/refresh"] = (404, problem)
    assert "check the id on the platform" in fulfilld("refresh", "acme", "67890").stderr


def test_a_cancel_says_when_nothing_was_pending(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", f"{ORDER}/cancel"] = an_order()
    daemon.answers["GET", ORDER] = an_order()
    assert "nothing was pending" in fulfilld("cancel", "acme", "67890").stdout
    daemon.answers["GET", ORDER] = an_order(targets=[a_target()])
    assert "nothing was pending" not in fulfilld("cancel", "acme", "67890").stdout


def test_all_machines_are_drawn_as_text(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/machines"] = "one\n\ntwo\n"
    assert fulfilld("machines").stdout == "one\n\ntwo\n"
    assert daemon.calls[-1][2] == {"format": "text"}


def test_all_machines_are_drawn_in_every_format_with_and_without_a_daemon(run: Run) -> None:
    result = run("machines", "--format", "mermaid")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("stateDiagram-v2\n") == len(PLATFORMS)
    result = run("machines", "--format", "svg")
    assert result.exit_code == 0, result.output
    root = ET.fromstring(result.stdout)
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == len(PLATFORMS)
    assert len(json.loads(run("machines", "--format", "json").stdout)["machines"]) == len(PLATFORMS)
    assert run("machines").stdout.count("MILESTONE\n") == len(PLATFORMS)


def test_one_machine_is_drawn_in_the_wanted_format(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/machines/selldone"] = "stateDiagram-v2\n"
    assert fulfilld("machines", "selldone", "--format", "mermaid").stdout == "stateDiagram-v2\n"
    assert daemon.calls[-1][2] == {"format": "mermaid"}


@pytest.mark.parametrize(
    ("form", "begin"), [("text", ""), ("mermaid", "stateDiagram-v2"), ("svg", "<svg"), ("json", "{")]
)
def test_machines_are_drawn_without_a_daemon(run: Run, form: str, begin: str) -> None:
    result = run("machines", "selldone", "--format", form)
    assert result.exit_code == 0, result.output
    assert result.stdout.lstrip().startswith(begin)
    assert "set_tracking" in result.stdout


def test_machines_of_a_daemon_that_was_named_are_never_our_own(run: Run, alone: Path) -> None:
    assert run("--socket", str(alone / "none.sock"), "machines").exit_code == 3


def test_a_platform_that_nobody_knows_is_not_found(run: Run) -> None:
    assert run("machines", "amazon").exit_code == 4


def test_status_shows_what_the_erp_asks_a_person_for(daemon: FakeDaemon, fulfilld: Run) -> None:
    asked = {"reason": "no article KUB-CZ", "since": "2026-01-02T03:04:05.000Z"}
    problem = a_problem(type="attention", title="The ERP asks for a person", detail=asked["reason"], step=None)
    daemon.answers["GET", "/v1/status"] = a_status(
        attention=[{"shop": "acme", "order": "7", "problem": problem, "attention": asked}]
    )
    result = fulfilld("status")
    assert result.exit_code == 0
    assert "no article KUB-CZ" in result.stdout
    assert "fulfilld release acme 7" in result.stdout


def test_an_order_shows_what_the_erp_asks_a_person_for(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", ORDER] = an_order(attention={"reason": None, "since": "2026-01-02T03:04:05.000Z"})
    shown = fulfilld("order", "acme", "67890").stdout
    assert "without a reason since 2026-01-02T03:04:05.000Z" in shown
    assert "fulfilld release acme 67890" in shown


def test_an_order_is_announced_under_a_key(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", f"{ORDER}/announce"] = an_order()
    assert fulfilld("announce", "acme", "67890", "--key", "erp-1").exit_code == 0
    assert daemon.calls[-1][4]["Idempotency-Key"] == "erp-1"


def test_status_says_once_for_each_type_of_problem_what_helps(daemon: FakeDaemon, fulfilld: Run) -> None:
    entries = [
        {"shop": "acme", "order": "5", "problem": a_problem()},
        {"shop": "acme", "order": "6", "problem": a_problem()},
        {"shop": "acme", "order": "7", "problem": a_problem(type="attempts-exhausted")},
    ]
    daemon.answers["GET", "/v1/status"] = a_status(attention=entries)
    text = " ".join(fulfilld("status").stdout.split())
    assert "`fulfilld retry acme 5`" in text
    assert "fulfilld retry acme 6" not in text
    assert "when the platform works again, `fulfilld retry acme 7`" in text


@pytest.mark.parametrize(
    ("changes", "helps"),
    [
        ({"held_at": "2026-01-02T03:04:05.000Z", "held_reason": None}, "`fulfilld release acme 67890` lets it go on"),
        ({"wait": {"reason": "paused", "until": None, "detail": "stocktaking"}}, "`fulfilld resume acme`"),
        ({"wait": {"reason": "access_denied", "until": None, "detail": "401"}}, "check its credentials"),
        ({"wait": {"reason": "restore", "until": None, "detail": ""}}, "check what is pending"),
        ({"wait": {"reason": "not_configured", "until": None, "detail": ""}}, "put it back into the config"),
    ],
)
def test_an_order_that_waits_for_a_person_says_what_ends_that(
    daemon: FakeDaemon, fulfilld: Run, changes: dict[str, Any], helps: str
) -> None:
    daemon.answers["GET", ORDER] = an_order(situation="waiting", **changes)
    [text] = [line for line in fulfilld("order", "acme", "67890").stdout.splitlines() if line.startswith("what helps")]
    assert helps in text


def test_an_order_that_goes_on_by_itself_asks_for_nothing(daemon: FakeDaemon, fulfilld: Run) -> None:
    wait = {"reason": "retry_after", "until": "2026-01-02T03:04:05.000Z", "detail": ""}
    daemon.answers["GET", ORDER] = an_order(situation="waiting", wait=wait)
    assert "what helps" not in fulfilld("order", "acme", "67890").stdout


def test_a_paused_delivery_says_what_sends_again(daemon: FakeDaemon, fulfilld: Run) -> None:
    delivery = {"name": "orders_url", "lag_events": 3, "lag_seconds": 9, "last_error": None, "paused": True}
    daemon.answers["GET", "/v1/status"] = a_status(delivery=[delivery])
    assert "`fulfilld delivery resume orders_url` sends what waits" in fulfilld("status").stdout


def a_line(**changes: Any) -> dict[str, Any]:
    price = {"net": None, "gross": "12.50", "stated": None}
    return {"id": "L1", "sku": "SKU-9", "name": "Kubek", "quantity": "3", "open": "3", "unit_price": price, **changes}


def test_an_order_shows_what_was_ordered(daemon: FakeDaemon, fulfilld: Run) -> None:
    nothing = {"net": None, "gross": None, "stated": None}
    lines = [
        a_line(),
        a_line(id="L2", sku=None, open="1", unit_price={"net": "7.00", "gross": None, "stated": None}),
        a_line(id="L3", quantity="2.5", open=None, unit_price={**nothing, "stated": "5.5"}),
        a_line(id="L4", name=None, unit_price=nothing),
        a_line(id="L5", unit_price=None),
    ]
    total = {"net": None, "gross": "52.75", "stated": None}
    content = {"currency": "PLN", "lines": lines, "totals": {"total": total}}
    daemon.answers["GET", ORDER] = an_order(content=content)
    text = fulfilld("order", "acme", "67890").stdout
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "LINE SKU NAME QUANTITY PRICE PLN" in rows
    assert "L1 SKU-9 Kubek 3 12.50" in rows
    assert "L2 Kubek 3, 1 open 7.00 net" in rows
    assert "L3 SKU-9 Kubek 2.5 5.5" in rows
    assert "L4 SKU-9 3" in rows
    assert "L5 SKU-9 Kubek 3" in rows
    assert "total 52.75 PLN" in rows


@pytest.mark.parametrize("content", [None, {"currency": None, "lines": None, "totals": None}, {"lines": []}])
def test_an_order_without_content_is_shown_without_lines(daemon: FakeDaemon, fulfilld: Run, content: Any) -> None:
    daemon.answers["GET", ORDER] = an_order(content=content)
    result = fulfilld("order", "acme", "67890")
    assert result.exit_code == 0
    assert "SKU" not in result.stdout


def test_a_target_for_a_part_says_where_it_leaves_the_order(daemon: FakeDaemon, fulfilld: Run) -> None:
    part = [{"step": "fulfill", "from": "UNFULFILLED", "to": "PARTIALLY_FULFILLED", "status": "done"}]
    target = a_target(state="FULFILLED", status="blocked", plan=part)
    kept = [{"step": "record", "from": "OrderConfirm", "to": "OrderConfirm", "status": "done"}]
    daemon.answers["GET", ORDER] = an_order(targets=[target, a_target(plan=kept), a_target()])
    text = fulfilld("order", "acme", "67890").stdout
    assert "FULFILLED (shipped) for a part, which leaves the order at PARTIALLY_FULFILLED, blocked" in text
    assert text.count("for a part") == 1


def test_steps_that_repeat_are_counted_in_the_timeline(daemon: FakeDaemon, fulfilld: Run) -> None:
    data = {"state": "Wysłane", "steps": ["accept", "change_status", "change_status", "change_status"]}
    daemon.answers["GET", ORDER] = an_order(timeline=[an_event(1, type="target.submitted", data=data)])
    assert "steps=accept,change_status ×3" in fulfilld("order", "acme", "67890").stdout


def test_an_order_says_what_helps(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", ORDER] = an_order(situation="blocked", problem=a_problem())
    text = " ".join(fulfilld("order", "acme", "67890").stdout.split())
    assert "what helps fix the order on the platform" in text


def test_status_shows_consumers_that_are_behind_and_shops_that_left(daemon: FakeDaemon, fulfilld: Run) -> None:
    dump = a_status(
        consumers=[
            {
                "name": "erp",
                "cursor": 5,
                "lag_events": 812,
                "lag_seconds": 86400.0,
                "last_seen_at": "2026-01-02T03:04:05.000Z",
            }
        ]
    )
    dump["shops"][0]["configured"] = False
    daemon.answers["GET", "/v1/status"] = dump
    text = fulfilld("status").stdout
    assert "erp" in text
    assert "812" in text
    assert "not configured" in " ".join(text.split())


def test_an_event_shows_its_data_in_words(daemon: FakeDaemon, fulfilld: Run) -> None:
    boxed = {"number": "B-1", "tracking": ["3SPY1", "3SPY2"], "lines": [{"id": "1", "quantity": 2}, "2"], "last": True}
    lines = [{"id": "1", "quantity": "2"}, {"id": "2", "quantity": None}]
    events = [
        an_event(7, type="target.submitted", data={"parcel": boxed, "items": ["4", {"id": "5", "quantity": 1}]}),
        an_event(8, type="parcel.recorded", data={"tracking": ["3SPY1"], "lines": lines, "last": False}),
        an_event(9, type="order.blocked", data={"problem": {"type": "rejected", "title": "Refused"}}),
    ]
    daemon.answers["GET", ORDER] = an_order(timeline=events)
    shown = fulfilld("order", "acme", "67890").stdout
    assert "parcel=(number: B-1, tracking: 3SPY1 + 3SPY2, lines: 1 ×2 + 2, last: true) items=4,5 ×1\n" in shown
    assert "tracking=3SPY1 lines=1 ×2,2 last=false\n" in shown
    assert "problem=Refused\n" in shown
