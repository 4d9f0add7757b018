"""What a CloudSuite answer refuses, in our four kinds (cloudsuite.md §8).

Nothing about errors is documented; the shapes are those of Django REST Framework. The status decides. 401, 429, 5xx and
redirects never get here: the HTTP layer has taken them.
"""

from __future__ import annotations

from orchestrator.platforms.bystanders import is_own
from orchestrator.platforms.failures import AccessDenied, PlatformFailure, Transient
from orchestrator.platforms.http import Answer
from orchestrator.platforms.json_text import read_object


def is_own_about_order(body: bytes) -> bool:
    """Whether a 401, 403 or 404 about one order is CloudSuite's: `detail` says what is the matter (cloudsuite.md §8).
    Gateways answer with JSON as well, where they find no route or do not let a call through."""
    return "detail" in (read_object(body) or {})


def token_refusal(answer: Answer, words: str) -> PlatformFailure:
    """The failure that a 4xx of the token endpoint means: wrong credentials, or an invalid address."""
    if not is_own(answer.body):
        return Transient(f"no access token: {words}")  # a proxy's or a gateway's page knows no credentials
    return AccessDenied(f"no access token: {words}")


def is_html(body: bytes) -> bool:
    """Whether a body is a page for people, which no call of this API answers with."""
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    return start.startswith((b"<!doctype html", b"<html"))
