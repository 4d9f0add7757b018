"""Options that several commands share, and the way from a command to its client."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion

if TYPE_CHECKING:
    from orchestrator.cli.client import Answer, Client
    from orchestrator.cli.place import Place

_SITUATIONS = ("idle", "queued", "running", "retrying", "waiting", "blocked", "held")
_PROBLEMS = ("rejected", "attempts-exhausted", "unknown-state", "quarantined", "not-allowed")

Shop = Annotated[
    str,
    typer.Argument(
        metavar="SHOP", help="The shop's name in the config.", show_default=False, autocompletion=completion.shops
    ),
]
Order = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The order's id on its platform.", show_default=False, autocompletion=completion.orders
    ),
]
OfShop = Annotated[
    str | None, typer.Option("--shop", metavar="S", help="Only this shop's.", autocompletion=completion.shops)
]
OfState = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="X",
        help="Only in this state: a native name or a milestone.",
        autocompletion=completion.states,
    ),
]
OfSituation = Annotated[
    str | None,
    typer.Option(
        "--situation",
        metavar="X",
        help="Only in this situation: idle, queued, running, retrying, waiting, blocked or held.",
        autocompletion=completion.words(_SITUATIONS),
    ),
]
OfProblem = Annotated[
    str | None,
    typer.Option(
        "--problem",
        metavar="TYPE",
        help="Only with a problem of this type, such as rejected.",
        autocompletion=completion.words(_PROBLEMS),
    ),
]
OfStep = Annotated[str | None, typer.Option("--step", metavar="NAME", help="Only where the problem is of this step.")]
OfCause = Annotated[
    str | None,
    typer.Option(
        "--cause",
        metavar="NAME",
        help="Only with this cause, as `fulfilld causes` names it.",
        autocompletion=completion.causes,
    ),
]
UnchangedSince = Annotated[
    str | None,
    typer.Option("--updated-before", metavar="WHEN", help="Only where nothing changed since: 1h, 2d or an instant."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's JSON as it is.")]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="WHAT",
        help="Also payload (what the platform sent) or content (one shape for all platforms), as JSON; repeatable, or "
        "a list: a,b.",
        autocompletion=completion.words(("content", "payload")),
    ),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the order's or shop's history.")]
Key = Annotated[
    str | None, typer.Option("--key", metavar="K", help="Idempotency key: sent again, nothing is done twice.")
]
WaitSeconds = Annotated[
    float | None,
    typer.Option("--wait", min=0, metavar="[SECONDS]", help="Wait for the end, 60 seconds if no number follows."),
]


def place_of(context: typer.Context) -> Place:
    """What the global options said."""
    place: Place = context.obj
    return place


def own_place(context: typer.Context, *, reads_config: bool = True) -> Place:
    """What the global options said to a command that asks no daemon. Those that it has no use for are said to have
    none: they harm nothing, and whoever gives all commands the same ones need not leave them out here."""
    from orchestrator.cli.complaints import complain

    place, program = place_of(context), context.find_root().command_path
    command = f"fulfilld{context.command_path.removeprefix(program)}"
    for option, is_given in (("--socket", place.socket is not None), ("--url", place.url is not None)):
        if is_given:
            complain(f"warning: {option} names a daemon, and `{command}` asks none - leave it out")
    if place.config is not None and not reads_config:
        complain(f"warning: --config says nothing to `{command}`, which reads none - leave it out")
    return place


def client_of(context: typer.Context) -> Client:
    """A client of the daemon. Raises Failure when the address cannot be found out."""
    from orchestrator.cli.client import Client

    return Client(place_of(context).address())


def order_path(shop: str, order: str, action: str | None = None) -> str:
    """The API's path of an order, or of something to do with it."""
    from orchestrator.cli.client import segment

    path = f"/v1/shops/{segment(shop)}/orders/{segment(order)}"
    return f"{path}/{action}" if action is not None else path


def print_json(answer: Answer) -> None:
    """The answer's body as it came but for escaped letters, on lines of its own."""
    from orchestrator.cli.letters import readable

    sys.stdout.write(readable(answer.text().rstrip("\n"), sys.stdout.encoding) + "\n")


def print_list(
    answer: Answer, member: str, columns: Mapping[str, Callable[[Any], str]], *, right: tuple[int, ...], empty: str
) -> None:
    """What a list of the API has, a row each, by the heads of its columns; `right`: columns of numbers, `empty`: what
    is said where there is nothing."""
    from orchestrator.cli.blocks import grid, line, show

    rows = [tuple(cell(each) for cell in columns.values()) for each in answer.json()[member]]
    show([grid(tuple(columns), rows, right=right) if rows else line(empty)])


def included(include: list[str] | None, *more: str) -> str | None:
    """The API's parameter; None for nothing."""
    return ",".join((*more, *(include or ()))) or None


def exact_json(value: Any) -> str:
    """JSON with numbers as they came (`Answer.exact`)."""
    from orchestrator.platforms.json_text import write_value

    return write_value(value)


def key_header(key: str | None) -> dict[str, str]:
    """The header of an idempotency key, if there is one."""
    return {} if key is None else {"Idempotency-Key": key}


def reason_body(reason: str | None) -> dict[str, Any] | None:
    """The body of an action that may carry a reason."""
    return None if reason is None else {"reason": reason}


def instant_given(text: str, option: str = "--since") -> str:
    """An instant as such an option takes it, as the API does. Raises typer.BadParameter."""
    from orchestrator.cli.instants import instant_of
    from orchestrator.clock import Clock

    try:
        return instant_of(text, Clock().now_ms())
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from None
