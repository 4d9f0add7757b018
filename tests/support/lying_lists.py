"""Stands between the daemon and a simulated platform, and changes its lists as a test wants."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, web

from orchestrator.sandbox.server import Sandbox

CHANGED = {
    "selldone": "updated_at",
    "cloudsuite": "modified_date",
    "shopify": "updatedAt",
    "woocommerce": "date_modified_gmt",
}
"""Where a row has its change time."""


@dataclass(slots=True)
class Listed:
    """A page of a list, of any platform. `number`: which call of the list it is, from 1; `has_more`: whether more
    follows, `cursor`: where (None: nothing is said); `total`: the platform's count."""

    number: int
    rows: list[Any]
    has_more: bool = False
    cursor: str | None = None
    total: int | None = None


COUNT = "X-WP-Total"
"""The header of a list whose count is not in its body."""

Lie = Callable[[Listed], Listed]


@dataclass(slots=True)
class LyingLists:
    """`lie` changes every page of a list, None: none does. `date`: the `Date` of list answers, "" for none."""

    platform: str
    base_url: str = ""
    lie: Lie | None = None
    date: str | None = None
    calls: int = 0
    target: str = ""
    counted: str | None = None

    async def handle(self, request: web.Request) -> web.Response:
        sent = _without_our_cursors(await request.read())
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        async with (
            ClientSession() as session,
            session.request(request.method, self.target + request.path_qs, data=sent, headers=headers) as answer,
        ):
            body, status, date = await answer.read(), answer.status, answer.headers.get("Date", "")
            media_type = answer.headers.get("Content-Type", "")
            self.counted = answer.headers.get(COUNT)
        if not self._is_list(request, sent):
            return web.Response(body=body, status=status, headers={"Content-Type": media_type, "Date": date})
        self.calls += 1
        assert self.calls < 500, "the sync does not end"
        if self.lie is not None and status == 200:
            listing = json.loads(body)
            altered = self.lie(self._listed(listing))
            body = json.dumps(self._altered(altered, listing)).encode()
            self.counted = None if self.counted is None else str(altered.total)
        shown = web.Response(body=body, status=status, headers={"Content-Type": media_type})
        if self.counted is not None:
            shown.headers[COUNT] = self.counted
        shown.headers["Date"] = date if self.date is None else self.date
        return shown

    def _is_list(self, request: web.Request, sent: bytes) -> bool:
        match self.platform:
            case "selldone":
                return request.path.endswith("/baskets-PHYSICAL")
            case "cloudsuite":
                return request.path.endswith("/api/order/")
            case "xsale" | "woocommerce":
                return request.path.endswith("/orders")
            case _:
                return b"query Orders(" in sent

    def _listed(self, answer: Any) -> Listed:
        match self.platform:
            case "selldone":
                return Listed(self.calls, answer["orders"], total=answer["total"])
            case "cloudsuite":
                following = answer["next"]
                return Listed(self.calls, answer["results"], following is not None, following, answer["count"])
            case "xsale":
                return Listed(self.calls, answer)
            case "woocommerce":
                return Listed(self.calls, answer, total=int(self.counted or 0))
            case _:
                page = answer["data"]["orders"]
                return Listed(self.calls, page["nodes"], page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"])

    def _altered(self, listed: Listed, answer: Any) -> Any:
        match self.platform:
            case "selldone":
                return {**answer, "orders": listed.rows, "total": listed.total}
            case "cloudsuite":
                following = listed.cursor if listed.has_more else None
                if following is not None and "://" not in following:
                    following = f"http://cs/api/order/?limit=2&cursor={following}"
                return {**answer, "count": listed.total, "next": following, "results": listed.rows}
            case "xsale" | "woocommerce":
                return listed.rows
            case _:
                info = {"hasNextPage": listed.has_more, "endCursor": listed.cursor}
                return {**answer, "data": {"orders": {"nodes": listed.rows, "pageInfo": info}}}


def _without_our_cursors(sent: bytes) -> bytes:
    """A platform knows its own cursors only: one of ours begins its list anew."""
    return re.sub(rb'"after": ?"cursor[^"]*"', b'"after":null', sent)


@asynccontextmanager
async def lying_lists(sandbox: Sandbox, platform: str) -> AsyncIterator[LyingLists]:
    """Stands before the running sandbox; `base_url` is the platform's shop as the config then has it."""
    between = LyingLists(platform, target=sandbox.base_url)
    application = web.Application(client_max_size=2**20)
    application.router.add_route("*", "/{path:.*}", between.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (shop,) = (each for each in sandbox.config()["shops"].values() if each["platform"] == platform)
    base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    between.base_url = shop["base_url"].replace(sandbox.base_url, base_url)
    try:
        yield between
    finally:
        await runner.cleanup()
