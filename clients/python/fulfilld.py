"""A client of fulfilld in one file: copy it into your project. Python 3.11 or newer, the standard library alone.

    client = Client()  # $FULFILLD_SOCKET, or $FULFILLD_URL with $FULFILLD_TOKEN
    client.submit("acme", "67890", {"state": "shipped"}, key="delivery-note-4711")
    for event in client.consume("erp"):
        ...  # acknowledged when the loop asks for the next one

Answers are the daemon's JSON as it comes (docs/api.md, `/openapi.json`); ignore members that you do not know. Numbers
with a fraction are `Decimal`. Errors are `Problem` (the daemon said no; decide by `code`) and `Unreachable` (nobody
knows what it did). A client keeps no connection open, so threads may share it. `fulfilld_async.py` is the same for
asyncio.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

log = logging.getLogger("fulfilld")
CALL_SECONDS = 90.0
"""How long an answer may take beyond what the daemon was asked to wait: it may have to read from a platform."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
Query = Mapping[str, str | int | float | None]


class FulfilldError(Exception):
    """A call that was not answered with what was asked for."""


class Unreachable(FulfilldError):
    """There was no answer, or only a part of one: what was asked for may have been done or not."""


class Problem(FulfilldError):
    """The daemon's refusal. `code` is its `type`, a stable word; `body` has all members (`allowed`, `errors` …)."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.body = body
        self.code = str(body.get("type", f"http-{status}"))
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{self.code}: {body.get('detail', body.get('title', 'no details'))}")

    @property
    def is_final(self) -> bool:
        """Whether the same call would be refused again; otherwise it is to be made again later."""
        return self.status < 500


@dataclass(frozen=True)
class Address:
    """Where the daemon is: a Unix socket's path, or a URL with the token of `api.tcp`."""

    socket: str | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, socket: str | None, url: str | None, token: str | None) -> Address:
        """What is given, else what the environment says. Raises ValueError when neither names a daemon."""
        if socket is None and url is None:
            socket, url = os.environ.get("FULFILLD_SOCKET") or None, os.environ.get("FULFILLD_URL") or None
        if url is not None and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url} is no address of a daemon; write it as http://127.0.0.1:8440")
        if socket is None and url is None:
            raise ValueError("no address of the daemon; set FULFILLD_SOCKET, or FULFILLD_URL and FULFILLD_TOKEN")
        return cls(socket, url, token or os.environ.get("FULFILLD_TOKEN"))

    def __str__(self) -> str:
        return str(self.socket or self.url)


@dataclass(frozen=True)
class Request:
    """One call, ready to be sent. `seconds`: how long its answer may take."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    data: bytes | None = field(repr=False)
    seconds: float


def request_of(address: Address, method: str, path: str, query: Query | None, body: Any, key: str | None) -> Request:
    """Makes a call of its parts. `path` is percent-encoded already (`path_of`); None in `query` is left out."""
    given = {name: _word_of(value) for name, value in (query or {}).items() if value is not None}
    headers = {"Accept": "application/json"}
    if address.socket is None and address.token:
        headers["Authorization"] = f"Bearer {address.token}"
    if key is not None:
        headers["Idempotency-Key"] = key
    data = None if body is None else json.dumps(body, default=_text_of).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    prefix = urlsplit(address.url).path.rstrip("/") if address.socket is None and address.url else ""
    target = prefix + path + (f"?{urlencode(given)}" if given else "")
    return Request(method, target, headers, data, CALL_SECONDS + float(given.get("wait") or 0))


def _word_of(value: str | float) -> str | float:
    """A value as it is in a query, where the API knows true and false."""
    return str(value).lower() if isinstance(value, bool) else value


def _text_of(value: Any) -> str:
    """Quantities as ERPs have them: the API takes decimals as text. Raises TypeError for what is no JSON."""
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{value!r} is no JSON")


def path_of(*segments: str) -> str:
    """A path of the API from its segments, whatever characters an id has."""
    return "/v1/" + "/".join(quote(str(segment), safe="") for segment in segments)


def answer_of(address: Address, response: http.client.HTTPResponse) -> Any:
    """The JSON of an answer. Raises Problem for a refusal, Unreachable when it is cut or not the daemon's."""
    try:
        text = response.read()
        body = json.loads(text, parse_float=Decimal) if text else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if response.status < 300:
            raise Unreachable(f"the answer of {address} is incomplete or not JSON") from error
        body = None
    if response.status >= 300:
        seconds = response.getheader("Retry-After", "")
        known = body if isinstance(body, dict) else {"detail": response.reason}
        raise Problem(response.status, known, float(seconds) if seconds.isdigit() else None)
    return body


