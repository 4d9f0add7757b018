"""What simulated platforms do alike: shops by their keys, their back offices, the ready config, routes, lists of pages.

A platform says how a shop is made, what it is asked for and what it answers. It may do all of it by itself as well: the
sandbox asks for no more than `SimulatedPlatform`.
"""

from __future__ import annotations

import base64
import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from orchestrator.clock import Clock
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import (
    Incoming,
    Json,
    Operation,
    PanelError,
    Reply,
    Stock,
    Walk,
    Work,
    checked_action,
)
from orchestrator.sandbox.webhooks import WebhookSender

ORDER_IDS_PER_SHOP = 10_000_000
"""The ids of a platform's shops lie so far apart: the ledger looks orders up by their ids alone."""

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON as most servers write it: compact, characters as they are."""


class Panel(Protocol):
    """The back office of one shop."""

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """As `SimulatedPlatform.operate`."""
        ...


S = TypeVar("S")
P = TypeVar("P", bound=Panel)


class BackOffice:
    """A back office whose actions are methods of the same names; `actions` names the fields that each takes, in order,
    `optional` those that may be left out.

    A method answers the order's id, nothing, or all that is to be answered. Raises PanelError for an invalid request.
    """

    actions: ClassVar[Mapping[str, Sequence[str]]]
    optional: ClassVar[Mapping[str, Sequence[str]]] = {}

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """As `SimulatedPlatform.operate`."""
        action = checked_action(request, self.actions)
        more = {name: request[name] for name in self.optional.get(action, ()) if name in request}
        found = getattr(self, action)(*(request[name] for name in self.actions[action]), **more)
        return {} if found is None else dict(found) if isinstance(found, Mapping) else {"order": found}


class SimulatedShops(ABC, Generic[S, P]):
    """A `SimulatedPlatform` of shops that have nothing in common but their options.

    `config_name`: what the first shop is called in the ready config; the others have a number behind it.
    """

    name: ClassVar[str]
    options: ClassVar[type]
    config_name: ClassVar[str]

    def __init__(self, clock: Clock, ledger: Ledger, options: Any, stock: Stock) -> None:
        self._clock = clock
        self._ledger = ledger
        self._options = options
        self.senders: list[WebhookSender[Any]] = []
        """Of the webhooks of each shop that sends them, since the sandbox was first served."""
        self.shops_by_key: dict[str, S] = {}
        for n in range(stock.shops):
            shop = self.stocked(n, stock)
            self.shops_by_key[self.key_of(shop)] = shop

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def stocked(self, n: int, stock: Stock) -> S:
        """The shop of a number (from 0 on) with its orders."""

    @abstractmethod
    def key_of(self, shop: S) -> str:
        """What the ledger and the back office call a shop: what requests name it by."""

    @abstractmethod
    def panel_for(self, shop: S) -> P:
        """A shop's back office."""

    @abstractmethod
    def config_of(self, shop: S, address: str) -> dict[str, Json]:
        """fulfilld's config of a shop but for `platform`, and for `base_url` where that is `address`."""

    @abstractmethod
    def states_of(self, shop: S) -> Mapping[int, str]:
        """The state of each order by its id, oldest first."""

    @abstractmethod
    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open`."""

    @staticmethod
    @abstractmethod
    def walk() -> Walk:
        """As `SimulatedPlatform.walk`."""

    # -- given -----------------------------------------------------------------------------------------------------

    @staticmethod
    def with_real_limits(options: Any) -> Any:
        """As `SimulatedPlatform.with_real_limits`: nothing is counted."""
        return options

    def background(self, faults: FaultPlan) -> Iterable[Work]:
        """As `SimulatedPlatform.background`: webhooks are sent."""
        if not self.senders:
            made = [self.sender_of(shop, faults) for shop in self.shops_by_key.values()]
            self.senders = [sender for sender in made if sender is not None]
            for sender in self.senders:
                sender.account = f"{self.name}/{sender.account.removeprefix(f'{self.name}/')}"
        return [sender.run for sender in self.senders]

    def sender_of(self, shop: S, faults: FaultPlan) -> WebhookSender[Any] | None:
        """What sends a shop's webhooks; None: there are none."""
        del shop, faults
        return None

    @property
    def shop(self) -> S:
        """The first shop, mostly the only one."""
        return next(iter(self.shops_by_key.values()))

    @property
    def panel(self) -> P:
        """The first shop's back office."""
        return self.panel_for(self.shop)

    def panel_of(self, key: str) -> P:
        """The back office of one shop. Raises PanelError for an unknown shop."""
        if key not in self.shops_by_key:
            raise PanelError(f"there is no shop {key}; known are {', '.join(self.shops_by_key)}")
        return self.panel_for(self.shops_by_key[key])

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """As `SimulatedPlatform.operate`; `request["shop"]` chooses the shop, by default the first."""
        return self.panel_of(str(request.get("shop", self.key_of(self.shop)))).operate(request)

    def order_ids(self) -> list[str]:
        """As `SimulatedPlatform.order_ids`."""
        return [str(order_id) for order_id in self.states_of(self.shop)]

    def shops(self, base_url: str) -> dict[str, dict[str, Json]]:
        """As `SimulatedPlatform.shops`."""
        address = f"{base_url}/{self.name}"
        found: dict[str, dict[str, Json]] = {}
        for n, shop in enumerate(self.shops_by_key.values(), start=1):
            own = self.config_of(shop, address)
            name = self.config_name if n == 1 else f"{self.config_name}{n}"
            found[name] = {"platform": self.name, **own, "base_url": own.get("base_url", address)}
        return found

    def summary(self) -> dict[str, Json]:
        """As `SimulatedPlatform.summary`: orders by state, shop by shop."""
        counted = {key: dict(Counter(self.states_of(shop).values())) for key, shop in self.shops_by_key.items()}
        return {"orders_by_state": counted}

    def throttled(self, wait_seconds: float) -> Reply:
        """As `SimulatedPlatform.throttled`."""
        seconds = math.ceil(wait_seconds)
        return answer(429, {"message": "Too many requests."}, headers={"Retry-After": str(seconds)})

    def broken(self, status: int) -> Reply:
        """As `SimulatedPlatform.broken`: a word of its own for 500, a gateway's page for the rest."""
        return answer(500, {"message": "Server Error"}) if status == 500 else gateway_page(status)


def answer(status: int, body: Json, **what: Any) -> Reply:
    """A reply of JSON; `what`: further members of `Reply`."""
    return Reply(status, encode(body).encode(), **what)


def gateway_page(status: int) -> Reply:
    """What a gateway answers when nobody is behind it: a page for people."""
    page = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"
    return Reply(status, page.encode(), headers={"Content-Type": "text/html"})


def bearer(headers: Mapping[str, str], scheme: str = "Bearer") -> str:
    """The token that a request shows, empty where it shows none of that scheme."""
    given, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if given.lower() == scheme.lower() else ""


def basic(headers: Mapping[str, str]) -> tuple[str, str]:
    """The user and the password that a request shows by basic authentication, empty where it shows none."""
    try:
        user, _, password = base64.b64decode(bearer(headers, "Basic"), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password


def number_in(text: str) -> int | None:
    """The id in a piece of a path, None if it is not a number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def wall_clock(ms: int | None, zone: tzinfo = UTC) -> str | None:
    """A time as a clock in a zone shows it, to the second and without the zone: `2026-11-30T11:00:00`; None stays."""
    return None if ms is None else datetime.fromtimestamp(ms // 1000, zone).isoformat()[:19]
