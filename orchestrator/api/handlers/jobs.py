"""Calls about many orders at once, and about the jobs that they begin."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from orchestrator.api.answers import answer, json_answer
from orchestrator.api.call import Call, Handler
from orchestrator.api.caller import caller
from orchestrator.api.reading import checked, read_json
from orchestrator.api.schema.fields import page_token
from orchestrator.api.schema.filters import OrdersBody
from orchestrator.api.schema.queries import JobsQuery, Query
from orchestrator.decisions.bulk import Action
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.documents import JobPage, JobStarted
from orchestrator.operations.order_filter import FILTERS, Wanted
from orchestrator.operations.views.jobs import job_view


def in_bulk(action: Action) -> Handler:
    """The handler of an action on all orders that a filter finds."""
    return partial(_operate, action)


async def _operate(action: Action, call: Call[Query]) -> web.StreamResponse:
    body = checked(OrdersBody, await read_json(call.request) or {}, "invalid-request")
    wanted = Wanted(**({} if body.filter is None else body.filter.model_dump()))
    if wanted == Wanted():
        detail = (
            f"name at least one of {', '.join(FILTERS)} in `filter`: what is done in bulk has to say to which orders;"
            f' all of a shop are {{"filter": {{"shop": "NAME"}}}}'
        )
        raise Refused("filter-required", detail)
    try:
        if body.dry_run:
            count, refused, sample = await call.services.queries.bulk(action, wanted, body.limit)
            return json_answer(b'{"count":%d,"refused":%d,"sample":[%b]}' % (count, refused, b",".join(sample)))
        by = await caller(call.request)
        job = await call.services.commands.start_job(action, wanted, body.limit, body.reason, by)
    except Refused as refused:
        for error in refused.extra.get("errors", ()):
            if error["path"] in FILTERS:  # as the list of orders has it; here they stand in `filter`
                error["path"] = f"filter.{error['path']}"
        raise
    return answer(JobStarted(job=job.id, count=job.orders), 202)


async def list_jobs(call: Call[JobsQuery]) -> web.StreamResponse:
    """The jobs, newest first."""
    found, following = await call.services.queries.jobs(call.query.after, call.query.limit)
    return answer(JobPage(jobs=[job_view(job) for job in found], next=page_token(following)))


async def read_job(call: Call[Query]) -> web.StreamResponse:
    """One job."""
    return answer(await call.services.queries.job(call.path["job"]))


async def cancel_job(call: Call[Query]) -> web.StreamResponse:
    """Ends a job before it came to all of its orders."""
    job = await call.services.commands.cancel_job(call.path["job"])
    return answer(await call.services.queries.job(job.id))
