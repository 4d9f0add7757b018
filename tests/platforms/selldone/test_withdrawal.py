"""What Selldone's `withdraw` and `withdraw_at` are taken to mean: their types are not published."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.platforms.selldone.wire import read_order
from orchestrator.platforms.selldone.withdrawal import withdrawal_fact
from statemachines.withdrawal import WITHDRAWN

AT = "2026-11-02T10:00:00.000000Z"
AT_MS = 1_793_613_600_000
ORDER: dict[str, Any] = {
    "id": 15002,
    "status": "Payed",
    "delivery_state": "PreparingOrder",
    "updated_at": AT,
    "items": [{"id": 1}],
}

NOT_WITHDRAWN: list[dict[str, Any]] = [
    {},
    {"withdraw": None, "withdraw_at": None},
    {"withdraw": False},
    {"withdraw": 0, "withdraw_at": ""},
    {"withdraw": "0", "withdraw_at": "0000-00-00 00:00:00"},
    {"withdraw": "false"},
    {"withdraw": [], "withdraw_at": {}},
    {"withdraw": " No "},
]
WITHDRAWN_AS: list[tuple[dict[str, Any], int | None, str | None]] = [
    ({"withdraw": True}, None, None),
    ({"withdraw": 1}, None, None),
    ({"withdraw": "1"}, None, None),
    ({"withdraw": "yes"}, None, None),
    ({"withdraw_at": AT}, AT_MS, None),
    ({"withdraw": True, "withdraw_at": "2026-11-02 10:00:00"}, AT_MS, None),
    ({"withdraw": True, "withdraw_at": "2026-11-02T11:00:00+01:00"}, AT_MS, None),
    ({"withdraw": True, "withdraw_at": "2026-11-02"}, AT_MS - 36_000_000, None),
    ({"withdraw": True, "withdraw_at": AT_MS // 1000}, AT_MS, None),
    ({"withdraw": True, "withdraw_at": str(AT_MS)}, AT_MS, None),
    ({"withdraw": True, "withdraw_at": AT_MS / 1000}, AT_MS, None),
    ({"withdraw": AT}, AT_MS, None),
    ({"withdraw": {"reason": "Too late", "date": AT}}, AT_MS, "Too late"),
    ({"withdraw": "Changed\n my mind"}, None, "Changed my mind"),
    ({"withdraw": [{"x": 1}]}, None, None),
    ({"withdraw": True, "withdraw_at": "soon"}, None, None),
    ({"withdraw": True, "withdraw_at": {"date": {"date": AT}}}, None, None),
    ({"withdraw": True, "withdraw_at": [1, 2]}, None, None),
    ({"withdraw": True, "withdraw_at": 10**30}, None, None),
    ({"withdraw": True, "withdraw_at": "9" * 40}, None, None),
    ({"withdraw": True, "withdraw_at": "10000-01-01T00:00:00Z"}, None, None),
    ({"withdraw": "\ud800"}, None, "\ufffd"),
]


def read(members: dict[str, Any]) -> Any:
    return read_order({**ORDER, **members}, json.dumps(ORDER).encode())


@pytest.mark.parametrize("members", NOT_WITHDRAWN)
def test_what_says_no_is_no_withdrawal(members: dict[str, Any]) -> None:
    assert withdrawal_fact(members) is None
    snapshot = read(members)
    assert WITHDRAWN not in snapshot.facts
    assert snapshot.content_hash == read({}).content_hash, "a member that says no changes nothing"


@pytest.mark.parametrize(("members", "at", "reason"), WITHDRAWN_AS)
def test_whatever_can_mean_yes_is_a_withdrawal(members: dict[str, Any], at: int | None, reason: str | None) -> None:
    snapshot = read(members)
    assert snapshot.facts[WITHDRAWN] == {"at": at, "reason": reason}
    assert snapshot.content_hash != read({}).content_hash, "it is another order for the ERP"


def test_the_same_withdrawal_in_other_words_is_no_change() -> None:
    one, other = read({"withdraw": 1, "withdraw_at": AT}), read({"withdraw": True, "withdraw_at": AT_MS})
    assert one.content_hash == other.content_hash
