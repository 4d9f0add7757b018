"""Commands that read all there is: the event feed, and the dump."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import Include, OfShop, client_of, exact_json, included, instant_given
from orchestrator.event_types import EVENT_TYPES

if TYPE_CHECKING:
    from orchestrator.cli.client import Client, Query

_PAGE = 1000
_WAIT_SECONDS = 30
_AGAIN_SECONDS = 1.0


def events(
    context: typer.Context,
    after: Annotated[int, typer.Option("--after", min=0, metavar="CURSOR", help="Only events beyond this cursor.")] = 0,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, metavar="N", help="Only the newest N of them; 0 with --follow: none.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only from then on: 90s, 15m, 1h, 2d ago, or 2026-03-01T12:00Z."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for further events until Ctrl-C, across restarts of the daemon.")
    ] = False,
    shop: OfShop = None,
    order: Annotated[
        str | None,
        typer.Option("--order", metavar="ID", help="Only this order's.", autocompletion=completion.orders),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="T",
            help="Only of this type, or like `order.*`; repeatable, or a list: a,b.",
            autocompletion=completion.words(EVENT_TYPES),
        ),
    ] = None,
    include: Include = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Read the event feed, oldest first."""
    from orchestrator.cli.blocks import show
    from orchestrator.cli.pages import event_line

    query: Query = {"shop": shop, "order": order, "type": ",".join(types or ()) or None}
    query = {**query, "include": included(include)}
    beginning = {"tail": tail, "since": None if since is None else instant_given(since)}
    for page in _pages(client_of(context), after, query, is_following=follow, beginning=beginning):
        if include:
            sys.stdout.writelines(exact_json(event) + "\n" for event in page)
        elif as_json:
            sys.stdout.writelines(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in page)
        else:
            show([event_line(event) for event in page])
        sys.stdout.flush()


def dump(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write to this file, which appears when complete.")
    ] = None,
    include: Include = None,
) -> None:
    """Stream shops, orders, targets and events as NDJSON."""
    from orchestrator.cli.failures import Failure
    from orchestrator.private import appearing

    pieces = client_of(context).stream("/v1/dump", {"include": included(include)})
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    lines = 0
    try:
        with appearing(output) as file:
            for piece in pieces:
                file.write(piece)
                lines += piece.count(b"\n")
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror or error}") from None
    sys.stderr.write(f"{output} has {lines} lines\n")


def _pages(
    client: Client, after: int, query: Query, *, is_following: bool, beginning: Query | None = None
) -> Iterator[list[Any]]:
    """Pages of events that have any. With `is_following` it never ends and outlives the daemon's restarts.

    `beginning`: what says, beside `after`, where to begin; from the first answer on the cursor does.
    """
    from orchestrator.cli.failures import ExitCode, Failure

    wait_seconds, is_lost, has_answered = 0, False, False
    feed: str | None = None
    while True:
        try:
            asked = {**query, "after": after, "limit": _PAGE, "wait": wait_seconds or None, "feed": feed}
            if not has_answered:
                asked.update(beginning or {})
            answer = client.get("/v1/events", asked, wait_seconds=wait_seconds)
            page = answer.exact() if query.get("include") else answer.json()
        except Failure as failure:
            is_passing = failure.code == ExitCode.UNREACHABLE or getattr(failure, "status", None) == 503
            if not (is_following and has_answered and is_passing):
                raise
            if not is_lost:
                sys.stderr.write("fulfilld: the daemon is away, waiting for it\n")
            is_lost = True
            time.sleep(_AGAIN_SECONDS)
            continue
        has_answered, is_lost = True, False
        feed = page.get("feed")  # a daemon that comes back on a restored store refuses what is of another feed
        if page["events"]:
            yield page["events"]
        is_end = page["next"] == after
        after = page["next"]
        if is_end and not is_following:
            return
        if is_end and wait_seconds:
            # A long poll that came back empty early (a daemon that drains) must not become a busy loop.
            time.sleep(_AGAIN_SECONDS / 10)
        if is_following and len(page["events"]) < _PAGE:
            wait_seconds = _WAIT_SECONDS
