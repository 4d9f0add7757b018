"""Commands that operate orders: one that is named, or all that a filter finds."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import (
    AsJson,
    OfCause,
    OfProblem,
    OfShop,
    OfSituation,
    OfState,
    OfStep,
    Reason,
    UnchangedSince,
    client_of,
    instant_given,
    order_path,
    print_json,
    reason_body,
)
from orchestrator.cli.usage import UsageError

_ACTIONS = {
    "retry": "Try a blocked step, or one that waits for an attempt, now.",
    "skip": "Mark the blocked step as done by hand, and go on.",
    "hold": "Stop before the next step, until released.",
    "release": "End a hold, or the ERP's wish that a person looks at it.",
    "cancel": "Drop all targets of an order. The order itself is not cancelled: submit `cancelled` for that.",
}
_OF_WHICH = "Name an order, or a filter: then all that it finds are counted and shown, and operated as one job."
_REASONED = ("skip", "hold")
"""Actions on one order that take a reason."""

SomeShop = Annotated[
    str | None,
    typer.Argument(
        metavar="SHOP", help="The shop's name in the config.", show_default=False, autocompletion=completion.shops
    ),
]
SomeOrder = Annotated[
    str | None,
    typer.Argument(
        metavar="ID", help="The order's id on its platform.", show_default=False, autocompletion=completion.orders
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="With a filter: at most so many, oldest first.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With a filter: say how many it would be, show some, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", help="With a filter: do it without asking.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="With a filter: end as soon as the job is accepted, and print its id.")
]


def _command(action: str) -> Callable[..., None]:
    def command(
        context: typer.Context,
        shop: SomeShop = None,
        order: SomeOrder = None,
        of_shop: OfShop = None,
        state: OfState = None,
        situation: OfSituation = None,
        problem: OfProblem = None,
        step: OfStep = None,
        cause: OfCause = None,
        updated_before: UnchangedSince = None,
        limit: Limit = None,
        reason: Reason = None,
        dry_run: DryRun = False,
        yes: Yes = False,
        no_wait: NoWait = False,
        as_json: AsJson = False,
    ) -> None:
        from orchestrator.cli.in_bulk import Asked, operate_in_bulk

        given = {
            "shop": of_shop,
            "state": state,
            "situation": situation,
            "problem": problem,
            "step": step,
            "cause": cause,
            # once: what the dry run found and what is then asked for are to be the same
            "updated_before": updated_before and instant_given(updated_before, "--updated-before"),
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        if shop is not None or order is not None:
            is_mixed = bool(wanted or limit is not None or dry_run or yes or no_wait)
            operate_one(context, action, *_one(action, shop, order, reason, is_mixed=is_mixed), as_json)
            return
        if not wanted:
            raise UsageError(f"name an order (fulfilld {action} SHOP ID), or a filter such as --situation blocked")
        if action == "skip" and reason is None and not dry_run:
            raise UsageError("skip needs --reason TEXT: how the steps were done by hand")
        asked = Asked(action, wanted, limit, reason, is_dry=dry_run, is_sure=yes, waits=not no_wait, as_json=as_json)
        operate_in_bulk(client_of(context), asked)

    command.__doc__ = f"{_ACTIONS[action]}\n\n{_OF_WHICH}"
    command.__name__ = action
    return command


retry, skip, hold, release, cancel = map(_command, _ACTIONS)


def _one(
    action: str, shop: str | None, order: str | None, reason: str | None, *, is_mixed: bool
) -> tuple[str, str, str | None]:
    """The one order that is named. Raises UsageError for what does not go together."""
    if is_mixed:
        raise UsageError("name one order, or a filter, not both: a shop's orders are found by --shop")
    if shop is None or order is None:
        raise UsageError(f"the order's ID is missing: {action} SHOP ID, or --shop {shop} for all of it")
    if action == "skip" and reason is None:
        raise UsageError("skip needs --reason TEXT: how the step was done by hand")
    if reason is not None and action not in _REASONED:
        raise UsageError(f"{action} of one order takes no --reason")
    return shop, order, reason


def operate_one(
    context: typer.Context,
    action: str,
    shop: str,
    order: str,
    reason: str | None,
    as_json: bool,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Does to one order what is asked for, and prints it as it is then."""
    from orchestrator.cli.blocks import show
    from orchestrator.cli.pages import brief

    is_idle = action == "cancel" and not as_json and not _is_wanted(context, shop, order)
    with nullcontext() if action == "refresh" else known(shop, order):
        answer = client_of(context).post(order_path(shop, order, action), reason_body(reason), headers=headers)
    if as_json:
        print_json(answer)
    else:
        show([brief(answer.json())])
    if is_idle:
        sys.stdout.write("nothing was pending: there was no target to drop\n")


@contextmanager
def known(shop: str, order: str) -> Iterator[None]:
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
