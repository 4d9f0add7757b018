"""How an order is shown: while its shop stands still, and when the buyer withdrew it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.operations.views.orders import order_view
from orchestrator.testing.engine_suite.samples import order
from storage.records import Shop, Situation

NOW = 1_800_000_000_000


def shop(**changes: Any) -> Shop:
    known: dict[str, Any] = dict.fromkeys(Shop.__dataclass_fields__)
    return Shop(**{**known, "name": "acme", "platform": "selldone", "circuit": "open", **changes})


def shown(situation: Situation, next_attempt_at: int | None, of: Shop) -> dict[str, Any]:
    kept = order("1", situation=situation, next_attempt_at=next_attempt_at)
    return dict(order_view(kept, [], of, None, NOW))


@pytest.mark.parametrize("situation", [Situation.QUEUED, Situation.RETRYING])
def test_an_order_that_would_go_on_waits_while_its_shop_does(situation: Situation) -> None:
    reported = shown(situation, NOW - 5, shop(wait_reason="circuit", wait_until=NOW + 1000, wait_detail="HTTP 500"))
    assert (reported["situation"], reported["wait"]["reason"]) == ("waiting", "circuit")
    assert reported["next_attempt_at"] is None  # not an instant that has passed


def test_a_retry_is_shown_as_such_while_the_shop_works() -> None:
    reported = shown(Situation.RETRYING, NOW + 5, shop())
    assert (reported["situation"], reported["wait"]) == ("retrying", None)
    assert reported["next_attempt_at"] is not None


@pytest.mark.parametrize(
    ("reported", "at"), [({"at": NOW, "reason": None}, "2027-01-15T08:00:00.000Z"), ({"at": None, "reason": "x"}, None)]
)
def test_a_withdrawn_order_is_shown_as_such_whether_or_not_a_time_is_known(
    reported: dict[str, Any], at: str | None
) -> None:
    view = order_view(order("1", facts={"withdrawn": reported}), [], shop(), None, NOW)
    assert (view["withdrawn"], view["withdrawn_at"]) == (True, at)


def test_an_order_that_nobody_withdrew_is_shown_so() -> None:
    view = order_view(order("1"), [], shop(), None, NOW)
    assert (view["withdrawn"], view["withdrawn_at"]) == (False, None)
