"""The dashboard in a real browser: a sandbox, a daemon and a headless Chromium, started once for all of these tests."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.browser.desk import TOKEN, WIDTHS, Desk, Erp, Shops
from tests.support.ports import free_port
from tests.support.process import QUICK, daemon_process
from tests.support.skips import skip

ORDERS = 80
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
AXE = Path(__file__).parents[2] / os.environ.get("VENV", ".venv") / "browser/node_modules/axe-core/axe.min.js"


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or skip("there is no Chromium", "apt-get install chromium")


@pytest.fixture(scope="session")
def axe() -> str:
    """What looks for barriers in a page."""
    return AXE.read_text("utf-8") if AXE.exists() else skip("axe-core is not installed", "make axe")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium. No longer than a module: Playwright's event loop runs all the while, beside which no
    asynchronous test of another module could."""
    program = _chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shops() -> Iterator[Shops]:
    """A sandbox, and a daemon that has imported its orders."""
    sandbox = Sandbox(SandboxSettings(orders=ORDERS))
    with (
        tempfile.TemporaryDirectory(prefix="f-") as name,
        start_blocking_portal() as portal,
        Erp() as erp,
        portal.wrap_async_context_manager(sandbox.running()),
        portal.wrap_async_context_manager(daemon_process(Path(name))) as daemon,
    ):
        threading.Thread(target=erp.serve_forever, daemon=True).start()
        config, port = sandbox.config(), free_port()
        shops: dict[str, dict[str, Any]] = config["shops"]
        for shop in shops.values():
            shop.update(QUICK)
        config["api"] = {"socket": "fulfilld.sock", "tcp": {"port": port, "token": TOKEN}}
        config["delivery"] = {"orders_url": erp.url, "secret": "correct horse battery staple", "max_wait_seconds": 1}
        config["log"] = {"level": "warning"}
        (daemon.folder / "config.json").write_text(json.dumps(config))
        daemon.start()
        portal.call(daemon.ready)
        made = Shops(sandbox, erp, daemon.socket, f"http://127.0.0.1:{port}")
        made.await_import(ORDERS * len(shops))
        yield made
        portal.call(daemon.terminate)
        erp.shutdown()


@pytest.fixture(scope="module")
def desk(shops: Shops, browser: Any) -> Desk:
    """Who acts: a browser that logs in, and the daemon to compare with."""
    return Desk(shops, browser)


@pytest.fixture(params=list(WIDTHS), ids=list(WIDTHS))
def page(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page as wide as a phone or a desk's screen, logged in. A script that fails ends the test."""
    with desk.page(WIDTHS[request.param]) as opened:
        yield opened
