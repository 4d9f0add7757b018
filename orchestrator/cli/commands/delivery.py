"""Commands about the receivers of events: pause, resume."""

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
        help="orders_url or products_url.",
        autocompletion=completion.words(("orders_url", "products_url")),
    ),
]


def pause(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Send nothing to a receiver until it is resumed; events wait."""
    _switch(context, name, "pause", f"{name} gets nothing; `fulfilld delivery resume {name}` ends it", as_json=as_json)


def resume(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Send to a receiver again, at once what waits."""
    _switch(context, name, "resume", f"{name} gets its events again", as_json=as_json)


def _switch(context: typer.Context, name: str, action: str, text: str, *, as_json: bool) -> None:
    from orchestrator.cli.client import segment

    answer = client_of(context).post(f"/v1/delivery/{segment(name)}/{action}")
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"{text}\n")
