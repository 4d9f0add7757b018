"""Orders of a list, each read by itself; those that cannot be read keep their id, be it a number or a text."""

from __future__ import annotations

import json

import pytest

from orchestrator.platforms.base.listing import Listing, listing_of
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.fields import InvalidOrder, text_id_of, text_id_or_none
from statemachines.target import Json


def refused(value: Json, payload: bytes) -> OrderSnapshot:
    raise InvalidOrder("it is bad")


def listed(order_id: Json) -> Listing:
    raw = json.dumps({"ref": order_id, "phase": ["?"]})
    return listing_of([(json.loads(raw), raw)], refused, id_name="ref", read_id=text_id_or_none)


@pytest.mark.parametrize("order_id", ["A-17", "17", "0196b3a2-5c0d-7aaa-8bbb-0123456789ab", "x:1~2.3_4"])
def test_an_order_with_a_text_for_an_id_is_named_though_it_cannot_be_read(order_id: str) -> None:
    (item,) = listed(order_id).unreadable
    assert item.id == order_id == text_id_of(order_id, "ref")


@pytest.mark.parametrize(
    "order_id", [17, None, "", " ", "..", ".", "a/b", "a?b", "a%2Fb", "é", "a\nb", "a\n", "x" * 101, ["A-1"]]
)
def test_what_no_address_can_hold_is_no_id(order_id: Json) -> None:
    assert listed(order_id).unreadable[0].id is None
    with pytest.raises(InvalidOrder, match="ref is not an id of at most 100 letters"):
        text_id_of(order_id, "ref")
