"""The demo's ERP as a receiver of deliveries: a small server that checks signatures and keeps what it got."""

from __future__ import annotations

import base64
import json
import secrets
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

_PUT_OFF_EVERY = 10  # of the events: the first time they come they are answered 503


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event that was accepted. `path`: where it was sent to."""

    path: str
    event: Any


@dataclass(slots=True)
class Mailbox:
    """What came in, first arrivals in their order. `repeats`: known ones, `deferred`: answered 503 once."""

    events: list[Delivered] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    deferred: set[str] = field(default_factory=set)
    forged: int = 0
    repeats: int = 0

    def by_type(self) -> Counter[str]:
        """How many events of each type came."""
        return Counter(each.event["type"] for each in self.events)

    def out_of_order(self) -> int:
        """How many events came before an earlier one of their order, or of their product."""
        last: dict[tuple[str, ...], int] = {}
        count = 0
        for each in self.events:
            event = each.event
            key = (event["shop"], str(event["order"] or event["data"].get("id")), event["type"].partition(".")[0])
            key = key if event["type"].startswith("product.") else (*key[:2], "order")
            count += event["cursor"] < last.get(key, 0)
            last[key] = event["cursor"]
        return count


class Receiver:
    """Listens on loopback from `open` to `close`. `secret` signs deliveries, `url` is its address."""

    def __init__(self) -> None:
        self.secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
        self.mailbox = Mailbox()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def open(self) -> None:
        """Begins to serve."""
        self._thread.start()

    def close(self) -> None:
        """Serves no more. May be called again."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Takes a delivery; returns the HTTP status. Now and then it is busy, so that repeats can be seen."""
        try:
            event = Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            with self._lock:
                self.mailbox.forged += 1
            return 401
        message = headers["webhook-id"]
        with self._lock:
            box = self.mailbox
            if event["cursor"] % _PUT_OFF_EVERY == 0 and message not in box.deferred:
                box.deferred.add(message)
                return 503
            if message in box.ids:
                box.repeats += 1
            else:
                box.ids.add(message)
                box.events.append(Delivered(path, event))
        return 204


class _Server(ThreadingHTTPServer):
    """Says nothing of a caller that hangs up: the demo kills the daemon, and stderr is the demo's."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:  # the caller died while it sent: no delivery, and no forgery either
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.take(self.path, headers, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing: stdout and stderr are the demo's."""

    return Handler


def pretty(delivered: Delivered) -> str:
    """A delivery for people: the event without the payload's bulk."""
    event = dict(delivered.event)
    data = dict(event.pop("data"))
    payload = data.pop("payload", None)
    if isinstance(payload, dict):
        data["payload"] = f"({len(payload)} members of the platform's own)"
    return json.dumps({**event, "data": data}, ensure_ascii=False)
