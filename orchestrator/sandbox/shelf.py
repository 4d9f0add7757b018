"""Simulated shops whose orders are JSON objects by their ids, their back offices, and the platform of such shops.

A platform writes how an order is made, kept and shown, and what calls do; its back office has further public methods.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, ClassVar, Generic, TypeVar

from orchestrator.clock import Clock
from orchestrator.sandbox.base import BackOffice, SimulatedShops, encode, number_in
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Json, PanelError, Stock, Walk
from orchestrator.sandbox.webhooks import WebhookSender

_APART_MS = 60_000  # between the orders that a shop is stocked with


class Shelf(ABC):
    """The orders of one shop, oldest first. `key`: what the ledger calls the shop; `secret`: what opens it. `garbage`:
    JSON shown in the place of orders. `states`: those that staff can set, `state_name`: the field that has them,
    `id_name`: the one that has an order's id, which is its number unless `id_of` and `number_of` say otherwise. `rng`:
    what is drawn, the same for the same seed."""

    state_name: ClassVar[str] = "status"
    id_name: ClassVar[str] = "id"
    states: Sequence[str] = ()

    def __init__(self, clock: Clock, key: str, secret: str, first_id: int) -> None:
        self.clock = clock
        self.key = key
        self.secret = secret
        self.orders: dict[int, dict[str, Json]] = {}
        self.garbage: dict[int, str] = {}
        self.rng = random.Random(key)  # noqa: S311 - believable orders, not secrets
        self._next_id = first_id

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def add(self, at_ms: int, **fields: Json) -> int:
        """A buyer orders; the new order's number, by which it stands in `orders`."""

    @abstractmethod
    def save(self, order: dict[str, Json], state: str | None = None) -> None:
        """Keeps what was changed about an order, with a new state or in the one that it has."""

    def id_of(self, number: int) -> Json:
        """The id of an order as the platform shows it, by its number."""
        return number

    def number_of(self, order: str) -> int | None:
        """The number of an order by the text of its id; None for what is not one."""
        return number_in(order)

    def view(self, order: Mapping[str, Json]) -> Json:
        """An order as the platform shows it."""
        return order

    def sender(self, faults: FaultPlan) -> WebhookSender[Any] | None:
        """What sends the shop's webhooks; None: there are none."""
        del faults
        return None

    # -- given -----------------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        """A number that nothing had."""
        self._next_id += 1
        return self._next_id - 1

    def shown(self, order_id: int) -> str:
        """An order's JSON. Raises KeyError."""
        return self.garbage.get(order_id) or encode(self.view(self.orders[order_id]))


S = TypeVar("S", bound=Shelf)


class ShelfOffice(BackOffice, Generic[S]):
    """The back office of a shelf. Each public method is an action that takes what a request brings under the names of
    its parameters. `reopens`: steps that may be made again once a person has set a state."""

    actions: ClassVar[Mapping[str, Sequence[str]]] = {}
    reopens: ClassVar[Sequence[str]] = ()

    def __init__(self, shop: S, ledger: Ledger, platform: str) -> None:
        self.shop = shop
        self._ledger = ledger
        self._platform = platform

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.actions = {name: list(_needed(method)) for name, method in _public(cls)}
        cls.optional = {name: list(signature(method).parameters)[1:] for name, method in _public(cls)}
        cls.optional = {
            name: [p for p in cls.optional[name] if p not in needed] for name, needed in cls.actions.items()
        }

    def add(self, status: str | None = None) -> str:
        """A buyer orders; returns the new order's id."""
        fields = {} if status is None else {self.shop.state_name: status}
        return str(self.shop.id_of(self.shop.add(self.shop.clock.now_ms(), **fields)))

    def add_garbage(self, payload: Json = None) -> str:
        """An order that is `payload` in place of its JSON (None: one with a bad state); returns its id."""
        number = self.shop.add(self.shop.clock.now_ms())
        bad = {self.shop.id_name: self.shop.id_of(number), self.shop.state_name: ["?"]}
        self.shop.garbage[number] = encode(bad if payload is None else payload)
        return str(self.shop.id_of(number))

    def repair(self, order: str) -> str:
        """Shows an order of `add_garbage` as it is; its change time stays."""
        self.shop.garbage.pop(self._number(order), None)
        return order

    def move(self, order: str, state: str) -> str:
        """Sets any state, also back."""
        if state not in self.shop.states:
            raise PanelError(f"unknown state {state!r}; known are {', '.join(self.shop.states)}")
        self._ledger.reopen(self._platform, self.shop.key, order, self.reopens)
        self.shop.save(self._order(order), state)
        return order

    def delete(self, order: str) -> str:
        """Removes the order for good: it is in no list any more and reading it is a 404."""
        del self.shop.orders[self._number(order)]
        return order

    def change_token(self, token: str) -> None:
        """Makes another secret, which ends this one."""
        self.shop.secret = token

    def _number(self, order: str) -> int:
        number = self.shop.number_of(str(order))
        if number is None or number not in self.shop.orders:
            raise PanelError(f"there is no order {order}")
        return number

    def _order(self, order: str) -> dict[str, Json]:
        return self.shop.orders[self._number(order)]

    def _changed(self, order: str, **fields: Json) -> str:
        """Changes an order's fields, and keeps that."""
        found = self._order(order)
        found.update(fields)
        self.shop.save(found)
        return order


def _public(office: type[ShelfOffice[Any]]) -> Iterator[tuple[str, Any]]:
    for name in dir(office):
        if not name.startswith("_") and name != "operate" and callable(method := getattr(office, name)):
            yield name, method


def _needed(method: Any) -> Iterator[str]:
    named = list(signature(method).parameters.values())[1:]
    return (each.name for each in named if each.default is Parameter.empty)


O = TypeVar("O", bound=ShelfOffice[Any])  # noqa: E741 - an office


class ShelfPlatform(SimulatedShops[S, O]):
    """Simulated shops that are shelves. `office`: their back offices; `course`: what `walk` says."""

    office: ClassVar[type[ShelfOffice[Any]]]
    course: ClassVar[Walk]

    @abstractmethod
    def shop_of(self, n: int) -> S:
        """The shop of a number (from 0 on), empty."""

    @classmethod
    def walk(cls) -> Walk:
        """As `SimulatedPlatform.walk`."""
        return cls.course

    def stocked(self, n: int, stock: Stock) -> S:
        """As `SimulatedShops.stocked`: orders a minute apart, the newest of a minute ago."""
        shop = self.shop_of(n)
        shop.rng.seed(f"{stock.seed}/{shop.key}")
        for each in range(stock.orders):
            shop.add(self._clock.now_ms() - _APART_MS * (stock.orders - each))
        return shop

    def key_of(self, shop: S) -> str:
        """As `SimulatedShops.key_of`."""
        return shop.key

    def panel_for(self, shop: S) -> O:
        """As `SimulatedShops.panel_for`."""
        office: O = self.office(shop, self._ledger, self.name)  # type: ignore[assignment]
        return office

    def sender_of(self, shop: S, faults: FaultPlan) -> WebhookSender[Any] | None:
        """As `SimulatedShops.sender_of`."""
        return shop.sender(faults)

    def order_ids(self) -> list[str]:
        """As `SimulatedPlatform.order_ids`."""
        return [str(self.shop.id_of(number)) for number in self.shop.orders]

    def states_of(self, shop: S) -> Mapping[int, str]:
        """As `SimulatedShops.states_of`."""
        return {order_id: str(order[shop.state_name]) for order_id, order in shop.orders.items()}
