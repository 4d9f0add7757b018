"""What was done over time."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orchestrator.cli.commands.options import AsJson, OfShop, client_of, instant_given, print_json


class Step(StrEnum):
    """How long each row is."""

    MINUTE = "minute"
    HOUR = "hour"


def history(
    context: typer.Context,
    shop: OfShop = None,
    step: Annotated[Step, typer.Option("--step", help="A row a minute (kept for a day), or an hour (90 days).")] = (
        Step.MINUTE
    ),
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="From then on: 90s, 15m, 1h, 2d ago, or 2026-03-01T12:00Z.")
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """Show what was done in each minute or hour. Steps, failures, imports, calls."""
    from orchestrator.cli.blocks import grid, line, show

    query = {"shop": shop, "step": step.value, "from": instant_given(since)}
    answer = client_of(context).get("/v1/history", query)
    if as_json:
        print_json(answer)
        return
    counts = ("steps_done", "steps_failed", "orders_imported", "calls")
    rows = [
        (
            f"{point['at'][:16]}Z",
            *(str(point[name]) for name in counts),
            f"{point['oldest_pending_seconds']:.0f} s" if point["oldest_pending_seconds"] else "",
        )
        for point in answer.json()["points"]
    ]
    heads = (step.value.upper(), "STEPS", "FAILED", "IMPORTED", "CALLS", "OLDEST PENDING")
    nothing = f"nothing is kept of that time; a {step.value} is kept once the first minute of it is over"
    show([grid(heads, rows, right=(1, 2, 3, 4, 5)) if rows else line(nothing)])
