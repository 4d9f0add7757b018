"""Calls that do the same to many orders."""

from __future__ import annotations

from typing import Final

from orchestrator.api.handlers import jobs
from orchestrator.api.route import Answer, RequestBody, Route
from orchestrator.api.routes.problems import CHANGE, STORE
from orchestrator.api.schema import queries as parameters
from orchestrator.api.schema.filters import OrdersBody
from orchestrator.decisions.bulk import Action
from orchestrator.operations import documents


def _in_bulk(action: Action, summary: str, slugs: tuple[str, ...] = (), **example: str) -> Route:
    blocked = {"situation": "blocked", "problem": "rejected", "step": "prepare"}
    return Route(
        method="POST",
        path=f"/v1/orders/{action}",
        name=f"{action}Orders",
        group="Jobs",
        summary=f"{summary} every order that a filter finds, as a job",
        handler=jobs.in_bulk(action),
        answers={
            200: Answer.json("With `dry_run`: how many orders it would be, and some of them", documents.BulkPreview),
            202: Answer.json("The job is on disk and will be carried out", documents.JobStarted),
        },
        slugs=("filter-required", "shop-not-found", *slugs, *CHANGE),
        body=RequestBody(OrdersBody, {"filter": blocked, "dry_run": True, **example}, is_required=False),
        is_change=True,
    )


ROUTES: Final[tuple[Route, ...]] = (
    _in_bulk(Action.RETRY, "Retry"),
    _in_bulk(Action.SKIP, "Skip the blocked step of", ("reason-required",), reason="set in the panel"),
    _in_bulk(Action.HOLD, "Hold"),
    _in_bulk(Action.RELEASE, "Release"),
    _in_bulk(Action.CANCEL, "Drop all targets of"),
    Route(
        "GET",
        "/v1/jobs",
        "listJobs",
        "Jobs",
        "What was asked for in bulk, newest first",
        jobs.list_jobs,
        {200: Answer.json("A page; `next` is null at the end", documents.JobPage)},
        STORE,
        query=parameters.JobsQuery,
    ),
    Route(
        "GET",
        "/v1/jobs/{job}",
        "readJob",
        "Jobs",
        "How far a job is",
        jobs.read_job,
        {200: Answer.json("The job", documents.JobDetail)},
        ("job-not-found", *STORE),
    ),
    Route(
        "DELETE",
        "/v1/jobs/{job}",
        "cancelJob",
        "Jobs",
        "End a job; what it did stays, the orders that it did not come to are left alone",
        jobs.cancel_job,
        {200: Answer.json("The job as it is now", documents.JobDetail)},
        ("job-not-found", "already-finished", *CHANGE),
        is_change=True,
    ),
)
