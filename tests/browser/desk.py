"""What a test of the page works with: orders in the situations that a person meets, and pages to act in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from orchestrator.cli.client import Client, segment
from orchestrator.cli.place import Address
from orchestrator.sandbox.server import Sandbox

TOKEN = "correct-horse-battery"
WIDTHS = {"phone": (390, 844), "wide": (1280, 900)}
PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
REFUSALS = {
    "selldone": ("acme", "confirm", 422, b'{"message": "The order is locked by an invoice"}'),
    "woocommerce": (
        "woo",
        "change_status",
        400,
        b'{"code": "woocommerce_rest_invalid", "message": "The stock is not counted"}',
    ),
    "xsale": ("xs", "change_status", 400, b'{"Message": "The warehouse is closed"}'),
}


class Erp(ThreadingHTTPServer):
    """A receiver of events. `status` is what it answers from now on, `cursors` those of the events that came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.status = 204
        self.cursors: list[int] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/orders"


class _Taking(BaseHTTPRequestHandler):
    """One call to the receiver."""

    server: Erp

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.cursors.append(json.loads(body)["cursor"])
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Shops:
    """A daemon with a sandbox behind it, and a receiver of its events."""

    def __init__(self, sandbox: Sandbox, erp: Erp, socket: Path, origin: str) -> None:
        self.sandbox, self.erp, self.socket, self.origin = sandbox, erp, socket, origin
        self.client = Client(Address("a test", socket=socket))
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)
        self._unused: dict[str, list[str]] = {}

    def await_import(self, orders: int) -> None:
        """Waits until all orders are there, and remembers them."""
        self.until(lambda: self.client.get("/v1/status").json()["totals"]["orders"] >= orders)
        for order in self.client.get("/v1/orders", {"limit": 1000}).json()["orders"]:
            self._unused.setdefault(order["shop"], []).append(order["id"])

    def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for what the daemon comes to by itself."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline, self.client.get("/v1/status").json()["shops"]
            time.sleep(_LOOK_SECONDS)

    def order(self, shop: str = "acme") -> str:
        """An order that no other test uses."""
        return self._unused[shop].pop(0)

    def orders(self, shop: str, number: int) -> list[str]:
        """So many of them."""
        return [self.order(shop) for _ in range(number)]

    def read(self, shop: str, order: str) -> Any:
        """The order as the API has it."""
        return self.client.get(path(shop, order), {"include": "timeline"}).json()

    def submit(self, shop: str, order: str, state: str) -> None:
        """Submits a target."""
        self.client.post(f"{path(shop, order)}/targets", {"state": state})

    def block(self, platform: str = "selldone", number: int = 1) -> list[str]:
        """So many orders whose next step the platform refuses, each platform in its own words."""
        shop, step, status, words = REFUSALS[platform]
        orders = self.orders(shop, number)
        for order in orders:
            self.sandbox.faults.script_answer(status, words, step=step, order=order)
            self.submit(shop, order, "accepted" if platform != "woocommerce" else "shipped")
        for order in orders:
            self.until(lambda order=order: self.situation(shop, order) == "blocked")  # type: ignore[misc]
        return orders

    def orders_in(self, situation: str) -> list[Any]:
        """The orders that are doing this now."""
        found: list[Any] = self.client.get("/v1/orders", {"situation": situation}).json()["orders"]
        return found

    def clear(self) -> None:
        """Ends what other tests left: for a test that counts."""
        for each in self.orders_in("held"):
            self.client.post(f"{path(each['shop'], each['id'])}/release")
        for each in self.orders_in("blocked"):
            self.client.post(f"{path(each['shop'], each['id'])}/cancel")
        self.until(lambda: self.client.get("/v1/status").json()["totals"]["targets_pending"] == 0)

    def situation(self, shop: str, order: str) -> str:
        """What the order is doing."""
        return str(self.read(shop, order)["situation"])

    def events(self, shop: str, order: str) -> list[str]:
        """The types of its events, oldest first."""
        return [event["type"] for event in self.read(shop, order)["timeline"]]


class Desk(Shops):
    """The same with a browser in front."""

    def __init__(self, shops: Shops, browser: Any) -> None:
        super().__init__(shops.sandbox, shops.erp, shops.socket, shops.origin)
        self._unused = shops._unused
        self._browser = browser
        self._state: Any = None

    @contextmanager
    def page(self, size: tuple[int, int], *, is_dark: bool = False, is_out: bool = False) -> Iterator[Any]:
        """A page of this size, logged in unless `is_out`."""
        if self._state is None and not is_out:
            self._log_in()
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if is_dark else "light",
            storage_state=None if is_out else self._state,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        opened = context.new_page()
        failures: list[str] = []
        opened.on("pageerror", lambda error: failures.append(str(error)))
        try:
            opened.goto(self.origin)
            yield opened
        finally:
            context.close()
        assert failures == []

    def _log_in(self) -> None:
        context = self._browser.new_context()
        opened = context.new_page()
        opened.goto(self.origin)
        log_in(opened)
        self._state = context.storage_state()
        context.close()


def log_in(page: Any, token: str = TOKEN) -> None:
    """Fills the form in."""
    page.get_by_label("The token of api.tcp").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Shops").wait_for()


def path(shop: str, order: str) -> str:
    """Where the API has an order."""
    return f"/v1/shops/{segment(shop)}/orders/{segment(order)}"


def go(page: Any, where: str, heading: str) -> None:
    """To a page of the dashboard, as a link would."""
    page.evaluate("where => { location.hash = where; }", where)
    page.get_by_role("heading", name=heading, exact=True).first.wait_for()


def open_order(page: Any, shop: str, order: str) -> None:
    """To the page of one order, when it is read."""
    go(page, f"#/order/{shop}/{order}", f"{shop} / {order}")
    page.get_by_role("button", name="Submit a target…").wait_for()
