"""What the page does with many orders at once: all of one cause, all that a filter finds."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import expect

from tests.browser.desk import REFUSALS, WIDTHS, Desk, go


def test_a_hundred_blocked_orders_of_three_causes_are_retried_by_cause_from_a_phone(desk: Desk) -> None:
    desk.clear()
    numbers = {"selldone": 34, "woocommerce": 33, "xsale": 33}
    blocked = [(REFUSALS[name][0], order) for name, number in numbers.items() for order in desk.block(name, number)]
    with desk.page(WIDTHS["phone"]) as page:
        needy = page.get_by_role("region", name="Needs a person").get_by_role("listitem")
        for name, number in numbers.items():
            words = json.loads(REFUSALS[name][3]).popitem()[1]
            cause = needy.filter(has_text=f"{number} orders: ").filter(has_text=words)
            cause.get_by_role("button", name="Retry all…").click()
            box = page.get_by_role("dialog")
            box.get_by_role("button", name=f"Retry {number} orders").click()
            expect(box.get_by_role("status")).to_contain_text(f"Done: {number} of {number} orders retried")
            box.get_by_role("button", name="Close").click()
        expect(page.locator(".tiles a").filter(has_text="blocked").locator("b")).to_have_text("0")
    desk.until(lambda: desk.client.get("/v1/status").json()["totals"]["targets_pending"] == 0)
    assert {desk.situation(*each) for each in blocked} == {"idle"}


def test_all_that_a_filter_finds_are_held_for_a_reason_and_released(desk: Desk, page: Any) -> None:
    desk.clear()
    held = desk.orders("cs", 3)
    for order in held:
        desk.client.post(f"/v1/shops/cs/orders/{order}/hold")
    go(page, "#/orders?shop=cs", "Orders")
    page.get_by_role("button", name="Skip all…").click()
    box = page.get_by_role("dialog")
    page.get_by_role("button", name="Skip 80 orders").click()
    expect(box).to_be_visible()  # the reason is missing
    page.keyboard.press("Escape")
    page.get_by_label("Situation").select_option("held")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Release all…").click()
    for order in held:
        expect(box.get_by_text(f"cs/{order}")).to_be_visible()
    box.get_by_label("Reason").fill("it was a drill")
    box.get_by_role("button", name="Release 3 orders").click()
    expect(box.get_by_role("status")).to_contain_text("Done: 3 of 3 orders released")
    page.keyboard.press("Escape")
    expect(page.get_by_text("No order matches.")).to_be_visible()
    assert "it was a drill" in json.dumps(desk.read("cs", held[0])["timeline"])


def test_what_would_be_refused_is_said_before_it_is_done(desk: Desk, page: Any) -> None:
    desk.clear()
    resting = desk.order("cs")
    go(page, "#/orders?shop=cs&situation=idle", "Orders")
    page.get_by_role("button", name="Retry all…").click()
    box = page.get_by_role("dialog")
    expect(box.get_by_text("None of them can be operated as they are now")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Hold all…").click()
    expect(box.get_by_text(f"cs/{resting}").or_(box.get_by_text("The first of them:")).first).to_be_visible()
    expect(box.get_by_text("be operated as they are now")).to_have_count(0)


def test_what_was_begun_in_bulk_is_ended_before_it_came_to_all(desk: Desk, page: Any) -> None:
    asked: list[str] = []
    bodies: list[Any] = []

    def begin(route: Any) -> None:
        bodies.append(route.request.post_data_json)
        route.fulfill(json={"job": "j", "count": 80, "sample": []})

    def job(route: Any) -> None:
        """A job that takes long."""
        asked.append(route.request.method)
        status = "cancelled" if "DELETE" in asked else "running"
        route.fulfill(
            json={"id": "j", "action": "hold", "status": status, "count": 80, "done": 7, "refused": 0, "refusals": []}
        )

    order = desk.order("cs")
    go(page, "#/orders?shop=cs", "Orders")
    page.route("**/v1/jobs/*", job)
    page.route("**/v1/orders/hold", begin)
    page.get_by_role("button", name="Hold all…").click()
    box = page.get_by_role("dialog")
    box.get_by_role("button", name="Hold 80 orders").click()
    expect(box.get_by_role("status")).to_contain_text("7 of 80 orders held")
    assert bodies[-1] == {"filter": {"shop": "cs"}, "limit": 80}  # no more than was shown and agreed to
    box.get_by_role("button", name="End it here").click()
    expect(box.get_by_role("status")).to_contain_text("It was ended: 7 of 80 orders held")
    expect(box.get_by_role("button", name="End it here")).to_have_count(0)
    expect(box.get_by_role("button", name="Close")).to_be_focused()
    assert "DELETE" in asked
    assert desk.situation("cs", order) == "idle"


def test_orders_in_a_state_that_is_not_known_are_read_again_by_cause(desk: Desk) -> None:
    desk.clear()
    lost = {order: desk.read("cs", order)["platform_state"] for order in desk.orders("cs", 6)}

    def move(order: str, state: str) -> None:
        desk.sandbox.cloudsuite.panel.move(order, state)
        desk.client.post(f"/v1/shops/cs/orders/{order}/refresh")

    for order in lost:
        move(order, "mystery")
    with desk.page(WIDTHS["phone"]) as page:
        cause = page.get_by_role("region", name="Needs a person").get_by_role("listitem").filter(has_text="6 orders: ")
        cause.get_by_role("button", name="Retry all…").click()
        box = page.get_by_role("dialog")
        box.get_by_role("button", name="Retry 6 orders").click()
        expect(box.get_by_role("status")).to_contain_text("Done: 6 of 6 orders retried")
    for order, state in lost.items():
        move(order, state)
    assert {desk.situation("cs", order) for order in lost} == {"idle"}


def test_all_orders_at_once_are_never_offered(desk: Desk, page: Any) -> None:
    go(page, "#/orders", "Orders")
    page.locator("tbody tr").first.wait_for()
    expect(page.get_by_role("button", name="Cancel all…")).to_have_count(0)
