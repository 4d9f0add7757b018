"""Commands about what stands still and what is done about it in bulk: causes and jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import AsJson, OfShop, client_of, print_json
from orchestrator.cli.usage import UsageError

JobId = Annotated[
    str | None,
    typer.Argument(metavar="JOB", help="One job by its id.", show_default=False, autocompletion=completion.jobs),
]


def causes(
    context: typer.Context,
    shop: OfShop = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many causes.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show why orders wait for a person, by cause. Each with what helps all orders of it."""
    from orchestrator.cli.blocks import show
    from orchestrator.cli.pages import causes_page

    answer = client_of(context).get("/v1/orders/causes", {"shop": shop, "limit": limit})
    if as_json:
        print_json(answer)
    else:
        show(causes_page(answer.json()))


def jobs(
    context: typer.Context,
    job: JobId = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End this job: what it did stays, the rest is left alone.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was asked for in bulk, and how far it is. One job alone, or cancel one."""
    from orchestrator.cli.blocks import show
    from orchestrator.cli.client import segment
    from orchestrator.cli.in_bulk import whole_job_page
    from orchestrator.cli.pages import jobs_page

    if cancel and job is None:
        raise UsageError("--cancel needs the id of a job")
    client = client_of(context)
    if job is None:
        answer = client.get("/v1/jobs", {"limit": limit})
    else:
        answer = client.call("DELETE" if cancel else "GET", f"/v1/jobs/{segment(job)}")
    if as_json:
        print_json(answer)
    else:
        show(jobs_page(answer.json()["jobs"]) if job is None else whole_job_page(answer.json()))
