"""What was done over time, on a terminal."""

from __future__ import annotations

import json

import pytest

from tests.cli.fake import FakeDaemon, Run

POINT = {
    "at": "2026-11-30T08:15:00.000Z",
    "steps_done": 12,
    "steps_failed": 1,
    "orders_imported": 3,
    "calls": 40,
    "oldest_pending_seconds": 7.4,
}


def test_each_minute_is_a_row(daemon: FakeDaemon, fulfilld: Run) -> None:
    answer = {"step": "minute", "shop": None, "points": [POINT, POINT | {"oldest_pending_seconds": 0.0}]}
    daemon.answers["GET", "/v1/history"] = answer
    first, second = fulfilld("history").stdout.splitlines()[1:]
    assert first.split() == ["2026-11-30T08:15Z", "12", "1", "3", "40", "7", "s"]
    assert second.split() == ["2026-11-30T08:15Z", "12", "1", "3", "40"]
    assert json.loads(fulfilld("history", "--step", "hour", "--shop", "acme", "--json").stdout) == answer


def test_where_nothing_is_kept_it_is_said(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["GET", "/v1/history"] = {"step": "minute", "shop": None, "points": []}
    assert "nothing is kept" in fulfilld("history").stdout


@pytest.mark.parametrize("given", [("--step", "day"), ("--since", "yesterday")])
def test_what_cannot_be_read_is_exit_code_2(fulfilld: Run, given: tuple[str, str]) -> None:
    assert fulfilld("history", *given).exit_code == 2
