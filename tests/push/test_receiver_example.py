"""The receiver that docs/delivery.md shows takes what is genuine, once, and nothing else."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

PAGE = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text("utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
OTHER = f"whsec_{'A' * 43}="
EVENT = '{"cursor": 7, "type": "order.imported", "shop": "acme", "order": "15002", "data": {"payload": null}}'


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where the page's example listens: all of it but the last line, which names a port, served here."""
    monkeypatch.setenv("ERP_SECRET", SECRET)
    [text] = [
        block for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if "do_POST" in block
    ]
    text, _, last = text.rstrip().rpartition("\n")
    assert last == 'ThreadingHTTPServer(("127.0.0.1", 8090), Receiver).serve_forever()'
    names: dict[str, Any] = {}
    exec(compile(text, "docs/delivery.md", "exec"), names)
    with ThreadingHTTPServer(("127.0.0.1", 0), names["Receiver"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def signed(secret: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("evt_7", now, body)
    return {"webhook-id": "evt_7", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def status_of(port: int, headers: dict[str, str], body: str = EVENT) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/orders", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_receiver_of_the_docs_takes_what_is_genuine_once(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    genuine = signed(SECRET, EVENT)

    assert status_of(port, signed(OTHER, EVENT)) == 401
    assert status_of(port, genuine | {"webhook-signature": "garbage"}) == 401
    assert status_of(port, {}) == 401
    assert status_of(port, genuine, EVENT.replace("15002", "15003")) == 401
    assert capsys.readouterr().out == ""
    assert [status_of(port, genuine), status_of(port, genuine)] == [204, 204]
    assert capsys.readouterr().out == "/orders 7 order.imported acme 15002\n"
