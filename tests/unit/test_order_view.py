"""How an order is shown while its shop stands still."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.operations.views import order_view
from storage.records import Shop, Situation
from tests.storage.samples import order

NOW = 1_800_000_000_000


def shop(**changes: Any) -> Shop:
    known: dict[str, Any] = dict.fromkeys(Shop.__dataclass_fields__)
    return Shop(**{**known, "name": "acme", "platform": "selldone", "circuit": "open", **changes})


def shown(situation: Situation, next_attempt_at: int | None, of: Shop) -> dict[str, Any]:
    kept = order("1", situation=situation, next_attempt_at=next_attempt_at)
    return order_view(kept, [], of, None, NOW)


@pytest.mark.parametrize("situation", [Situation.QUEUED, Situation.RETRYING])
def test_an_order_that_would_go_on_waits_while_its_shop_does(situation: Situation) -> None:
    told = shown(situation, NOW - 5, shop(gate_reason="circuit", gate_until=NOW + 1000, gate_detail="HTTP 500"))
    assert (told["situation"], told["wait"]["reason"]) == ("waiting", "circuit")
    assert told["next_attempt_at"] is None  # not an instant that has passed


def test_a_retry_is_shown_as_such_while_the_shop_works() -> None:
    told = shown(Situation.RETRYING, NOW + 5, shop())
    assert (told["situation"], told["wait"]) == ("retrying", None)
    assert told["next_attempt_at"] is not None
