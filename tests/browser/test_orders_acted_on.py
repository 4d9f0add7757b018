"""What a person does to one order in the page, on a phone and on a wide screen."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from orchestrator.cli.failures import Refusal
from tests.browser.desk import Desk, open_order, path

SHOP = "acme"


def press(page: Any, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def dialog(page: Any) -> Any:
    return page.get_by_role("dialog")


def test_an_order_is_held_for_a_reason_and_released(desk: Desk, page: Any) -> None:
    order = desk.order()
    open_order(page, SHOP, order)
    press(page, "Hold…")
    dialog(page).get_by_label("Reason").fill("the buyer calls")
    dialog(page).get_by_role("button", name="Hold the order").click()
    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_text("Held (the buyer calls)")).to_be_visible()
    assert desk.situation(SHOP, order) == "held"
    press(page, "Release")
    expect(page.get_by_role("status").filter(has_text="is released")).to_be_visible()
    assert desk.situation(SHOP, order) == "idle"


def test_a_blocked_order_that_is_held_shows_both_and_what_a_release_leaves(desk: Desk, page: Any) -> None:
    [order] = desk.block()
    desk.client.post(f"{path(SHOP, order)}/hold", {"reason": "ask the buyer"})
    open_order(page, SHOP, order)
    expect(page.get_by_text("Held (ask the buyer): no step begins. It is blocked as well")).to_be_visible()
    expect(page.locator(".facts .badge").filter(has_text="blocked")).to_be_visible()
    press(page, "Retry")
    expect(page.get_by_text("It is blocked as well")).to_have_count(0)
    assert desk.situation(SHOP, order) == "held"
    press(page, "Release")
    desk.until(lambda: desk.read(SHOP, order)["milestone"] == "accepted")


def test_a_blocked_order_shows_the_platforms_words_and_is_retried(desk: Desk, page: Any) -> None:
    [order] = desk.block()
    open_order(page, SHOP, order)
    expect(page.get_by_text("The order is locked by an invoice").first).to_be_visible()
    press(page, "Retry")
    desk.until(lambda: desk.read(SHOP, order)["milestone"] == "accepted")
    expect(page.get_by_text("No pending targets.")).to_be_visible()
    expect(page.get_by_role("button", name="Retry", exact=True)).to_have_count(0)


def test_a_step_is_skipped_with_the_reason_that_it_needs(desk: Desk, page: Any) -> None:
    [order] = desk.block()
    open_order(page, SHOP, order)
    press(page, "Skip…")
    box = dialog(page)
    expect(box.get_by_text("cannot be undone")).to_be_visible()
    box.get_by_role("button", name="Skip the step").click()
    expect(box).to_be_visible()  # the reason is missing
    assert desk.situation(SHOP, order) == "blocked"
    box.get_by_label("Reason").fill("confirmed in the panel")
    box.get_by_role("button", name="Skip the step").click()
    expect(box).to_have_count(0)
    done = [event["data"] for event in desk.read(SHOP, order)["timeline"] if event["type"] == "step.done"]
    assert any(data["how"] == "by_hand" and "panel" in str(data) for data in done)


def test_targets_are_dropped_only_when_that_is_confirmed_and_the_focus_returns(desk: Desk, page: Any) -> None:
    [order] = desk.block()
    open_order(page, SHOP, order)
    press(page, "Cancel…")
    expect(dialog(page).get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel…")).to_be_focused()
    assert desk.situation(SHOP, order) == "blocked"
    press(page, "Cancel…")
    dialog(page).get_by_role("button", name="Drop its targets").click()
    expect(page.get_by_text("No pending targets.")).to_be_visible()
    assert desk.situation(SHOP, order) == "idle"


def test_an_order_is_announced_and_read_again(desk: Desk, page: Any) -> None:
    order = desk.order()
    open_order(page, SHOP, order)
    press(page, "Announce…")
    dialog(page).get_by_role("button", name="Announce the order").click()
    expect(page.get_by_text("order.announced").first).to_be_visible()
    assert desk.events(SHOP, order).count("order.announced") == 1
    press(page, "Refresh")
    expect(page.get_by_role("status").filter(has_text="was read from its platform")).to_be_visible()


def test_who_clicks_twice_acts_once(desk: Desk, page: Any) -> None:
    open_order(page, "cs", desk.order("cs"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url.rpartition('/')[2]}"))
    page.get_by_role("main").get_by_role("button", name="Refresh", exact=True).dblclick()
    expect(page.get_by_role("status").filter(has_text="was read from its platform")).to_be_visible()
    assert asked.count("POST refresh") == 1


def test_the_erps_wish_for_a_person_is_cleared(desk: Desk, page: Any) -> None:
    order = desk.order()
    desk.submit(SHOP, order, "attention")
    desk.until(lambda: desk.read(SHOP, order)["attention"] is not None)
    open_order(page, SHOP, order)
    press(page, "Clear attention")
    expect(page.get_by_role("button", name="Clear attention")).to_have_count(0)
    assert desk.read(SHOP, order)["attention"] is None


def test_a_target_is_submitted_after_its_plan_was_shown(desk: Desk, page: Any) -> None:
    order = desk.order()
    open_order(page, SHOP, order)
    press(page, "Submit a target…")
    box = dialog(page)
    box.get_by_label("Where the order is to be").select_option("shipped")
    box.get_by_label("Code").fill("3SABC")
    box.get_by_role("button", name="Show the plan").dblclick()
    for step in ("confirm", "prepare", "set_tracking", "send"):
        expect(box.get_by_text(step, exact=True)).to_be_visible()
    assert "target.submitted" not in desk.events(SHOP, order)  # a second click too many submits nothing
    box.get_by_label("Carrier").fill("DHL")
    expect(box.get_by_role("button", name="Show the plan")).to_be_visible()  # another target has another plan
    box.get_by_role("button", name="Show the plan").click()
    box.get_by_role("button", name="Submit shipped").click()
    expect(box).to_have_count(0)
    desk.until(lambda: desk.read(SHOP, order)["milestone"] == "shipped")
    assert desk.events(SHOP, order).count("target.submitted") == 1


def test_a_target_that_is_refused_is_refused_in_the_daemons_words(desk: Desk, page: Any) -> None:
    order = desk.order("cs")
    with pytest.raises(Refusal) as refused:
        desk.submit("cs", order, "preparing")
    open_order(page, "cs", order)
    press(page, "Submit a target…")
    dialog(page).get_by_label("Where the order is to be").select_option("preparing")
    dialog(page).get_by_role("button", name="Show the plan").click()
    alert = dialog(page).get_by_role("alert")
    expect(alert).to_contain_text(refused.value.problem["title"])
    expect(alert).to_contain_text(refused.value.problem["detail"])
    for name in refused.value.problem["allowed"]:
        expect(alert).to_contain_text(name)
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Submit a target…")).to_be_focused()


def test_what_another_person_did_meanwhile_is_said(desk: Desk, page: Any) -> None:
    [order] = desk.block()
    open_order(page, SHOP, order)

    def be_too_late(route: Any) -> None:
        desk.client.post(f"{path(SHOP, order)}/cancel")
        route.continue_()

    page.route("**/retry", be_too_late)
    press(page, "Retry")
    expect(page.locator("#notice")).to_contain_text("The order is not blocked")
