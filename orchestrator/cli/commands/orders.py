"""Commands about orders: list, show, and operate one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import (
    AsJson,
    Include,
    Key,
    OfShop,
    Order,
    Reason,
    Shop,
    client_of,
    exact_json,
    included,
    key_header,
    order_path,
    print_json,
    reason_body,
)

_PAGE = 1000
_SITUATIONS = ("idle", "queued", "running", "retrying", "waiting", "blocked", "held")


def orders(
    context: typer.Context,
    shop: OfShop = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="X",
            help="Only in this state: a native name or a milestone.",
            autocompletion=completion.states,
        ),
    ] = None,
    situation: Annotated[
        str | None,
        typer.Option(
            "--situation",
            metavar="X",
            help="Only in this situation: idle, queued, running, retrying, waiting, blocked or held.",
            autocompletion=completion.words(_SITUATIONS),
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    include: Include = None,
    as_json: AsJson = False,
) -> None:
    """List orders."""
    from orchestrator.cli.blocks import is_terminal, show
    from orchestrator.cli.pages import orders_page

    client, as_json = client_of(context), as_json or bool(include)
    found: list[Any] = []
    after: str | None = None
    while True:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        query = {"shop": shop, "state": state, "situation": situation, "limit": size, "after": after}
        answer = client.get("/v1/orders", {**query, "include": included(include)})
        page = answer.exact() if include else answer.json()
        found += page["orders"]
        is_all_of_it = after is None
        after = page["next"]
        if after is None or (limit is not None and len(found) >= limit):
            break
    if as_json and is_all_of_it:
        print_json(answer)
    elif as_json:
        sys.stdout.write(exact_json({"orders": found, "next": after}) + "\n")
    elif found or not is_terminal():
        show(orders_page(found))
    else:
        sys.stdout.write("no such orders\n")


def order(
    context: typer.Context,
    shop: Shop,
    order: Order,
    payload: Annotated[
        bool, typer.Option("--payload", help="With --json: also the order as the platform sent it.")
    ] = False,
    include: Include = None,
    as_json: AsJson = False,
) -> None:
    """Show one order with its plan and timeline."""
    from orchestrator.cli.blocks import show
    from orchestrator.cli.order_page import order_page

    # People are shown the lines; JSON has what is asked for.
    beside = ("timeline",) if as_json or include else ("timeline", "content")
    wanted = included(include, *(("payload", *beside) if payload else beside))
    with _known(shop, order):
        answer = client_of(context).get(order_path(shop, order), {"include": wanted})
    if as_json or include:
        print_json(answer)
    else:
        show(order_page(answer.json()))


def retry(context: typer.Context, shop: Shop, order: Order, as_json: AsJson = False) -> None:
    """Try a blocked step, or one that waits for an attempt, now."""
    _operate(context, shop, order, "retry", None, as_json)


def skip(
    context: typer.Context,
    shop: Shop,
    order: Order,
    reason: Annotated[str, typer.Option("--reason", help="How it was done by hand.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Mark the blocked step as done by hand and go on with the next."""
    _operate(context, shop, order, "skip", reason, as_json)


def hold(context: typer.Context, shop: Shop, order: Order, reason: Reason = None, as_json: AsJson = False) -> None:
    """Stop before the next step, until released."""
    _operate(context, shop, order, "hold", reason, as_json)


def release(context: typer.Context, shop: Shop, order: Order, as_json: AsJson = False) -> None:
    """End a hold, or the ERP's wish that a person looks at it."""
    _operate(context, shop, order, "release", None, as_json)


def cancel(context: typer.Context, shop: Shop, order: Order, as_json: AsJson = False) -> None:
    """Drop all targets of an order. The order itself is not cancelled: submit `cancelled` for that."""
    is_idle = not as_json and not _is_wanted(context, shop, order)
    _operate(context, shop, order, "cancel", None, as_json)
    if is_idle:
        sys.stdout.write("nothing was pending: there was no target to drop\n")


def refresh(context: typer.Context, shop: Shop, order: Order, as_json: AsJson = False) -> None:
    """Read an order from its platform now; import it if it is new."""
    _operate(context, shop, order, "refresh", None, as_json)


def announce(context: typer.Context, shop: Shop, order: Order, key: Key = None, as_json: AsJson = False) -> None:
    """Announce an order once more to all readers of the event feed."""
    _operate(context, shop, order, "announce", None, as_json, headers=key_header(key))


def _operate(
    context: typer.Context,
    shop: str,
    order: str,
    action: str,
    reason: str | None,
    as_json: bool,
    headers: Mapping[str, str] | None = None,
) -> None:
    from orchestrator.cli.blocks import show
    from orchestrator.cli.pages import brief

    with nullcontext() if action == "refresh" else _known(shop, order):
        answer = client_of(context).post(order_path(shop, order, action), reason_body(reason), headers=headers)
    if as_json:
        print_json(answer)
    else:
        show([brief(answer.json())])


@contextmanager
def _known(shop: str, order: str) -> Iterator[None]:
    """Says how to import an order that the daemon does not know."""
    from orchestrator.cli.failures import Refusal

    try:
        yield
    except Refusal as refusal:
        if refusal.slug == "order-not-found":
            command = f"fulfilld refresh {shlex.quote(shop)} {shlex.quote(order)}"
            refusal.remedy = f"`{command}` reads it from the platform, if it is there"
        raise


def _is_wanted(context: typer.Context, shop: str, order: str) -> bool:
    """Whether an order has pending targets; true also where that cannot be known."""
    from orchestrator.cli.failures import Failure

    try:
        return bool(client_of(context).get(order_path(shop, order)).json()["targets"])
    except Failure:  # the command itself says why
        return True
