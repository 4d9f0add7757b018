"""Jobs in the page: the list with who and why, one with its progress and what is blocked again, and ending one."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.desk import REFUSALS, Desk, go

NOT_ENDED = {
    "id": "j-1",
    "action": "hold",
    "filter": {"shop": "cs", "updated_before": "2026-03-01T12:00:00.000Z"},
    "status": "running",
    "count": 80,
    "done": 7,
    "refused": 1,
    "refusals": [{"type": "changed", "count": 1, "detail": "order 5 is not as it was", "shop": "cs", "order": "5"}],
    "reason": "the press is cleaned",
    "by": "user ann",
    "started_at": "2026-03-01T12:00:00.000Z",
    "ended_at": None,
    "blocked_again": None,
}


def test_a_job_says_who_and_why_and_how_many_of_its_orders_are_blocked_again(desk: Desk, page: Any) -> None:
    desk.clear()
    again, helped = desk.block(number=2)
    shop, step, status, words = REFUSALS["selldone"]
    desk.sandbox.faults.script_answer(status, words, step=step, order=again)
    wanted = {"filter": {"shop": shop, "situation": "blocked"}, "reason": "the invoice is paid"}
    job = desk.client.post("/v1/orders/retry", wanted).json()["job"]
    page.get_by_role("link", name="Jobs").click()
    row = page.get_by_role("row").filter(has_text="the invoice is paid").first
    expect(row).to_contain_text("shop acme, situation blocked")
    expect(row).to_contain_text("done")
    row.get_by_role("link", name="Retry 2 orders").click()
    page.get_by_role("heading", name="Retry 2 orders").wait_for()
    assert job in page.url
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("Done: 2 of 2 orders retried")
    expect(page.get_by_text("1 order of them is blocked again")).to_be_visible()
    expect(page.locator("nav [aria-current]")).to_have_text("Jobs")
    page.get_by_role("link", name="Show blocked orders").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert desk.situation(shop, again) == "blocked"
    desk.until(lambda: desk.read(shop, helped)["milestone"] == "accepted")
    desk.client.post(f"/v1/shops/{shop}/orders/{again}/cancel")


def test_a_job_that_runs_is_ended_when_that_is_confirmed(page: Any) -> None:
    asked: list[str] = []

    def job(route: Any) -> None:
        asked.append(route.request.method)
        route.fulfill(json={**NOT_ENDED, "status": "cancelled" if "DELETE" in asked else "running"})

    page.route("**/v1/jobs/j-1", job)
    page.route("**/v1/jobs?*", lambda route: route.fulfill(json={"jobs": [NOT_ENDED], "next": None}))
    go(page, "#/jobs", "Jobs")
    row = page.get_by_role("row").filter(has_text="the press is cleaned")
    expect(row).to_contain_text("updated before 2026-03-01T12:00:00.000Z")
    row.get_by_role("button", name="End…").click()
    box = page.get_by_role("dialog")
    expect(box.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    assert "DELETE" not in asked
    page.get_by_role("link", name="Hold 80 orders").click()
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("7 of 80 orders held, 1 left as they are")
    expect(page.get_by_role("link", name="cs/5")).to_be_visible()
    page.get_by_role("button", name="End…").click()
    box.get_by_role("button", name="End the job").click()
    expect(page.get_by_role("main").get_by_role("status")).to_contain_text("It was ended: 7 of 80 orders held")
    expect(page.get_by_role("button", name="End…")).to_have_count(0)


def test_a_job_that_is_not_there_says_so(page: Any) -> None:
    go(page, "#/job/no-such-job", "Job")
    expect(page.get_by_text("There is no such job")).to_be_visible()
