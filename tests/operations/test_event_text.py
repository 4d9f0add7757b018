"""Events as text are what their views say, also those that are damaged, and the second time as the first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.operations.event_text import written_row
from orchestrator.operations.views.events import event_view
from storage.events import show_event

AT = 1_800_000_000_001
STEP = '{"step":"confirm","from":"CheckQueue","to":"OrderConfirm","attempt":1}'
PROBLEM = '{"problem":{"type":"rejected","title":"t","detail":"d","step":null},"next_attempt_at":1800000000002}'


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("order.step_started", STEP),
        ("order.step_started", f" {STEP} "),
        ("order.imported", '{"reference":"ż \\"q\\" \\u0007","payment":"paid","n":1.50,"big":12345678901234567890}'),
        ("order.blocked", PROBLEM),
        ("order.retrying", '{"next_attempt_at":1800000000002}'),
        ("order.retrying", '{"next_attempt_at":null}'),
        ("import.rejected", '{"id":7}'),
        ("order.noted", '{"id":7}'),
        ("order.noted", '{"text":"\\ud800"}'),
        ("order.noted", f'{{"text":"{"x" * 300}"}}'),
        ("order.noted", "{}"),
        ("order.noted", "[1]"),
        ("order.noted", '{"a":'),
        ("order.noted", 5),
        ("order.noted", b"{}"),
    ],
)
@pytest.mark.parametrize(("shop", "order", "target"), [("acme", "1/ż", "t-1"), ('a"b', None, None), (None, None, None)])
def test_an_event_as_text_is_its_view(
    type_: str, data: Any, shop: str | None, order: str | None, target: str | None
) -> None:
    row = (42, AT, type_, shop, order, target, data)
    view = event_view(show_event(row))
    for _ in range(2):
        cursor, written_type, text = written_row(row)
        assert (cursor, written_type) == (42, type_)
        assert json.loads(text) == view
        assert list(json.loads(text)) == list(view)


def test_what_is_remembered_of_one_type_is_not_shown_of_another() -> None:
    texts = [
        written_row((1, AT, type_, "acme", "1", None, '{"id":7}')).text for type_ in ("order.noted", "import.rejected")
    ]
    assert [json.loads(text)["data"] for text in texts] == [{"id": 7}, {"id": "7"}]
