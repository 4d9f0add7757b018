"""The consumers of the feed whose cursor the daemon keeps."""

from __future__ import annotations

import json

from tests.cli.fake import FakeDaemon, Run

ERP = {"name": "erp", "cursor": 42, "lag_events": 7, "lag_seconds": 1.5, "last_seen_at": "2026-11-30T08:00:00.000Z"}


def test_consumers_are_listed_with_how_far_they_are_behind(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/consumers"] = {"consumers": [ERP]}
    shown = fulfilld("consumer", "list")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].split() == ["erp", "42", "7", "1.5", "2026-11-30T08:00:00.000Z"]
    assert json.loads(fulfilld("consumer", "list", "--json").stdout) == {"consumers": [ERP]}


def test_no_consumer_is_said(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/consumers"] = {"consumers": []}
    assert "no consumer" in fulfilld("consumer", "list").stdout


def test_a_consumer_is_put_elsewhere_and_forgotten(daemon: FakeDaemon, fulfilld: Run) -> None:
    answer = {"name": "erp", "cursor": 40, "feed": "f"}
    daemon.answers["POST", "/v1/consumers/erp/seek"] = answer
    daemon.answers["DELETE", "/v1/consumers/erp"] = answer
    assert "goes on after cursor 40" in fulfilld("consumer", "seek", "erp", "40").stdout
    assert daemon.bodies() == [{"cursor": 40}]
    assert "was at cursor 40" in fulfilld("consumer", "forget", "erp").stdout
    assert json.loads(fulfilld("consumer", "seek", "erp", "40", "--json").stdout) == answer
    assert json.loads(fulfilld("consumer", "forget", "erp", "--json").stdout) == answer


def test_a_consumer_that_is_not_there_is_exit_code_4(daemon: FakeDaemon, fulfilld: Run) -> None:
    problem = {"type": "consumer-not-found", "title": "No such consumer", "status": 404, "detail": "there is none"}
    daemon.answers["DELETE", "/v1/consumers/nobody"] = (404, problem)
    refused = fulfilld("consumer", "forget", "nobody")
    assert refused.exit_code == 4
    assert "fulfilld consumer list" in refused.stderr


def test_a_cursor_above_the_newest_is_exit_code_5(daemon: FakeDaemon, fulfilld: Run) -> None:
    problem = {"type": "cursor-ahead", "title": "The feed has not come that far", "status": 409, "detail": "too high"}
    daemon.answers["POST", "/v1/consumers/erp/seek"] = (409, problem)
    assert fulfilld("consumer", "seek", "erp", "99").exit_code == 5
    assert fulfilld("consumer", "seek", "erp", "-1").exit_code == 2
