"""Commands about the consumers of the feed whose cursor the daemon keeps: list, seek, forget."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import AsJson, client_of, print_json, print_list

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

_COLUMNS = {
    "CONSUMER": lambda each: each["name"],
    "CURSOR": lambda each: str(each["cursor"]),
    "LAG EVENTS": lambda each: str(each["lag_events"]),
    "LAG SECONDS": lambda each: str(each["lag_seconds"]),
    "LAST SEEN": lambda each: each["last_seen_at"],
}


def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every consumer and how far it is behind."""
    answer = client_of(context).get("/v1/consumers")
    if as_json:
        print_json(answer)
    else:
        print_list(answer, "consumers", _COLUMNS, right=(1, 2, 3), empty="no consumer has acknowledged an event")


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
