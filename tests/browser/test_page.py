"""The page as a whole: logging in, shops, the live list, the focus, the keyboard, barriers, widths."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import expect

from tests.browser.desk import TOKEN, WIDTHS, Desk, go, log_in, open_order
from tests.cli.test_processes import first_line, started

BARRIERS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter((each) => ["serious", "critical", "moderate"].includes(each.impact))
  .map((each) => [each.id, each.nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? ""))])"""


def test_a_browser_logs_in_by_the_token_which_stays_nowhere_and_out_again(desk: Desk) -> None:
    with desk.page(WIDTHS["phone"], is_out=True) as page:
        page.get_by_label("The token of api.tcp").fill("a guess")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("the token is wrong")
        log_in(page)
        assert TOKEN not in page.content() + page.url
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
        [cookie] = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.reload()
        page.get_by_role("heading", name="Shops").wait_for()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        page.context.add_cookies([cookie])  # who kept it has nothing
        page.reload()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_a_session_that_has_ended_comes_back_to_the_form(desk: Desk) -> None:
    with desk.page(WIDTHS["wide"], is_out=True) as page:
        log_in(page)
        page.context.clear_cookies()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_the_link_of_the_command_opens_the_page_once(desk: Desk) -> None:
    with started("--socket", str(desk.socket), "dashboard") as process:
        link = first_line(process).decode().strip()
        with desk.page(WIDTHS["phone"], is_out=True) as page:
            page.goto(link)
            page.get_by_role("heading", name="Shops").wait_for()
            expect(page.get_by_text("live", exact=True)).to_be_visible()  # the stream comes through, too
            assert link not in page.url
            page.get_by_role("button", name="Sync").first.click()
            expect(page.locator("#notice")).to_contain_text("a sync begins")
        with desk.page(WIDTHS["phone"], is_out=True) as page:
            page.goto(link)
            expect(page.get_by_role("heading", name="This link was used")).to_be_visible()


@asynccontextmanager
async def forwarded(path: Path) -> AsyncIterator[int]:
    """A port of loopback from which all goes to a Unix socket, as `ssh -L` has it."""

    async def pump(source: ByteStream, sink: ByteStream, scope: anyio.CancelScope) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for piece in source:
                await sink.send(piece)
        scope.cancel()

    async def connect(near: ByteStream) -> None:
        async with near, await anyio.connect_unix(path) as far, anyio.create_task_group() as group:
            group.start_soon(pump, near, far, group.cancel_scope)
            group.start_soon(pump, far, near, group.cancel_scope)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, connect)
        yield int(listener.extra(SocketAttribute.local_port))
        group.cancel_scope.cancel()


def test_through_a_forwarded_socket_the_page_acts_without_a_login(desk: Desk) -> None:
    order = desk.order()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(forwarded(desk.socket)) as port,
        desk.page(WIDTHS["wide"], is_out=True) as page,
    ):
        page.goto(f"http://localhost:{port}/")
        page.get_by_role("heading", name="Shops").wait_for()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Log out")).to_have_count(0)
        open_order(page, "acme", order)
        page.get_by_role("button", name="Hold…").click()
        page.get_by_role("button", name="Hold the order").click()
        expect(page.get_by_role("button", name="Release")).to_be_visible()
    assert desk.situation("acme", order) == "held"


def test_a_shop_is_paused_for_a_reason_resumed_and_synced(desk: Desk, page: Any) -> None:
    card = page.locator(".shop").filter(has=page.get_by_role("heading", name="xs", exact=True))
    card.get_by_role("button", name="Pause…").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("stocktaking")
    page.get_by_role("button", name="Pause the shop").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("stocktaking", exact=True)).to_be_visible()
    assert desk.client.get("/v1/shops/xs").json()["paused"]
    card.get_by_role("button", name="Resume").click()
    expect(card.get_by_role("button", name="Pause…")).to_be_visible()
    assert not desk.client.get("/v1/shops/xs").json()["paused"]
    before = desk.client.get("/v1/shops/xs").json()["last_sync_at"]
    card.get_by_role("button", name="Sync").click()
    desk.until(lambda: desk.client.get("/v1/shops/xs").json()["last_sync_at"] != before)