class Patience:
    """How long to wait between tries: as the daemon says, else longer each time, together at most so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE_SECONDS

    def pause_after(self, error: FulfilldError) -> float:
        """Seconds until the next try. Raises the error when it is final or the patience is at its end."""
        seconds = self._pause
        if isinstance(error, Problem):
            if error.is_final:
                raise error
            if error.retry_after_seconds is not None:
                seconds = error.retry_after_seconds
        if time.monotonic() + seconds > self._until:
            raise error
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        log.warning("%s; again in %s s", error, seconds)
        return seconds


class Client:
    """One daemon, by its socket or URL; without either by the environment. Calls raise Problem and Unreachable."""

    def __init__(self, socket: str | None = None, url: str | None = None, token: str | None = None) -> None:
        self.address = Address.of(socket, url, token)

    def submit(
        self,
        shop: str,
        order: str,
        target: Mapping[str, Any],
        key: str,
        *,
        wait_seconds: float = 0,
        patience_seconds: float = 60,
    ) -> Any:
        """Submits a target and answers with it.

        `key`: the number of what the ERP booked, such as its delivery note; it is what makes a repetition harmless, so
        keep it with the target before this is called. An answer that is lost and a 503 have the same key sent again
        until the patience ends; the last error is raised then, and the same key is right later, too.
        """
        path, query = path_of("shops", shop, "orders", order, "targets"), {"wait": wait_seconds or None}
        return self.insist("POST", path, query, target, key, patience_seconds=patience_seconds)

    def target(self, target: str, *, wait_seconds: float = 0) -> Any:
        """A target; waits until it is reached, blocked or ended, at most so long."""
        return self.call("GET", path_of("targets", target), {"wait": wait_seconds or None})

    def order(self, shop: str, order: str, *, include: Iterable[str] = ()) -> Any:
        """An order, with `payload`, `content` or `timeline` if you like."""
        return self.call("GET", path_of("shops", shop, "orders", order), {"include": ",".join(include) or None})

    def orders(self, **filters: str | int | None) -> Iterator[Any]:
        """All orders that the filters of `GET /v1/orders` let through, page by page."""
        after: Any = filters.pop("after", None)
        while True:
            page = self.call("GET", path_of("orders"), {**filters, "after": after})
            yield from page["orders"]
            if (after := page["next"]) is None:
                return

    def consume(
        self,
        name: str,
        *,
        types: Iterable[str] = (),
        shop: str | None = None,
        include: Iterable[str] = (),
        limit: int = 100,
        wait_seconds: float = 60,
        is_endless: bool = True,
    ) -> Iterator[Any]:
        """The events for a consumer whose cursor the daemon keeps.

        An event is acknowledged when the next one is asked for; who leaves the loop or dies before gets it again, so
        handle each by a key of its own. A daemon that is away is waited for. `is_endless` False ends as soon as nothing
        is left, for programs that are started again and again.
        """
        query: Query = {
            "type": ",".join(types) or None,
            "shop": shop,
            "include": ",".join(include) or None,
            "limit": limit,
            "wait": (wait_seconds or None) if is_endless else None,
        }
        passed: int | None = None
        while True:
            page = self.insist("GET", path_of("consumers", name, "events"), query, patience_seconds=float("inf"))
            try:
                for event in page["events"]:
                    yield event
                    passed = self._pass(name, event["cursor"], page["feed"])
                if page["next"] != passed:  # filters left events out
                    passed = self._pass(name, page["next"], page["feed"])
            except Problem as problem:
                if problem.code != "cursor-ahead":  # the store was restored meanwhile: go on where its cursor is
                    raise
            if not page["events"] and not is_endless:
                return

    def _pass(self, name: str, cursor: int, feed: str) -> int:
        self.ack(name, cursor, feed=feed, patience_seconds=float("inf"))
        return cursor

    def ack(self, name: str, cursor: int, *, feed: str | None = None, patience_seconds: float = 60) -> Any:
        """Acknowledges all events up to a cursor."""
        body = {"cursor": cursor, **({} if feed is None else {"feed": feed})}
        return self.insist("POST", path_of("consumers", name, "ack"), None, body, patience_seconds=patience_seconds)

    def seek(self, name: str, cursor: int) -> Any:
        """Has a consumer go on behind a cursor, back as well as forward; 0 is the beginning."""
        return self.insist("POST", path_of("consumers", name, "seek"), None, {"cursor": cursor})

    def insist(
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
                return self.call(method, path, query, body, key)
            except FulfilldError as error:
                pause = patience.pause_after(error)
            time.sleep(pause)

    def call(self, method: str, path: str, query: Query | None = None, body: Any = None, key: str | None = None) -> Any:
        """One call, once, and the JSON that it is answered with: for all that has no method here."""
        request = request_of(self.address, method, path, query, body, key)
        connection = self._connection(request.seconds)
        try:
            connection.request(request.method, request.target, request.data, dict(request.headers))
            return answer_of(self.address, connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no answer from {self.address}: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        if self.address.socket is not None:
            return _UnixConnection(self.address.socket, seconds)
        parts = urlsplit(str(self.address.url))
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=seconds)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
