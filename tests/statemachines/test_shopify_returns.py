"""When everything of a Shopify order came back, and when not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachines.shopify.returns import came_back, is_all_back

STATES = ("REQUESTED", "OPEN", "CLOSED", "CANCELED", "DECLINED")


def back(state: str, *, exchange: int = 0, processed: dict[str, int] | None = None, **lines: int) -> dict[str, Any]:
    rows = [{"id": line, "quantity": count} for line, count in lines.items()]
    return {"id": "1", "state": state, "lines": rows, "processed": processed or {}, "exchange": exchange}


def sent(*, is_live: bool = True, **lines: int) -> dict[str, Any]:
    return {"id": "9", "is_live": is_live, "is_delivered": True, "codes": [], "urls": [], "lines": lines}


@pytest.mark.parametrize(
    ("parcels", "returns", "is_all"),
    [
        ([sent(a=2)], [back("CLOSED", a=2)], True),
        ([sent(a=2)], [back("CLOSED", a=1)], False),
        ([sent(a=2)], [back("CLOSED", a=1), back("CLOSED", a=1)], True),
        ([sent(a=1), sent(b=1)], [back("CLOSED", a=1)], False),
        ([sent(a=1), sent(is_live=False, b=1)], [back("CLOSED", a=1)], True),  # that parcel was taken back before
        ([sent(a=2)], [back("OPEN", a=2)], False),
        ([sent(a=2)], [back("OPEN", a=2, processed={"a": 1})], False),
        ([sent(a=2)], [back("OPEN", a=2, processed={"a": 2})], True),
        ([sent(a=2)], [back("CLOSED", a=1), back("OPEN", a=1, processed={"a": 1})], True),
        ([sent(a=2)], [back("REQUESTED", a=2)], False),
        ([sent(a=2)], [back("DECLINED", a=2)], False),
        ([sent(a=2)], [back("CANCELED", a=2)], False),
        ([sent(a=2)], [back("OPEN", a=2, processed={"a": 2}, exchange=1)], False),  # something goes out for it
        ([sent(a=2)], [back("CLOSED", a=2, exchange=1)], True),  # closed without having sent it
        ([sent(a=1, gift=1)], [back("CLOSED", a=1)], True),
        ([sent(gift=1)], [], False),
        ([], [], False),
        ([sent(a=2)], [], False),
    ],
)
def test_an_order_is_returned_when_each_piece_that_travelled_is_back(
    parcels: list[Any], returns: list[Any], is_all: bool
) -> None:
    assert is_all_back({"fulfillments": parcels, "returns": returns}, {"a", "b"}) is is_all


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1),
    st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from("abc"), st.integers(1, 4)), max_size=5),
)
def test_no_piece_that_is_not_back_is_overlooked(lines: dict[str, int], rows: list[tuple[str, str, int]]) -> None:
    returns = [{**back(state), "lines": [{"id": line, "quantity": count}]} for state, line, count in rows]
    facts = {"fulfillments": [{**sent(), "lines": lines}], "returns": returns}
    closed = {line: sum(n for state, of, n in rows if state == "CLOSED" and of == line) for line in lines}
    assert is_all_back(facts, set("abc")) is all(closed[line] >= lines[line] for line in lines)
    assert sum(came_back(facts).values()) == sum(n for state, _, n in rows if state == "CLOSED")
