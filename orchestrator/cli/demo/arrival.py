"""What happens at the platform while the demo runs: an order and products that its webhooks bring.

The sandbox sends them, signed, to the daemon's listener, because the daemon asked for them at its start. No sync of
that shop comes while the demo lasts, so that what arrives, arrives by webhook.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.client import Client
from orchestrator.cli.demo.erp import order_path
from orchestrator.cli.failures import Failure
from orchestrator.platforms.platform import Platform

ROUTING_SECONDS = 2.0
"""How long after the order its goods are assigned to a location: until then nothing of it can be shipped."""

_PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Arrival:
    """The order that came by webhook, and how long that took (seconds)."""

    shop: str
    order: str
    seconds: float


class PushingShop:
    """A shop whose `platform` pushes: `daemon` and `sandbox` are clients of the two, `name` is the shop's."""

    def __init__(self, daemon: Client, sandbox: Client, name: str, platform: Platform) -> None:
        self._daemon, self._sandbox, self.name, self.platform = daemon, sandbox, name, platform

    def subscribed(self) -> list[str]:
        """Waits until the daemon has asked for its webhooks; what they are about. Raises Failure."""
        self._await("ask for its webhooks", lambda: self._is_subscribed() or None)
        events = self._events("shop.webhooks_registered")
        topics = [topic for event in events for topic in event["data"]["topics"]]
        return list(dict.fromkeys(topic.partition("/")[0] for topic in topics))

    def buy(self) -> Arrival:
        """Somebody orders. Waits until the daemon has the order. Raises Failure."""
        began = time.monotonic()
        order = str(self._panel("add", routing_seconds=ROUTING_SECONDS, pieces=3)["order"])
        self._await(f"import order {order}", lambda: self._events("order.imported", order) or None)
        return Arrival(self.name, order, time.monotonic() - began)

    def stock(self) -> list[Any]:
        """A product is made and changed. Waits until the daemon has both; the events. Raises Failure."""
        product = self._panel("add_product", title="Walnut salad bowl")["product"]
        self._await("get a new product", lambda: self._events("product.created") or None)
        self._panel("edit_product", product=product, title="Walnut salad bowl, large")
        self._await("get its change", lambda: self._events("product.updated") or None)
        return self._events("product.created") + self._events("product.updated")

    def order(self, order: str) -> Any:
        """The order as the daemon has it."""
        return self._daemon.get(order_path(self.name, order)).json()

    def waits(self, order: str) -> Any:
        """Waits until the order waits for its platform; the wait. None if it does not, for its goods are there."""
        deadline = time.monotonic() + ROUTING_SECONDS
        while time.monotonic() < deadline:
            found = self.order(order)
            if found["wait"] is not None:
                return found["wait"]
            time.sleep(_LOOK_SECONDS)
        return None

    def _is_subscribed(self) -> bool:
        shops = self._daemon.get("/v1/status").json()["shops"]
        health = next((shop.get("webhooks") for shop in shops if shop["name"] == self.name), None)
        return health is not None and not health["missing"] and health["error"] is None

    def _events(self, type_: str, order: str | None = None) -> list[Any]:
        query = {"type": type_, "shop": self.name, "order": order, "limit": 1000}
        found: list[Any] = self._daemon.get("/v1/events", query).json()["events"]
        return found

    def _panel(self, action: str, **fields: Any) -> Any:
        return self._sandbox.post(f"/_sandbox/{self.platform.name}/panel", {"action": action, **fields}).json()

    def _await(self, what: str, find: Any) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while find() is None:
            if time.monotonic() > deadline:
                raise Failure(f"the daemon did not {what} within {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_LOOK_SECONDS)
