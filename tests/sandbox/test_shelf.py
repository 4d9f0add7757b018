"""A shelf whose orders are called otherwise than by their numbers."""

from __future__ import annotations

import json
from functools import partial
from typing import ClassVar

import pytest

from orchestrator.clock import Clock
from orchestrator.sandbox.base import answer, number_in
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Incoming, Json, Operation, PanelError, Stock, Walk
from orchestrator.sandbox.shelf import Shelf, ShelfOffice, ShelfPlatform


class Shop(Shelf):
    id_name: ClassVar[str] = "ref"
    states = ("received", "picking")

    def add(self, at_ms: int, **fields: Json) -> int:
        number = self.next_id()
        self.orders[number] = {"ref": self.id_of(number), "status": "received", **fields}
        return number

    def save(self, order: dict[str, Json], state: str | None = None) -> None:
        order["status"] = state or order["status"]

    def id_of(self, number: int) -> str:
        return f"A-{number}"

    def number_of(self, order: str) -> int | None:
        return number_in(order.removeprefix("A-")) if order.startswith("A-") else None


class Office(ShelfOffice[Shop]):
    pass


class Platform(ShelfPlatform[Shop, Office]):
    name: ClassVar[str] = "shelfy"
    options: ClassVar[type] = dict
    config_name: ClassVar[str] = "shelf"
    office: ClassVar = Office

    @staticmethod
    def walk() -> Walk:
        return Walk(moves=(), delivered=())

    def shop_of(self, n: int) -> Shop:
        return Shop(self._clock, str(n), "secret", 17)

    def config_of(self, shop: Shop, address: str) -> dict[str, Json]:
        return {"token": shop.secret}

    def open(self, incoming: Incoming) -> Operation:
        return Operation("", None, "unknown", partial(answer, 404, {}))


@pytest.fixture
def platform() -> Platform:
    clock = Clock()
    return Platform(clock, Ledger(clock), {}, Stock(orders=2, seed=1, shops=1))


def test_orders_are_called_by_their_own_ids_throughout(platform: Platform) -> None:
    assert platform.order_ids() == ["A-17", "A-18"]
    assert platform.operate({"action": "add", "status": "picking"}) == {"order": "A-19"}
    platform.operate({"action": "move", "order": "A-17", "state": "picking"})
    platform.operate({"action": "delete", "order": "A-18"})
    assert platform.order_ids() == ["A-17", "A-19"]
    assert platform.summary() == {"orders_by_state": {"0": {"picking": 2}}}


def test_garbage_has_the_id_in_its_own_member_and_can_be_repaired(platform: Platform) -> None:
    bad = platform.operate({"action": "add_garbage"})["order"]
    assert json.loads(platform.shop.shown(19)) == {"ref": "A-19", "status": ["?"]}
    platform.operate({"action": "repair", "order": bad})
    assert json.loads(platform.shop.shown(19)) == {"ref": "A-19", "status": "received"}


@pytest.mark.parametrize("order", ["17", "A-99", "A-x"])
def test_what_is_no_id_of_an_order_is_said_to_be_none(platform: Platform, order: str) -> None:
    with pytest.raises(PanelError, match=f"there is no order {order}"):
        platform.operate({"action": "move", "order": order, "state": "picking"})
