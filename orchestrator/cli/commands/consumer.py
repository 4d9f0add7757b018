"""Commands about the consumers of the feed whose cursor the daemon keeps: list, seek, forget."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import AsJson, client_of, print_json

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The name that the consumer chose.",
        show_default=False,
        autocompletion=completion.consumers,
    ),
]
Cursor = Annotated[
    int, typer.Argument(metavar="CURSOR", min=0, help="The next event is the one behind it.", show_default=False)
]


def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every consumer and how far it is behind."""
    from orchestrator.cli.blocks import grid, line, show

    answer = client_of(context).get("/v1/consumers")
    if as_json:
        print_json(answer)
        return
    names = ("name", "cursor", "lag_events", "lag_seconds", "last_seen_at")
    rows = [tuple(str(each[name]) for name in names) for each in answer.json()["consumers"]]
    heads = ("CONSUMER", "CURSOR", "LAG EVENTS", "LAG SECONDS", "LAST SEEN")
    show([grid(heads, rows, right=(1, 2, 3)) if rows else line("no consumer has acknowledged an event")])


def seek(context: typer.Context, name: Name, cursor: Cursor, as_json: AsJson = False) -> None:
    """Let a consumer go on after a cursor, also an earlier one."""
    from orchestrator.cli.client import segment

    answer = client_of(context).post(f"/v1/consumers/{segment(name)}/seek", {"cursor": cursor})
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"{name} goes on after cursor {cursor}\n")


def forget(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Forget a consumer that does not come any more."""
    from orchestrator.cli.client import segment

    answer = client_of(context).call("DELETE", f"/v1/consumers/{segment(name)}")
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"{name} is forgotten, it was at cursor {answer.json()['cursor']}\n")
