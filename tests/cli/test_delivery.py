"""The receivers of events: what was tried, and what a person sends."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.fake import FakeDaemon, Run

ATTEMPT: dict[str, Any] = {
    "id": "9",
    "kind": "in_turn",
    "cursor": 42,
    "type": "order.updated",
    "shop": "acme",
    "order": "7",
    "attempt": 3,
    "at": "2026-11-30T08:00:00.000Z",
    "seconds": 0.25,
    "http_status": 503,
    "error": "answered (503)",
}
RECEIVER: dict[str, Any] = {
    "name": "orders_url",
    "cursor": 42,
    "lag_events": 7,
    "lag_seconds": 1.5,
    "parked": 2,
    "types": ["order.updated"],
    "last_error": "answered (503)",
    "last_error_at": None,
    "delivered_at": None,
    "paused": False,
}


def test_receivers_are_listed_with_what_is_wrong(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/delivery"] = {"delivery": [RECEIVER]}
    shown = fulfilld("delivery", "list")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].split() == ["orders_url", "42", "7", "2", "never", "answered", "(503)"]
    assert json.loads(fulfilld("delivery", "list", "--json").stdout) == {"delivery": [RECEIVER]}
    daemon.answers["GET", "/v1/delivery"] = {"delivery": []}
    assert "no receiver" in fulfilld("delivery", "list").stdout


def test_attempts_say_what_the_receiver_answered(daemon: FakeDaemon, fulfilld: Run) -> None:
    test = ATTEMPT | {
        "cursor": None,
        "type": "delivery.test",
        "shop": None,
        "order": None,
        "error": None,
        "http_status": 204,
    }
    daemon.answers["GET", "/v1/delivery/orders_url/attempts"] = {"attempts": [ATTEMPT, test], "next": None}
    _, first, second = fulfilld("delivery", "attempts", "orders_url", "--failed", "--event", "42").stdout.splitlines()
    assert first.split()[1:] == ["42", "order.updated", "acme/7", "3", "0.250", "answered", "(503)"]
    assert second.split()[1:4] == ["test", "delivery.test", "–"]
    assert second.endswith("taken (204)")


def test_an_event_is_sent_again_or_in_its_turn(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/delivery/orders_url/send"] = {"name": "orders_url", "cursor": 42, "attempt": ATTEMPT}
    assert fulfilld("delivery", "send", "orders_url", "42").stdout == "event 42 to orders_url: answered (503)\n"
    daemon.answers["POST", "/v1/delivery/orders_url/send"] = {"name": "orders_url", "cursor": 42, "attempt": None}
    assert "in its turn" in fulfilld("delivery", "send", "orders_url", "42").stdout
    assert daemon.bodies() == [{"cursor": 42}, {"cursor": 42}]


def test_a_test_that_is_not_taken_is_exit_code_1(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/delivery/orders_url/test"] = ATTEMPT
    refused = fulfilld("delivery", "test", "orders_url")
    assert (refused.exit_code, refused.stdout) == (1, "test to orders_url: answered (503) after 0.250 s\n")
    daemon.answers["POST", "/v1/delivery/orders_url/test"] = ATTEMPT | {"error": None, "http_status": 204}
    assert fulfilld("delivery", "test", "orders_url").exit_code == 0


def test_a_replay_says_how_much_is_sent(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/delivery/orders_url/replay"] = RECEIVER
    assert "7 events from behind cursor 40" in fulfilld("delivery", "replay", "orders_url", "40").stdout
    assert daemon.bodies() == [{"cursor": 40}]
