"""The history, the states' counts, an order's steps and story, pushes and consumers: on a phone and on a desk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import expect

from tests.browser.desk import Desk, go, open_order


def overflow(page: Any) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def an_hour(step: timedelta = timedelta(minutes=1)) -> list[dict[str, Any]]:
    """Points of the last hour, with ten minutes in which no daemon ran."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return [
        {
            "at": (now - n * step).isoformat().replace("+00:00", "Z"),
            "steps_done": 10,
            "steps_failed": 1,
            "orders_imported": 2,
            "calls": 30,
            "oldest_pending_seconds": 90.0,
        }
        for n in range(60, 0, -1)
        if not 20 <= n < 30
    ]


def test_the_history_is_plotted_and_in_tables(page: Any) -> None:
    answer = {"step": "minute", "shop": None, "points": an_hour()}
    page.route("**/v1/history*", lambda route: route.fulfill(json=answer))
    go(page, "#/history?span=hour", "History")
    steps = page.get_by_role("img", name="Steps over time: 500 done, at most 10 in a minute; 50 failed")
    expect(steps).to_be_visible()
    expect(page.locator(".plot canvas")).to_have_count(4)
    assert all(box["width"] > 200 for box in (each.bounding_box() for each in page.locator(".plot canvas").all()))
    assert page.get_by_role("img", name="Oldest pending target over time: at most 1 min 30 s").count() == 1
    assert overflow(page) <= 0
    table = page.get_by_role("group", name="Calls to platforms, as a table")
    page.get_by_role("heading", name="Calls to platforms").locator("..").get_by_text("As a table").click()
    expect(table.get_by_role("row")).to_have_count(51)
    page.locator("main").get_by_label("Shop").select_option("acme")
    page.wait_for_url("**shop=acme**")
    with page.expect_request(lambda request: "step=hour" in request.url) as week:
        page.locator("main").get_by_label("Time").select_option("week")
    page.wait_for_url("**span=week**")
    expect(page.locator(".plot canvas")).to_have_count(4)
    assert "shop=acme" in week.value.url


def test_the_plots_labels_are_whole(page: Any) -> None:
    long = [{**each, "oldest_pending_seconds": 86_000.0, "calls": 1_234_567} for each in an_hour()]
    page.route("**/v1/history*", lambda route: route.fulfill(json={"step": "minute", "shop": None, "points": long}))
    page.evaluate(
        """() => {
          window.cut = []; window.labels = 0;
          const write = CanvasRenderingContext2D.prototype.fillText;
          CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
            const wide = this.measureText(text).width;
            if (this.textAlign === "right") { window.labels += 1; if (x - wide < 0) window.cut.push([text, x - wide]); }
            return write.call(this, text, x, y, ...more);
          };
        }"""
    )
    go(page, "#/history?span=hour", "History")
    expect(page.locator(".plot canvas")).to_have_count(4)
    page.wait_for_function("window.labels > 8")
    assert page.evaluate("window.cut") == []


def test_the_search_says_whole_what_it_takes(page: Any) -> None:
    page.locator("#daemon").get_by_text("started").wait_for()  # what stands beside it, once it is known
    box = page.get_by_role("searchbox", name="Order id or reference")
    room = box.evaluate(
        """(node) => {
          const [style, pen] = [getComputedStyle(node), document.createElement("canvas").getContext("2d")];
          pen.font = style.font;
          const inside = node.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
          return inside - pen.measureText(node.placeholder).width;
        }"""
    )
    assert room >= 4  # the cross that empties it takes no room while there is nothing to empty


def test_the_machines_count_the_orders_in_each_state(desk: Desk, page: Any) -> None:
    page.get_by_role("link", name="Machines").click()
    picture = page.get_by_role("group", name="The states and steps of woocommerce")
    [shop] = [each for each in desk.client.get("/v1/status").json()["shops"] if each["name"] == "woo"]
    state, orders = max(shop["by_state"].items(), key=lambda each: each[1])
    expect(picture.locator(f'[data-state="{state}"] .count')).to_have_text(str(orders))
    assert overflow(page) <= 0


