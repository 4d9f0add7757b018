"""The way of one platform request: throttle, latency, fault, effect, fault, answer – all of it in the ledger.

Faults strike before the effect or between effect and answer, never in the middle of it: that is all that a client can
distinguish, and all that it has to be able to repair.
"""

from __future__ import annotations

from typing import Literal

import anyio
from aiohttp import web
from multidict import CIMultiDict

from orchestrator.sandbox.faults import Fault, FaultPlan
from orchestrator.sandbox.ledger import Call, Ledger
from orchestrator.sandbox.platform import Incoming, Operation, Reply, SimulatedPlatform

CORS = {"Access-Control-Allow-Origin": "*"}
"""On every answer: the platform's own browser pages call it from another origin."""
_PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, X-Localization, X-Requested-With",
    "Access-Control-Max-Age": "86400",
}
_HTML = b"<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"


_JSON = {**CORS, "Content-Type": "application/json"}
_Struck = Literal["drop", "go on"]


class Exchange:
    """Serves the requests of one platform. One instance is the aiohttp handler of one prefix."""

    def __init__(self, platform: SimulatedPlatform, ledger: Ledger, faults: FaultPlan) -> None:
        self._platform = platform
        self._ledger = ledger
        self._faults = faults
        self._prefix_length = len(platform.name) + 1

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request. Nothing but programming errors escapes."""
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_PREFLIGHT)
        try:
            body = await request.read() if request.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"message": "Payload Too Large"}, status=413, headers=CORS)
        incoming = Incoming(
            request.method, request.path[self._prefix_length :], request.query_string, request.headers, body
        )
        operation = self._platform.open(incoming)
        call = self._ledger.begin(
            self._platform.name,
            operation.shop,
            operation.order,
            operation.step,
            incoming.method,
            incoming.path,
            operation.sent,
            request.headers.get("User-Agent", ""),
        )
        status: int | None = None
        try:
            reply = await self._serve(call, operation)
            if reply is not None:
                status = reply.status
        finally:
            self._ledger.end(call, status)
        if reply is None:
            return _drop(request)
        headers = CIMultiDict(_JSON)
        for name in set(reply.headers):
            headers.popall(name, None)
        headers.extend(reply.headers)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def _serve(self, call: Call, operation: Operation) -> Reply | None:
        """The reply after latency, holds and faults; None when the connection is to be dropped."""
        faults = self._faults
        account = f"{call.platform}/{call.shop}"
        if (wait_seconds := faults.check_throttle(account, call.n)) is not None:
            call.fault = "throttle"
            return self._platform.throttled(wait_seconds)
        fault = faults.draw(account, call.order, call.step)
        call.fault = fault.name if fault is not None else None
        if faults.latency_seconds:
            await anyio.sleep(faults.latency_seconds)
        await faults.wait_if_held("before", call.order, call.step)
        if fault is not None and fault.moment == "before":
            struck = await self._strike(fault, account)
            if struck != "go on":
                return None if struck == "drop" else struck
        if faults.is_closing:
            # The platform goes down: what was stalled or held has no effect any more.
            return None
        reply = operation.act()
        call.in_sequence = reply.in_sequence
        if reply.took_effect:
            self._ledger.effect(call, reopens=reply.reopens, is_overwrite=reply.is_overwrite)
        await faults.wait_if_held("after", call.order, call.step)
        if fault is not None and fault.moment == "after":
            struck = await self._strike(fault, account, reply)
            if struck != "go on":
                return None if struck == "drop" else struck
        return reply

    async def _strike(self, fault: Fault, account: str, reply: Reply | None = None) -> Reply | _Struck:
        """What the fault makes of the call: another reply, `drop`, or `go on`."""
        match fault.kind:
            case "error":
                return self._platform.broken(fault.status or (502 if fault.variant else 500))
            case "drop":
                return "drop"
            case "stall":
                await self._faults.stall()
                return "go on"
            case "throttle":
                return self._platform.throttled(self._faults.open_throttle(account))
            case "garbage":
                return _cut_off(reply) if fault.variant else _PAGE
            case "html":
                return _PAGE
            case "cut_off":
                return _cut_off(reply)
            case "empty":
                return Reply(200, b"")
            case "answer":
                return Reply(fault.status or 200, fault.body)


_PAGE = Reply(200, _HTML, headers={"Content-Type": "text/html; charset=UTF-8"})


def _cut_off(reply: Reply | None) -> Reply:
    body = reply.body if reply is not None else b""
    return Reply(200, body[: len(body) // 2] or b"{")


def _drop(request: web.Request) -> web.StreamResponse:
    """Closes the connection without an answer; aiohttp finds it closed and sends nothing of what is returned."""
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=204)
