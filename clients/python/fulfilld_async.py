"""`fulfilld.py` for asyncio: copy both files. Python 3.11 or newer, the standard library alone.

    client = AsyncClient()
    await client.submit("acme", "67890", {"state": "shipped"}, key="delivery-note-4711")
    async for event in client.consume("erp"):
        ...

What methods mean, take and raise is said there. A call that is cancelled may have been done or not, like one whose
answer is lost.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fulfilld import (
    Address,
    FulfilldError,
    Patience,
    Problem,
    Query,
    Request,
    Unreachable,
    answer_of,
    path_of,
    request_of,
)


class AsyncClient:
    """One daemon, by its socket or URL; without either by the environment. Calls raise Problem and Unreachable."""

    def __init__(self, socket: str | None = None, url: str | None = None, token: str | None = None) -> None:
        self.address = Address.of(socket, url, token)

    async def submit(
        self,
        shop: str,
        order: str,
        target: Mapping[str, Any],
        key: str,
        *,
        wait_seconds: float = 0,
        patience_seconds: float = 60,
    ) -> Any:
        """Submits a target and answers with it; the same key is sent again until the patience ends."""
        path, query = path_of("shops", shop, "orders", order, "targets"), {"wait": wait_seconds or None}
        return await self.insist("POST", path, query, target, key, patience_seconds=patience_seconds)

    async def target(self, target: str, *, wait_seconds: float = 0) -> Any:
        """A target; waits until it is reached, blocked or ended, at most so long."""
        return await self.call("GET", path_of("targets", target), {"wait": wait_seconds or None})

    async def order(self, shop: str, order: str, *, include: Iterable[str] = ()) -> Any:
        """An order, with `payload`, `content` or `timeline` if you like."""
        query = {"include": ",".join(include) or None}
        return await self.call("GET", path_of("shops", shop, "orders", order), query)

    async def orders(self, **filters: str | int | None) -> AsyncIterator[Any]:
        """All orders that the filters of `GET /v1/orders` let through, page by page."""
        after: Any = filters.pop("after", None)
        while True:
            page = await self.call("GET", path_of("orders"), {**filters, "after": after})
            for order in page["orders"]:
                yield order
            if (after := page["next"]) is None:
                return

    async def consume(
        self,
        name: str,
        *,
        types: Iterable[str] = (),
        shop: str | None = None,
        include: Iterable[str] = (),
        limit: int = 100,
        wait_seconds: float = 60,
        is_endless: bool = True,
    ) -> AsyncIterator[Any]:
        """The events for a consumer; one is acknowledged when the next one is asked for."""
        query: Query = {
            "type": ",".join(types) or None,
            "shop": shop,
            "include": ",".join(include) or None,
            "limit": limit,
            "wait": (wait_seconds or None) if is_endless else None,
        }
        passed: int | None = None
        while True:
            path = path_of("consumers", name, "events")
            page = await self.insist("GET", path, query, patience_seconds=float("inf"))
            try:
                for event in page["events"]:
                    yield event
                    passed = await self._pass(name, event["cursor"], page["feed"])
                if page["next"] != passed:  # filters left events out
                    passed = await self._pass(name, page["next"], page["feed"])
            except Problem as problem:
                if problem.code != "cursor-ahead":  # the store was restored meanwhile: go on where its cursor is
                    raise
            if not page["events"] and not is_endless:
                return

    async def _pass(self, name: str, cursor: int, feed: str) -> int:
        await self.ack(name, cursor, feed=feed, patience_seconds=float("inf"))
        return cursor

    async def ack(self, name: str, cursor: int, *, feed: str | None = None, patience_seconds: float = 60) -> Any:
        """Acknowledges all events up to a cursor."""
        body = {"cursor": cursor, **({} if feed is None else {"feed": feed})}
        path = path_of("consumers", name, "ack")
        return await self.insist("POST", path, None, body, patience_seconds=patience_seconds)

    async def seek(self, name: str, cursor: int) -> Any:
        """Has a consumer go on behind a cursor, back as well as forward; 0 is the beginning."""
        return await self.insist("POST", path_of("consumers", name, "seek"), None, {"cursor": cursor})

    async def insist(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        key: str | None = None,
        *,
        patience_seconds: float = 60,
    ) -> Any:
        """`call`, made again while the daemon is away or busy: for reads, and for what has a key or may be repeated."""
        patience = Patience(patience_seconds)
        while True:
            try:
                return await self.call(method, path, query, body, key)
            except FulfilldError as error:
                pause = patience.pause_after(error)
            await asyncio.sleep(pause)

    async def call(
        self, method: str, path: str, query: Query | None = None, body: Any = None, key: str | None = None
    ) -> Any:
        """One call, once, and the JSON that it is answered with: for all that has no method here."""
        request = request_of(self.address, method, path, query, body, key)
        try:
            text = await asyncio.wait_for(self._exchange(request), request.seconds)
            response = http.client.HTTPResponse(_Received(text), method=method)  # type: ignore[arg-type]
            response.begin()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no answer from {self.address}: {str(error) or type(error).__name__}") from error
        return answer_of(self.address, response)

    async def _exchange(self, request: Request) -> bytes:
        """All that the daemon sends until it closes the connection, as it is asked to after one answer."""
        parts = urlsplit(self.address.url or "http://localhost")
        if self.address.socket is not None:
            reader, writer = await asyncio.open_unix_connection(self.address.socket)
        else:
            is_tls = parts.scheme == "https"
            port = parts.port or (443 if is_tls else 80)
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=is_tls or None)
        try:
            writer.write(_as_bytes(request, parts.netloc.rpartition("@")[2]))
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


def _as_bytes(request: Request, host: str) -> bytes:
    """The call as it is sent. Raises ValueError for a key or token that no header can carry."""
    headers = {"Host": host, "Connection": "close", **request.headers}
    if request.data is not None or request.method != "GET":
        headers["Content-Length"] = str(len(request.data or b""))
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise ValueError("a key or token has characters that no header can carry")
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (request.data or b"")


class _Received(io.BytesIO):
    """What was received, as the standard library's parser of answers reads it: from a socket."""

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return self
