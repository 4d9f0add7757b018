"""What a Selldone order says of items that its buyer wants to send back."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.selldone.wire import read_order
from statemachines.selldone import MACHINE

_SAMPLES = Path(__file__).parents[2] / "samples" / "selldone"
REQUESTS = json.loads((_SAMPLES / "return_requests_response_assembled.json").read_text())["return_requests"]


def snapshot(returns: Any) -> Any:
    order = json.loads((_SAMPLES / "order_checkqueue.json").read_text())
    if returns is ...:
        del order["basket_item_returns"]
    else:
        order["basket_item_returns"] = returns
    return read_order(order, b"{}")


def test_a_request_is_shown_with_its_item_count_and_state() -> None:
    shown = snapshot(REQUESTS)
    assert shown.facts["returns"] == [{"id": "501", "state": "Pending", "lines": [{"id": "23990", "quantity": 1}]}]
    (returned,) = shown.content["returns"]
    assert (returned["reason"], returned["note"], returned["lines"]) == (
        "U1",
        "Wrong size",
        [{"id": "23990", "quantity": "1"}],
    )


@pytest.mark.parametrize("nothing", [[], {}])
def test_no_request_is_shown_as_none(nothing: Any) -> None:
    assert snapshot(nothing).facts["returns"] == []


def test_a_look_that_says_nothing_of_returns_takes_none_away() -> None:
    known, shown = snapshot(REQUESTS), snapshot(...)
    assert "returns" not in shown.facts
    assert "returns" not in shown.content
    assert MACHINE.merged_facts(known.order_state(), shown.order_state())["returns"] == known.facts["returns"]


@pytest.mark.parametrize(
    ("requests", "shown"),
    [
        ({"3": {"id": "7", "item_id": "23990", "count": "2", "state": "Accepted"}}, [("7", "Accepted", 2)]),
        ([{"id": 7, "item_id": 23990, "count": 1.5, "state": None}], [("7", "unknown", None)]),
        ([{"id": 7, "item_id": None, "count": 1, "state": "Weird"}], [("7", "Weird", None)]),
        (
            [{"item_id": 1, "count": 1, "state": "Pending"}, None, "x", {"id": 8, "state": "Pending"}],
            [("8", "Pending", None)],
        ),
        ("none", []),
        (17, []),
    ],
)
def test_what_makes_no_sense_ends_its_own_row_at_most(requests: Any, shown: list[Any]) -> None:
    found = snapshot(requests).facts["returns"]
    assert [
        (each["id"], each["state"], (each["lines"] or [{"quantity": None}])[0]["quantity"]) for each in found
    ] == shown


def test_a_decimal_count_keeps_its_digits() -> None:
    order = json.loads((_SAMPLES / "order_checkqueue.json").read_text(), parse_float=Decimal)
    order["basket_item_returns"] = json.loads(
        '[{"id": 7, "item_id": 23990, "count": 1.50, "state": "Pending"}]', parse_float=Decimal
    )
    assert read_order(order, b"{}").facts["returns"][0]["lines"] == [{"id": "23990", "quantity": "1.50"}]


def test_the_hash_moves_with_each_request_and_state() -> None:
    accepted = [{**REQUESTS[0], "state": "Accepted"}]
    hashes = {snapshot(each).content_hash for each in ([], REQUESTS, accepted)}
    assert len(hashes) == 3
