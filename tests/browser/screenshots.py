"""The pictures of the dashboard in docs/images, anew: `make screenshots`. They show the running page, with orders as a
night may bring them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.browser.desk import WIDTHS, Desk, go, open_order

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
HEIGHT: Final = 740
BLOCKED: Final[Mapping[str, int]] = {"selldone": 12, "woocommerce": 7, "xsale": 5}


def overview(_desk: Desk, page: Any) -> None:
    """What needs a person, by cause."""
    page.get_by_role("button", name="Retry all…").first.wait_for()


def order(desk: Desk, page: Any) -> None:
    """A blocked order with what can be done."""
    shop, number = next((each["shop"], each["id"]) for each in desk.orders_in("blocked"))
    open_order(page, shop, number)
    page.locator(".picture svg").wait_for()


def plan(desk: Desk, page: Any) -> None:
    """A target with its plan, before it is submitted."""
    open_order(page, "acme", desk.order())
    page.get_by_role("button", name="Submit a target…").click()
    page.get_by_label("Where the order is to be").select_option("delivered")
    page.get_by_label("Code").fill("1Z827WK74630")
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name="Submit delivered").wait_for()


def phone(_desk: Desk, page: Any) -> None:
    """All orders of one cause, about to be retried."""
    page.get_by_role("button", name="Retry all…").first.click()
    page.get_by_role("dialog").get_by_role("listitem").first.wait_for()


def orders(_desk: Desk, page: Any) -> None:
    """The list of those that are blocked."""
    go(page, "#/orders?situation=blocked", "Orders")
    page.locator("tbody tr").first.wait_for()


Picture = Callable[[Desk, Any], None]
PICTURES: Final[Mapping[str, tuple[Picture, str, bool]]] = {
    "overview": (overview, "wide", False),
    "order": (order, "wide", False),
    "plan": (plan, "wide", True),
    "orders": (orders, "wide", False),
    "phone": (phone, "phone", False),
    "phone-dark": (overview, "phone", True),
}
"""What is on each picture, how wide the page is, and whether it is dark."""


def test_pictures_are_taken(desk: Desk) -> None:
    """Not collected with the tests: `make screenshots` names this file."""
    for platform, number in BLOCKED.items():
        desk.block(platform, number)
    for shop in ("acme", "cs", "xs"):
        for state, number in (("preparing" if shop != "cs" else "accepted", 9), ("delivered", 14), ("shipped", 6)):
            for each in desk.orders(shop, number):
                desk.submit(shop, each, state)
    desk.until(lambda: desk.client.get("/v1/status").json()["totals"]["targets_pending"] == sum(BLOCKED.values()))
    FOLDER.mkdir(exist_ok=True)
    for name, (show, width, is_dark) in PICTURES.items():
        with desk.page((WIDTHS[width][0], HEIGHT), is_dark=is_dark) as page:
            page.get_by_role("heading", name="Shops").wait_for()
            show(desk, page)
            page.screenshot(path=FOLDER / f"{name}.png")
            sys.stdout.write(f"docs/images/{name}.png\n")
