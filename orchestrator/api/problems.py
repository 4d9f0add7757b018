"""Every error that the API answers with, as RFC 9457 problems.

Refusals of the business come from `decisions.refusals`, their titles from `decisions.problems`; what only HTTP knows,
and every status, is listed here. Whatever is raised while
a request is worked on ends in `problem_of`, so no error page of the framework and no detail of a bug gets out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import web

from orchestrator.decisions.problems import PASSING, REFUSAL_TITLES, FieldError, Help
from orchestrator.decisions.refusals import Refused
from storage.damage import REMEDY
from storage.errors import StoreError, StoreLost
from storage.rows import DamagedRow

log = structlog.get_logger()

PROBLEM_TYPE: Final = "application/problem+json"

HTTP_PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "malformed-request": (400, "The request is not valid HTTP"),
    "malformed-json": (400, "The body is not JSON"),
    "unauthorized": (401, "The call brings no token that is accepted"),
    "cross-origin": (403, "A page from elsewhere may not ask here"),
    "not-found": (404, "No such path"),
    "method-not-allowed": (405, "The path does not take this method"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body is of the wrong type"),
    "too-many-attempts": (429, "Too many wrong tokens were tried"),
    "internal-error": (500, "The daemon made a mistake"),
}
"""Status and title of the problems that are about HTTP, by slug."""

_REFUSAL_STATUSES: Final[dict[str, int]] = {
    "invalid-target": 422,
    "invalid-request": 422,
    "unknown-state": 422,
    "reason-required": 422,
    "filter-required": 422,
    "idempotency-key-reused": 422,
    "unreachable": 409,
    "not-allowed": 409,
    "not-adjacent": 409,
    "not-blocked": 409,
    "not-held": 409,
    "already-finished": 409,
    "cursor-ahead": 409,
    "order-not-found": 404,
    "target-not-found": 404,
    "job-not-found": 404,
    "shop-not-found": 404,
    "rejected-not-found": 404,
    "delivery-not-found": 404,
    "consumer-not-found": 404,
    "event-not-found": 404,
    "platform-not-found": 404,
    **dict.fromkeys(sorted(PASSING), 503),  # a set's own sequence differs from start to start
}
STATUS_BY_SLUG: Final[dict[str, int]] = {
    **_REFUSAL_STATUSES,
    **{slug: status for slug, (status, _) in HTTP_PROBLEMS.items()},
}
TITLE_BY_SLUG: Final[dict[str, str]] = {**REFUSAL_TITLES, **{slug: title for slug, (_, title) in HTTP_PROBLEMS.items()}}

_RETRY_SECONDS = 5
_SLUG_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large", 415: "unsupported-media-type"}


class HttpProblem(Help):
    """An RFC 9457 problem; `type` is a stable slug."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem on its way out; `extra` joins its members."""

    slug: str
    detail: str
    extra: Help = field(default_factory=Help)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Its HTTP status."""
        return STATUS_BY_SLUG[self.slug]

    def to_json(self) -> HttpProblem:
        """The RFC 9457 object; `type` is the bare slug."""
        return {
            "type": self.slug,
            "title": TITLE_BY_SLUG[self.slug],
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }

    def response(self) -> web.Response:
        """As an HTTP response."""
        body = json.dumps(self.to_json(), separators=(",", ":")).encode("ascii")
        return web.Response(status=self.status, body=body, content_type=PROBLEM_TYPE, headers=self.headers)


class ApiError(Exception):
    """A request that HTTP or its own form rules out; refusals of the business are `Refused`."""

    def __init__(self, slug: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(slug, detail, headers=headers or {})

    @classmethod
    def of(cls, problem: Problem) -> ApiError:
        """What is answered with this problem."""
        return cls(problem.slug, problem.detail, headers=problem.headers)


class Invalid(ApiError):
    """A request whose parts are not valid; `errors` are path and message, all of them."""

    def __init__(self, slug: str, errors: list[FieldError]) -> None:
        first, more = errors[0], len(errors) - 1
        detail = f"{first['path']}: {first['message']}" + (f" (and {more} more)" if more else "")
        super().__init__(slug, detail)
        self.problem = Problem(slug, detail, extra={"errors": errors})


def problem_of(error: Exception) -> Problem:
    """The problem for an error; an internal error is logged here and shows no details."""
    match error:
        case ApiError():
            return error.problem
        case Refused():
            seconds = error.retry_after_seconds
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            return Problem(error.slug, error.detail, error.extra, headers)
        case StoreLost():  # said in full: nothing that this daemon could do will help
            return unavailable(str(error))
        case StoreError():
            log.error("store.unavailable", detail=str(error))
            return unavailable("the store cannot be used right now; nothing of this request was kept")
        case DamagedRow():
            detail = f"{error}: {REMEDY}"
            log.error("order.damaged", detail=detail)
            return Problem("internal-error", detail)
        case web.HTTPException():
            return _of_http(error)
        case web.RequestPayloadError() | web.PayloadAccessError():
            return Problem("malformed-request", "the body ended early or cannot be decoded")
        case _:
            log.error("api.failed", exc_info=error)
            return Problem("internal-error", "the daemon made a mistake; its log has more")


def unavailable(detail: str) -> Problem:
    """The daemon is there but cannot do this now."""
    return Problem("overloaded", detail, headers={"Retry-After": str(_RETRY_SECONDS)})


def _of_http(error: web.HTTPException) -> Problem:
    """What the framework raised by itself: no such route, a body that is too large."""
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    match _SLUG_OF_STATUS.get(error.status):
        case None:
            return Problem("malformed-request", f"the request cannot be answered ({error.status} {error.reason})")
        case "body-too-large":
            return Problem("body-too-large", "a JSON body may have at most 1 MiB; send many targets as NDJSON")
        case "method-not-allowed":
            return Problem("method-not-allowed", f"this path takes {headers.get('Allow', 'nothing')}", headers=headers)
        case slug:
            return Problem(slug, "there is nothing at this path; see GET /openapi.json for what there is")
