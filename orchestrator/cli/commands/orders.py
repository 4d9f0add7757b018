"""Commands about orders: list, show, read and announce one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.commands.operate import known, operate_one
from orchestrator.cli.commands.options import (
    AsJson,
    Include,
    Key,
    OfCause,
    OfProblem,
    OfShop,
    OfSituation,
    OfState,
    OfStep,
    Order,
    Shop,
    client_of,
    exact_json,
    included,
    key_header,
    order_path,
    print_json,
)

if TYPE_CHECKING:
    from orchestrator.cli.client import Client

_PAGE = 1000


def orders(
    context: typer.Context,
    shop: OfShop = None,
    state: OfState = None,
    situation: OfSituation = None,
    problem: OfProblem = None,
    step: OfStep = None,
    cause: OfCause = None,
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
        wanted = {"shop": shop, "state": state, "situation": situation}
        query = {
            **wanted,
            "problem": problem,
            "step": step,
            "cause": cause,
            "limit": size,
            "after": after,
            "include": included(include),
        }
        answer = client.get("/v1/orders", query)
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
    else:
        if found or not is_terminal():
            show(orders_page(found))
        if not found:
            is_narrowed = any((state, situation, problem, step, cause))
            # beside the table, which programs read
            sys.stderr.write(f"{'no such orders' if is_narrowed else _why_none(client, shop)}\n")


def _why_none(client: Client, shop: str | None) -> str:
    """Why there is no order at all, of a shop or of any."""
    from orchestrator.cli.failures import Failure
    from orchestrator.cli.standstill import no_orders
    from orchestrator.cli.times import few

    try:
        shops = [each for each in client.get("/v1/shops").json()["shops"] if shop in (None, each["name"])]
    except Failure:  # it was for information only
        return "no orders"
    whys: dict[str, list[str]] = {}
    for each in shops:
        history = each.get("skipped")
        whys.setdefault(f"{history} left out as history" if history else no_orders(each), []).append(each["name"])
    said = "; ".join(f"{few(names)}: {why}" for why, names in whys.items() if why)
    return f"no orders ({said}); `fulfilld refresh SHOP ID` imports one" if said else "no orders"


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
    with known(shop, order):
        answer = client_of(context).get(order_path(shop, order), {"include": wanted})
    if as_json or include:
        print_json(answer)
    else:
        show(order_page(answer.json()))


def refresh(context: typer.Context, shop: Shop, order: Order, as_json: AsJson = False) -> None:
    """Read an order from its platform now, or import it."""
    operate_one(context, "refresh", shop, order, None, as_json)


def announce(context: typer.Context, shop: Shop, order: Order, key: Key = None, as_json: AsJson = False) -> None:
    """Announce an order once more to all who read events."""
    operate_one(context, "announce", shop, order, None, as_json, headers=key_header(key))