def test_an_orders_steps_stay_when_it_is_over_and_its_story_says_who_and_how_long(desk: Desk, page: Any) -> None:
    order = desk.order()
    body = {"state": "delivered", "tracking": {"code": "T1"}}
    desk.client.post(f"/v1/shops/acme/orders/{order}/targets?wait=20", body)
    desk.until(lambda: "target.reached" in desk.events("acme", order))
    open_order(page, "acme", order)
    steps = page.get_by_role("list", name="Steps of this order").get_by_role("listitem")
    expect(steps).to_have_count(6)
    assert [each.locator("strong").inner_text() for each in steps.all()] == [
        *("CheckQueue", "confirm", "prepare", "set_tracking", "send", "deliver")
    ]
    expect(steps.last).to_contain_text("ToCustomer")
    expect(page.locator('[aria-current="step"]')).to_contain_text("deliver")
    chapter = page.locator(".timeline details").filter(has_text="set_tracking").first
    expect(chapter).to_contain_text("by the daemon")
    expect(chapter).to_contain_text("tracking T1")
    chapter.locator("summary").click()
    expect(chapter.get_by_text("step.started")).to_be_visible()
    assert overflow(page) <= 0


def test_a_blocked_step_shows_where_the_order_stands(desk: Desk, page: Any) -> None:
    (order,) = desk.block()
    open_order(page, "acme", order)
    current = page.locator('[aria-current="step"]')
    expect(current).to_contain_text("confirm")
    expect(current).to_contain_text("blocked")
    desk.client.post(f"/v1/shops/acme/orders/{order}/cancel")
    steps = page.get_by_role("list", name="Steps of this order").get_by_role("listitem")
    expect(steps.last).to_contain_text("confirm")
    expect(steps.last).to_contain_text("given up")


def test_an_event_is_sent_again_a_receiver_tested_and_the_feed_replayed(desk: Desk, page: Any) -> None:
    desk.until(lambda: desk.client.get("/v1/delivery/orders_url").json()["lag_events"] == 0)
    desk.erp.status = 503
    order = desk.order()
    desk.client.post(f"/v1/shops/acme/orders/{order}/hold")
    page.get_by_role("link", name="Pushes").click()
    receiver = page.get_by_role("region", name="orders_url")
    failed = receiver.get_by_role("row").filter(has_text=f"acme/{order}").filter(has_text="answered (503)").first
    expect(failed).to_be_visible()
    receiver.get_by_role("button", name="Test").click()
    expect(page.locator("#notice")).to_contain_text("answered (503)")
    failed.get_by_role("button", name="Send again").click()
    expect(page.locator("#notice")).to_contain_text("in its turn")
    desk.erp.status = 204
    taken = receiver.get_by_role("row").filter(has_text=f"acme/{order}").filter(has_text="taken (204)").first
    expect(taken).to_be_visible()
    expect(receiver).to_contain_text("everything is delivered")
    taken.get_by_role("button", name="Send again").click()
    expect(page.locator("#notice")).to_contain_text("taken (204)")
    expect(receiver.get_by_role("row").filter(has_text="sent again by hand").first).to_be_visible()
    receiver.get_by_label("only failed").check()
    expect(receiver.get_by_role("row").filter(has_text="taken (204)")).to_have_count(0)
    receiver.get_by_role("button", name="Replay…").click()
    page.get_by_role("dialog").get_by_label("Behind cursor").fill("0")
    before = len(desk.erp.cursors)
    page.get_by_role("button", name="Send again").last.click()
    desk.until(lambda: min(filter(None, desk.erp.cursors)) in desk.erp.cursors[before:])
    assert overflow(page) <= 0


def test_a_consumer_is_put_elsewhere_and_forgotten(desk: Desk, page: Any) -> None:
    desk.client.post("/v1/consumers/books/ack", {"cursor": 2})
    page.get_by_role("link", name="Pushes").click()
    row = page.get_by_role("row").filter(has_text="books")
    row.get_by_role("button", name="Seek…").click()
    page.get_by_role("dialog").get_by_label("Behind cursor").fill("1")
    page.get_by_role("button", name="Set the cursor").click()
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    row.get_by_role("button", name="Forget…").click()
    page.get_by_role("button", name="Forget the consumer").click()
    expect(row).to_have_count(0)
    assert desk.client.get("/v1/consumers").json()["consumers"] == []
