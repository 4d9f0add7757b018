"""The dashboard: one page that shows the daemon to a person and lets them act, of nothing but this package's files.

Style and script are put into the page, so it is one answer without further requests, and its content security policy
names them by their hashes: a browser runs these two texts and nothing else, whatever an order's reference says. There
is no build step and nothing is loaded from elsewhere. The page asks the same API as everybody; over TCP it logs in with
the token first (session.py). It holds no data of its own, so a browser may have it before that.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from aiohttp import web

from orchestrator.api.access import CHALLENGE, admit
from orchestrator.api.negotiation import prefers
from orchestrator.api.problems import PROBLEM_TYPE, ApiError
from orchestrator.diagrams.drawing import STYLE

LIBRARIES = ("uplot/uPlot.iife.min.js",)
"""Scripts of others, unchanged, with their licences beside them: uPlot draws the plots."""

SCRIPTS = (
    *("elements.js", "daemon.js", "words.js", "login.js", "dialog.js", "actions.js", "submit.js", "bulk.js"),
    *("feed.js", "overview.js", "orders.js", "stepper.js", "order.js", "machines.js", "history.js", "pushes.js"),
    *("jobs.js", "main.js"),
)
"""The parts of the script in the order in which they are joined, behind the libraries: one module, without imports."""

STYLES = ("uplot/uPlot.min.css", "dashboard.css")
"""The parts of the style."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page's bytes and the policy that allows its style and script."""

    body: bytes
    policy: str


@cache
def page() -> Page:
    """Puts the page together, once."""
    folder = files("orchestrator.api") / "static"
    style = "\n".join((folder / name).read_text("utf-8") for name in STYLES)
    script = "\n".join((folder / name).read_text("utf-8") for name in (*LIBRARIES, *SCRIPTS))
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


async def dashboard(request: web.Request) -> web.Response:
    """`GET /`: the page. Raises ApiError `unauthorized` for who is no browser and brings no token."""
    try:
        admit(request)
    except ApiError:
        if not prefers(request.headers.getall("Accept", ()), "text/html", PROBLEM_TYPE):
            raise
        response = page_answer(401)
        response.headers["WWW-Authenticate"] = CHALLENGE
        return response
    return page_answer()


def page_answer(status: int = 200) -> web.Response:
    """The page as an answer."""
    made = page()
    headers = {
        "Content-Security-Policy": made.policy,
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(status=status, body=made.body, content_type="text/html", charset="utf-8", headers=headers)


def _digest(text: str) -> str:
    """How a content security policy names a text: its SHA-256."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
