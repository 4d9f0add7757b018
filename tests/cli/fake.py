"""A daemon that says what a test wants it to say, on a real Unix socket, and JSON as the API shows it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from typer.testing import Result

Run = Callable[..., Result]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeDaemon:
    """Answers by (method, path): a JSON body, a (status, body) pair, a list of those in turn, or a handler.

    `calls` has every request as (method, path, query, body text, headers).
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.answers: dict[tuple[str, str], Any] = {}
        self.calls: list[tuple[str, str, dict[str, str], str, dict[str, str]]] = []

    def bodies(self) -> list[Any]:
        """The JSON bodies of all calls that had one."""
        return [json.loads(body) for _, _, _, body, _ in self.calls if body]

    @asynccontextmanager
    async def running(self) -> Any:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(self.socket)).start()
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        answer = self.answers.get((request.method, request.raw_path.partition("?")[0]))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            made: web.StreamResponse = await answer(request)
            return made
        call = (request.method, request.path, dict(request.query), await request.text(), dict(request.headers))
        self.calls.append(call)
        if answer is None:
            problem = {"type": "not-found", "title": "No such route", "status": 404}
            return web.json_response(problem, status=404, content_type="application/problem+json")
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        if isinstance(body, str):
            return web.Response(text=body, status=status)
        return web.json_response(body, status=status)


def an_order(**changes: Any) -> dict[str, Any]:
    """An order as the API shows it."""
    return {
        "shop": "acme", "platform": "selldone", "id": "67890", "reference": None, "state": "OrderConfirm",
        "milestone": "accepted", "situation": "idle", "payment": "paid", "attempts": 0, "next_attempt_at": None,
        "wait": None, "problem": None, "targets": [], "allowed": ["PreparingOrder"],
        "imported_at": "2026-01-02T03:04:05.000Z", "updated_at": "2026-01-02T03:04:06.000Z", "version": 3,
        **changes,
    }  # fmt: skip


def a_target(**changes: Any) -> dict[str, Any]:
    """A target as the API shows it."""
    return {
        "id": "t-1", "shop": "acme", "order": "67890", "state": "SentOrder", "milestone": "shipped",
        "status": "queued",
        "plan": [
            {"step": "prepare", "from": "OrderConfirm", "to": "PreparingOrder", "status": "done"},
            {"step": "set_tracking", "from": "PreparingOrder", "to": "PreparingOrder", "status": "now"},
            {"step": "send", "from": "PreparingOrder", "to": "SentOrder", "status": "next"},
        ],
        "unused": [], "submitted_at": "2026-01-02T03:04:05.000Z", "finished_at": None, "problem": None,
        **changes,
    }  # fmt: skip


def an_event(cursor: int, **changes: Any) -> dict[str, Any]:
    """An event of the feed."""
    return {
        "cursor": cursor, "at": "2026-01-02T03:04:05.000Z", "type": "step.done", "shop": "acme", "order": "67890",
        "target": "t-1", "data": {"step": "send", "from": "PreparingOrder", "to": "SentOrder", "how": "called"},
        **changes,
    }  # fmt: skip


def a_status(**changes: Any) -> dict[str, Any]:
    """A status dump."""
    shop = {
        "name": "acme", "platform": "selldone", "held": True, "paused": False, "circuit": "closed",
        "last_sync_at": "2026-01-02T03:04:05.000Z", "last_sync_error": None, "by_state": {"CheckQueue": 2},
        "queued": 1, "running": 0, "retrying": 0, "waiting": 4711, "blocked": 1,
        "oldest_pending_seconds": 300, "rate_limit": {},
    }  # fmt: skip
    return {
        "daemon": {
            "version": "9.9.9", "node": "n1", "pid": 77, "started_at": "2026-01-02T03:04:05.000Z",
            "storage": "sqlite:////srv/fulfilld.db", "draining": False,
        },
        "totals": {"orders": 2, "by_situation": {"idle": 1, "blocked": 1}, "targets_pending": 1},
        "shops": [shop],
        "attention": [{"shop": "acme", "order": "5", "problem": a_problem()}],
        "delivery": [],
        **changes,
    }  # fmt: skip


NOW = "2026-01-02T03:05:00.000Z"


def a_cluster(**changes: Any) -> dict[str, Any]:
    """A status dump of three nodes, one of which is silent, and one that was lost, at `NOW`."""
    node = {"version": "0.4.0", "draining": False, "silent": False, "seen_at": "2026-01-02T03:04:56.000Z"}
    dump = a_status(
        at=NOW,
        nodes=[
            {**node, "name": "n1:77:0a1b", "shops": ["acme"], "seen_seconds": 2.1},
            {**node, "name": "n2:78:0c1d", "shops": ["cs", "woo"], "seen_seconds": 9.4, "silent": True},
        ],
        lost_nodes=[{"name": "n3:79:0e1f", "version": "0.4.0", "shops": ["acme"], "seen_at": "2026-01-02T02:53:00Z"}],
        **changes,
    )
    shop = dump["shops"][0] | {"holder": "n1:77:0a1b"}
    taken = {"from": "n3:79:0e1f", "why": "lease_ended", "at": "2026-01-02T02:53:15.000Z", "idle_since": None}
    silent = shop | {"holder": "n2:78:0c1d", "holder_silent": True, "held": False}
    dump["shops"] = [shop | {"takeover": taken}, silent | {"name": "cs"}, silent | {"name": "woo"}]
    return dump


def a_problem(**changes: Any) -> dict[str, Any]:
    """Why an order is blocked."""
    return {
        "type": "rejected", "title": "The platform refused", "detail": "ORDER_CANCELED_ERROR", "step": "send",
        "since": "2026-01-02T03:04:05.000Z", **changes,
    }  # fmt: skip
