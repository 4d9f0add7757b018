"""Operating all orders that a filter finds: counted and shown first, then asked, then followed until the job ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli.blocks import Page, clean, line, show
from orchestrator.cli.complaints import complain
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.pages import asked_text, filter_text, orders_page

if TYPE_CHECKING:
    from rich.progress import Progress

    from orchestrator.cli.client import Answer, Client

_LOOK_SECONDS = 0.25
_LONGEST_LOOK_SECONDS = 2.0
_MOST_OF_A_JOB = 100_000
_WAYS = {"retry": "retried", "skip": "skipped", "hold": "held", "release": "released"}
_CANCEL = "cancel"
"""It drops the targets of orders; the orders themselves are not cancelled."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. `wanted`: the filter; `is_sure`: nobody has to be asked; `waits`: until the job ends."""

    action: str
    wanted: Mapping[str, str]
    limit: int | None
    reason: str | None
    is_dry: bool
    is_sure: bool
    waits: bool
    as_json: bool

    def body(self, *, is_dry: bool) -> dict[str, Any]:
        """As the API takes it."""
        body = {"filter": self.wanted, "limit": self.limit, "reason": self.reason, "dry_run": is_dry or None}
        return {name: value for name, value in body.items() if value is not None}

    @property
    def path(self) -> str:
        """Where it is asked for."""
        return f"/v1/orders/{self.action}"


def operate_in_bulk(client: Client, asked: Asked) -> None:
    """Shows what it would be, asks, and does it. Raises Failure: where nobody can be asked, the job could not go on, or
    no order of it could be operated."""
    from orchestrator.cli.commands.options import print_json

    found = client.post(asked.path, asked.body(is_dry=True))
    count = found.json()["count"]
    if asked.is_dry and asked.as_json:
        print_json(found)
        return
    if not asked.as_json:
        show(_preview(asked, found.json()))
    if asked.is_dry or (count == 0 and not asked.as_json):
        return
    if count and not asked.is_sure:
        if not _agrees(asked, count, found.json().get("refused", 0)):
            return
        if count <= _MOST_OF_A_JOB:  # else the daemon says what to do
            asked = replace(asked, limit=count)  # so many were agreed to, whatever else fits by then
    started = client.post(asked.path, asked.body(is_dry=False)).json()
    if asked.waits:
        _finish(asked, _followed(client, started["job"]))
    elif asked.as_json:
        print_json(client.get(f"/v1/jobs/{started['job']}"))
    else:
        sys.stdout.write(f"job {started['job']} has {_orders(started['count'])}\n")


def _preview(asked: Asked, found: Mapping[str, Any]) -> Page:
    count, sample = found["count"], found["sample"]
    if not count:
        return [line("no such orders")]
    rest = f", the first {len(sample)} orders above" if len(sample) < count else ""
    return [*orders_page(sample), line(f"{_would_be(asked.action, count, found.get('refused', 0))}{rest}")]


def _agrees(asked: Asked, count: int, refused: int) -> bool:
    """Asks whoever sits at the terminal. Raises Failure (2) where nobody does."""
    if not _is_asked():
        remedy = "--yes does it without asking, --dry-run only counts"
        raise Failure(
            f"{_would_be(asked.action, count, refused)}, and nobody can be asked", ExitCode.USAGE, remedy=remedy
        )
    what = f"drop the targets of {_orders(count)}" if asked.action == _CANCEL else f"{asked.action} {_orders(count)}"
    but = f" ({refused} would be refused)" if refused else ""
    sys.stderr.write(f"{what}{but}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().casefold() in ("y", "yes"):
        return True
    complain("nothing was done")
    return False


def _is_asked() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _followed(client: Client, job: str) -> Answer:
    """The job once it has ended, with its progress on a terminal."""
    pause_seconds = _LOOK_SECONDS
    try:
        with _progress() as progress:
            task = None if progress is None else progress.add_task("orders", total=None)
            while True:
                answer = client.get(f"/v1/jobs/{job}")
                now = answer.json()
                if progress is not None and task is not None:
                    progress.update(task, completed=now["done"] + now["refused"], total=now["count"])
                if now["status"] != "running":
                    return answer
                time.sleep(pause_seconds)
                pause_seconds = min(_LONGEST_LOOK_SECONDS, pause_seconds * 1.5)
    except KeyboardInterrupt:
        complain(f"the job goes on: `fulfilld jobs {job}` shows how far it is, --cancel ends it")
        raise


def _finish(asked: Asked, answer: Answer) -> None:
    from orchestrator.cli.commands.options import print_json

    job = answer.json()
    if asked.as_json:
        print_json(answer)
    else:
        show(job_page(job))
        if job["done"] and job.get("blocked_again") is not None:
            show([line(f"they go on now; `fulfilld jobs {job['id']}` shows how many are blocked again", indent=2)])
    if job["status"] != "done":
        raise Failure(f"job {job['id']} is {job['status']}", remedy="the daemon's log has more")
    if job["refused"] and not job["done"]:
        raise Failure("none of the orders could be operated", ExitCode.CONFLICT)


def whole_job_page(job: Mapping[str, Any]) -> Page:
    """A job with what was asked for, by whom and why."""
    ended = f", ended {job['ended_at']}" if job["ended_at"] else ""
    return [
        *job_page(job),
        line(f"orders with {filter_text(job)}", indent=2),
        line(f"asked for by {asked_text(job)}", indent=2),
        line(f"begun {job['started_at']}{ended}", indent=2),
    ]


def job_page(job: Mapping[str, Any]) -> Page:
    """A job in a few lines."""
    done = f"{job['done']} of {_orders(job['count'])}"
    done = f"the targets of {done} dropped" if job["action"] == _CANCEL else f"{done} {_WAYS[job['action']]}"
    state = {"running": ", it goes on", "done": "", "failed": ", it failed", "cancelled": ", then it was cancelled"}
    page = [line(f"job {job['id']}: {done}{state[job['status']]}")]
    if job.get("blocked_again"):
        page.append(line(f"{_orders(job['blocked_again'])} blocked again now", indent=2))
    for each in job["refusals"]:
        example = f" (order {each['order']} of {each['shop']})" if each["order"] else ""
        page.append(
            line(f"{_orders(each['count'])} refused, {each['type']}: {clean(each['detail'])}{example}", indent=2)
        )
    return page


def _would_be(action: str, count: int, refused: int) -> str:
    """`refused`: so many of the orders cannot be operated as they are now."""
    if action == _CANCEL:
        return f"the targets of {_orders(count)} would be dropped"
    if not refused:
        return f"{_orders(count)} would be {_WAYS[action]}"
    return f"{count - refused} of {_orders(count)} would be {_WAYS[action]}, {refused} refused as they are now"


def _orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count} orders"


def _progress() -> Progress | nullcontext[None]:
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
