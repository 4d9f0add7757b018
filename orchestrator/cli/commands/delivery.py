"""Commands about the receivers of events: list, attempts, send, replay, test, pause, resume."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import AsJson, client_of, print_json, print_list

if TYPE_CHECKING:
    from orchestrator.cli.client import Query

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="orders_url or products_url.",
        autocompletion=completion.words(("orders_url", "products_url")),
    ),
]


Event = Annotated[int, typer.Argument(metavar="CURSOR", min=1, help="The event's cursor.", show_default=False)]
Beginning = Annotated[
    int, typer.Argument(metavar="CURSOR", min=0, help="The first event is the one behind it.", show_default=False)
]

_COLUMNS = {
    "RECEIVER": lambda each: each["name"],
    "CURSOR": lambda each: str(each["cursor"]),
    "LAG EVENTS": lambda each: str(each["lag_events"]),
    "PARKED": lambda each: str(each["parked"]),
    "LAST TAKEN": lambda each: each["delivered_at"] or "never",
    "STATE": lambda each: "paused" if each["paused"] else each["last_error"] or "ok",
}


def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every receiver and how far it is behind."""
    answer = client_of(context).get("/v1/delivery")
    if as_json:
        print_json(answer)
    else:
        print_list(answer, "delivery", _COLUMNS, right=(1, 2, 3), empty="the config has no receiver")


def attempts(
    context: typer.Context,
    name: Name,
    cursor: Annotated[
        int | None, typer.Option("--event", min=1, metavar="CURSOR", help="Only those of this event.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, metavar="N", help="So many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest attempts to send events to a receiver."""
    from orchestrator.cli.blocks import grid, line, show
    from orchestrator.cli.client import segment

    query: Query = {"limit": str(limit), **({"failed": "true"} if failed else {})}
    if cursor is not None:
        query = {**query, "cursor": str(cursor)}
    answer = client_of(context).get(f"/v1/delivery/{segment(name)}/attempts", query)
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            each["at"],
            "test" if each["cursor"] is None else str(each["cursor"]),
            each["type"] or "–",
            f"{each['shop']}/{each['order']}" if each["order"] else each["shop"] or "–",
            str(each["attempt"]),
            f"{each['seconds']:.3f}",
            _outcome(each),
        )
        for each in answer.json()["attempts"]
    ]
    heads = ("AT", "EVENT", "TYPE", "ORDER", "ATTEMPT", "SECONDS", "OUTCOME")
    show([grid(heads, rows, right=(1, 4, 5)) if rows else line("no attempt is kept")])


def send(context: typer.Context, name: Name, cursor: Event, as_json: AsJson = False) -> None:
    """Send one event once more. One that has yet to arrive is tried at once."""
    from orchestrator.cli.client import segment

    answer = client_of(context).post(f"/v1/delivery/{segment(name)}/send", {"cursor": cursor})
    if as_json:
        print_json(answer)
        return
    attempt = answer.json()["attempt"]
    became = "has yet to arrive and is sent in its turn" if attempt is None else _outcome(attempt)
    sys.stdout.write(f"event {cursor} to {name}: {became}\n")


def send_test(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Send a signed test event. Exit code 1 when the receiver does not take it."""
    from orchestrator.cli.client import segment

    answer = client_of(context).post(f"/v1/delivery/{segment(name)}/test")
    attempt = answer.json()
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"test to {name}: {_outcome(attempt)} after {attempt['seconds']:.3f} s\n")
    if attempt["error"] is not None:
        raise typer.Exit(1)


def replay(context: typer.Context, name: Name, cursor: Beginning, as_json: AsJson = False) -> None:
    """Send everything behind a cursor again, in order. Nothing is skipped."""
    from orchestrator.cli.client import segment

    answer = client_of(context).post(f"/v1/delivery/{segment(name)}/replay", {"cursor": cursor})
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"{name} gets {answer.json()['lag_events']} events from behind cursor {cursor} on\n")


def _outcome(attempt: dict[str, Any]) -> str:
    return str(attempt["error"] or f"taken ({attempt['http_status']})")


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