def test_the_list_is_sorted_and_shows_what_happens_meanwhile_under_the_focus(desk: Desk, page: Any) -> None:
    order = desk.order()
    desk.client.post(f"/v1/shops/acme/orders/{order}/hold")
    go(page, "#/orders?shop=acme", "Orders")
    rows = page.locator("tbody tr")
    expect(rows.first.get_by_role("link")).to_have_text(f"acme/{order}")  # the newest change first
    page.get_by_role("button", name="Order", exact=True).click()
    expect(page.get_by_role("columnheader", name="Order")).to_have_attribute("aria-sort", "ascending")
    shown = rows.get_by_role("link").all_text_contents()
    assert shown == sorted(shown)
    mine = page.get_by_role("link", name=f"acme/{order}", exact=True)
    mine.focus()
    desk.client.post(f"/v1/shops/acme/orders/{order}/release")
    expect(rows.filter(has=mine).get_by_text("idle")).to_be_visible()
    expect(mine).to_be_focused()


def test_tiles_open_what_they_count(desk: Desk, page: Any) -> None:
    desk.clear()
    held, blocked = desk.order(), desk.block()[0]
    desk.client.post(f"/v1/shops/acme/orders/{held}/hold")
    desk.submit("acme", held, "accepted")
    for name, expected in (("held", {held}), ("blocked", {blocked}), ("pending", {held, blocked})):
        go(page, "#/", "Shops")
        tile = page.locator(".tiles a").filter(has_text=name)
        number = desk.client.get("/v1/status").json()["totals"]
        number = number["targets_pending"] if name == "pending" else number["by_situation"][name]
        expect(tile.locator("b")).to_have_text(str(number))
        tile.click()
        page.get_by_role("heading", name="Orders", exact=True).wait_for()
        chosen = page.get_by_label("Situation").locator("option:checked")
        expect(chosen).to_have_text("any with pending targets" if name == "pending" else name)
        for order in expected:
            expect(page.get_by_role("link", name=f"acme/{order}", exact=True)).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(number)
    go(page, "#/", "Shops")
    page.locator(".tiles a").filter(has_text="person").click()
    expect(page.get_by_role("heading", name="Needs a person")).to_be_in_viewport()


def test_the_focus_stays_where_what_it_was_on_is_drawn_anew(desk: Desk, page: Any) -> None:
    order = desk.order()
    open_order(page, "acme", order)
    button = page.get_by_role("button", name="Refresh", exact=True)
    button.focus()
    desk.client.post(f"/v1/shops/acme/orders/{order}/hold")
    expect(page.get_by_role("button", name="Release")).to_be_visible()
    expect(button).to_be_focused()
    desk.client.post(f"/v1/shops/acme/orders/{order}/release")
    expect(page.get_by_role("button", name="Hold…")).to_be_visible()
    expect(button).to_be_focused()


def test_the_keyboard_is_enough(desk: Desk, page: Any) -> None:
    [order] = desk.block()
    page.reload()
    page.get_by_role("heading", name="Shops").wait_for()

    def tab_to(name: str) -> None:
        button, link = (page.get_by_role(role, name=name, exact=True) for role in ("button", "link"))
        button.or_(link).first.wait_for()
        for _ in range(200):
            page.keyboard.press("Tab")
            words = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
            if page.evaluate(words).strip() == name:
                return
        pytest.fail(f"no way by Tab to {name}")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(f"acme/{order}")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Submit a target…").wait_for()
    tab_to("Retry")
    page.keyboard.press("Enter")
    desk.until(lambda: desk.read("acme", order)["milestone"] == "accepted")
    tab_to("Hold…")
    page.keyboard.press("Enter")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    tab_to("Release")
    page.keyboard.press("Enter")
    desk.until(lambda: desk.situation("acme", order) == "idle")
    tab_to("Submit a target…")
    page.keyboard.press("Enter")
    page.keyboard.type("prep")
    tab_to("Show the plan")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Submit preparing").wait_for()
    page.keyboard.press("Enter")
    desk.until(lambda: desk.read("acme", order)["milestone"] == "preparing")


