"""The simulated Selldone's buyers withdraw orders (selldone.md, Since summer 2026)."""

from __future__ import annotations

import json

import pytest

from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.selldone.list import find_page, parse_list
from orchestrator.sandbox.server import Sandbox, SandboxSettings


def test_a_withdrawn_order_shows_it_in_the_list_and_by_itself() -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    shop = sandbox.selldone.shop
    (order,) = sandbox.selldone.order_ids()
    basket = sandbox.selldone.panel.basket(order)
    shown = json.loads(basket.encode())
    assert (shown["withdraw"], shown["withdraw_at"]) == (False, None)
    before = basket.updated_us
    assert sandbox.selldone.operate({"action": "withdraw", "order": order})["order"] == order
    shown = json.loads(basket.encode())
    assert shown["withdraw"] is True
    assert shown["withdraw_at"] == shown["updated_at"]
    assert basket.updated_us > before, "pollers find it"
    request = parse_list("offset=0&limit=5", "s")
    rows, _ = find_page(shop, request)  # type: ignore[arg-type]
    assert json.loads(rows[0].encode())["withdraw"] is True
    sandbox.selldone.operate({"action": "unwithdraw", "order": order})
    shown = json.loads(basket.encode())
    assert (shown["withdraw"], shown["withdraw_at"]) == (False, None)


def test_a_withdrawal_shows_whatever_type_is_wanted() -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    (order,) = sandbox.selldone.order_ids()
    sandbox.selldone.operate({"action": "withdraw", "order": order, "withdraw": {"reason": "late"}, "at": "garbage"})
    fields = sandbox.selldone.panel.basket(order).fields
    assert (fields["withdraw"], fields["withdraw_at"]) == ({"reason": "late"}, "garbage")
    with pytest.raises(PanelError):
        sandbox.selldone.operate({"action": "withdraw", "order": "1"})
