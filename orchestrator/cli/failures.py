"""How a command ends when it does not succeed: an exit code, one sentence, a remedy. Never a traceback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a command's end means (docs/cli.md)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    CONFLICT = 5
    INTERRUPTED = 130


class Failure(Exception):
    """A command that did not succeed. `details` are further lines, each a fact of its own (every config error)."""

    def __init__(
        self, sentence: str, code: ExitCode = ExitCode.FAILED, *, remedy: str | None = None, details: Sequence[str] = ()
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.remedy = remedy
        self.details = tuple(details)

    def text(self) -> str:
        """What stderr gets, without a line break at the end."""
        first = f"{self.sentence} - {self.remedy}" if self.remedy else self.sentence
        return "\n".join([first, *(f"  {line}" for line in self.details)])


class Refusal(Failure):
    """The daemon answered with a problem (RFC 9457). `slug` is its type, `status` the HTTP status."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: str | None = None) -> None:
        self.status = status
        self.problem = problem
        self.slug = str(problem.get("type", "about:blank"))
        super().__init__(
            _sentence(problem, status),
            exit_code_of(status),
            # A paused shop waits for a person: the detail says for what, and asking again later is of no use.
            remedy=None if problem.get("paused_by") else _remedy(problem, status, retry_after),
            details=_details(problem),
        )


def exit_code_of(status: int) -> ExitCode:
    """The exit code for an HTTP status: what was asked cannot be found, may not be, is wrong, or failed."""
    match status:
        case 404:
            return ExitCode.NOT_FOUND
        case 409:
            return ExitCode.CONFLICT
        case 400 | 401 | 403 | 413 | 422:
            return ExitCode.USAGE
        case _:
            return ExitCode.FAILED


_REMEDIES = {
    "shop-not-found": "`fulfilld status` shows the shops",
    "order-not-found": "check the id on the platform",
    "job-not-found": "`fulfilld jobs` shows the jobs",
    "filter-required": "give --situation, --problem, --shop or another filter",
    "target-not-found": "`fulfilld order SHOP ID` shows an order's targets",
    "platform-not-found": "`fulfilld machines` shows the platforms",
    "consumer-not-found": "`fulfilld consumer list` shows the consumers",
    "not-blocked": "`fulfilld order SHOP ID` shows what the order is doing",
    "not-held": "`fulfilld order SHOP ID` shows what the order is doing",
    "not-adjacent": "submit the states one at a time",
    "idempotency-key-reused": "use another --key for another target",
    "cursor-ahead": "begin anew with `fulfilld events --after 0`; whoever kept a cursor of the other feed has to, too",
    "platform-unreachable": "the daemon is well; `fulfilld doctor` checks the platform",
    "overloaded": "try again",
}
_ALLOWED = {"unknown-state": "known here", "platform-not-found": "known here"}


def _sentence(problem: Mapping[str, Any], status: int) -> str:
    title, detail = str(problem.get("title") or f"the daemon answered {status}"), str(problem.get("detail") or "")
    if problem.get("kept") and detail:  # the title says what could not be done
        return detail
    detail = detail.removesuffix(f" (and {len(problem.get('errors') or ()) - 1} more)")  # they are all listed
    return in_commands(f"{title}: {detail}" if detail and detail != title else title)


def in_commands(text: str) -> str:
    """The daemon's words, with the command where they name the call that it makes."""
    return text.replace("GET /v1/orders/causes", "`fulfilld causes`")


def _remedy(problem: Mapping[str, Any], status: int, retry_after: str | None) -> str | None:
    if status == 401:
        return "set FULFILLD_TOKEN to the token of the daemon's api.tcp"
    remedy = _REMEDIES.get(str(problem.get("type")))
    if status == 503 and retry_after is not None:
        soon = f"again in {retry_after} s at the earliest"
        if problem.get("kept"):
            return soon
        return f"{remedy} ({soon})" if remedy else f"try {soon}"
    return remedy


def _details(problem: Mapping[str, Any]) -> list[str]:
    """What the problem has beside its detail; what the detail says already is left out."""
    said = str(problem.get("detail") or "")
    lines = []
    allowed = ", ".join(map(str, problem.get("allowed") or ()))
    if allowed and allowed not in said:
        lines.append(f"{_ALLOWED.get(str(problem.get('type')), 'allowed from here')}: {allowed}")
    for error in problem.get("errors") or ():
        line = f"{error.get('path', '')}: {error.get('message', '')}" if isinstance(error, Mapping) else str(error)
        is_said = said.startswith(line) or (isinstance(error, Mapping) and said == error.get("message"))
        if not is_said:
            lines.append(line)
    return lines
