"""The dashboard: one page that shows the daemon to a person, read only, made of nothing but this package's files.

Style and script are put into the page, so it is one answer without further requests, and its content security policy
names them by their hashes: a browser runs these two texts and nothing else, whatever an order's reference says. There
is no build step and nothing is loaded from elsewhere. The page asks the same API as everybody; over TCP the browser
sends the token that it asked the person for (HTTP Basic) with those calls by itself.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aiohttp import web

from orchestrator.diagrams.drawing import STYLE

SCRIPTS = ("elements.js", "daemon.js", "words.js", "feed.js", "overview.js", "orders.js", "order.js", "main.js")
"""The parts of the script in the order in which they are joined: one module, without imports."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page's bytes and the policy that allows its style and script."""

    body: bytes
    policy: str


@cache
def page() -> Page:
    """Puts the page together, once."""
    folder = files("orchestrator.api") / "static"
    style = (folder / "dashboard.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS)
    frame = (folder / "dashboard.html").read_text("utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            # the second one: the machines' pictures bring a style of their own, of which only shapes are taken over
            f"style-src '{_digest(style)}' '{_digest(STYLE)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    return Page(frame.replace("{{style}}", style).replace("{{script}}", script).encode(), policy)


async def dashboard(_request: web.Request) -> web.Response:
    """`GET /`: the page."""
    made = page()
    headers = {
        "Content-Security-Policy": made.policy,
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=made.body, content_type="text/html", charset="utf-8", headers=headers)


def _digest(text: str) -> str:
    """How a content security policy names a text: its SHA-256."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