def everywhere(desk: Desk, page: Any) -> Any:
    """Goes from page to page and dialog to dialog."""
    [order] = desk.block()
    yield "overview"
    go(page, "#/orders?situation=blocked", "Orders")
    page.get_by_role("link", name=f"acme/{order}", exact=True).wait_for()
    yield "orders"
    go(page, "#/machines", "Machines")
    page.locator(".picture svg").first.wait_for()
    yield "machines"
    go(page, "#/history?span=hour", "History")
    page.get_by_text("Nothing is kept of this time yet").or_(page.locator(".plot canvas").first).wait_for()
    yield "history"
    go(page, "#/pushes", "Pushes and consumers")
    page.get_by_text("taken (204)").first.wait_for()
    yield "pushes"
    job = desk.client.post("/v1/orders/hold", {"filter": {"shop": "acme", "reference": "none has it"}}).json()["job"]
    go(page, "#/jobs", "Jobs")
    page.get_by_role("link", name="Hold 0 orders").first.wait_for()
    yield "jobs"
    go(page, f"#/job/{job}", "Hold 0 orders")
    yield "job"
    go(page, "#/nowhere", "No such page")
    yield "no such page"
    open_order(page, "acme", order)
    page.locator(".picture svg").wait_for()
    yield "order"
    for name in ("Skip…", "Cancel…", "Submit a target…"):
        page.get_by_role("button", name=name, exact=True).click()
        page.get_by_role("dialog").wait_for()
        yield name
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    desk.client.post(f"/v1/shops/acme/orders/{order}/cancel")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS))
def test_nothing_bars_anybody_and_nothing_is_cut_off(desk: Desk, axe: str, width: str, is_dark: bool) -> None:
    with desk.page(WIDTHS[width], is_dark=is_dark) as page:
        page.get_by_role("heading", name="Shops").wait_for()
        found = {}
        for place in everywhere(desk, page):
            # the page's own policy lets no script in: the tools of the browser do
            page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": axe})
            if barriers := page.evaluate(BARRIERS):
                found[place] = barriers
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
        assert found == {}


def test_the_form_bars_nobody(desk: Desk, axe: str) -> None:
    with desk.page(WIDTHS["phone"], is_out=True) as page:
        page.get_by_role("button", name="Log in").wait_for()
        page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": axe})
        assert page.evaluate(BARRIERS) == []


def test_nodes_that_share_the_shops_are_shown_with_what_each_holds(desk: Desk, page: Any) -> None:
    several, is_silent = True, False

    def answer(route: Any) -> None:
        status = desk.client.get("/v1/status").json()
        if several:
            now, then = (
                (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
                for seconds in (0, 200)
            )
            names = [shop["name"] for shop in status["shops"]]
            mine, other = status["daemon"]["node"], "box-2:7"
            status["nodes"] = [
                {"name": mine, "version": "0.4.0", "shops": names[:1], "seen_at": now, "draining": False},
                {"name": other, "version": "0.3.0", "shops": names[2:], "seen_at": now, "draining": True},
            ]
            status["nodes"][1]["silent"] = is_silent
            status["lost_nodes"] = [{"name": "box-3:8", "version": "0.4.0", "shops": names[:2], "seen_at": then}]
            for shop in status["shops"]:
                shop["holder"] = {names[0]: mine, names[1]: None}.get(shop["name"], other)
                shop["held"] = shop["holder"] == mine
                shop["holder_silent"] = is_silent and shop["holder"] == other
            status["shops"][0]["takeover"] = {"from": "box-3:8", "at": then, "why": "lease_ended"}
        route.fulfill(json=status)

    page.route("**/v1/status", answer)
    page.reload()
    nodes = page.get_by_role("region", name="Nodes").get_by_role("listitem")
    expect(nodes).to_have_count(3)
    expect(nodes.last).to_contain_text("lost")
    expect(nodes.last).to_contain_text("worked for 2 shops")
    expect(nodes.last).to_contain_text("seen 3 min")
    shops = desk.client.get("/v1/status").json()["shops"]
    expect(nodes.first).to_contain_text("1 shop")
    expect(nodes.first).to_contain_text("this page's")
    expect(nodes.nth(1)).to_contain_text(f"{len(shops) - 2} shops")
    expect(nodes.nth(1)).to_contain_text("draining")
    expect(nodes.nth(1)).to_contain_text("version 0.3.0")
    cards = page.get_by_role("region", name="Shops").get_by_role("listitem")
    expect(cards.nth(1)).to_contain_text("held by no node")
    expect(cards.nth(2)).to_contain_text("held by box-2:7")
    expect(cards.first).to_contain_text("taken over from box-3:8 3 min")
    expect(cards.first).to_contain_text("its lease ended")
    expect(page.get_by_text("silent")).to_have_count(0)
    expect(page.get_by_text("not held here")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    is_silent = True
    expect(nodes.nth(1)).to_contain_text("silent")
    expect(cards.nth(2)).to_contain_text("its node is silent: nothing goes on until it is back")
    expect(cards.first).not_to_contain_text("silent")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    several = False
    expect(nodes).to_have_count(0)
    expect(page.get_by_text("held by")).to_have_count(0)
