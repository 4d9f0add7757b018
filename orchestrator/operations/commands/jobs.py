"""Jobs: what a person does to many orders at once, selected by a filter when it is asked for and carried out later."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from orchestrator.decisions.bulk import Action
from orchestrator.decisions.refusals import Refused, no_job
from orchestrator.operations.commands.job_runner import JobRunner
from orchestrator.operations.commands.services import CommandGroup, CommandServices
from orchestrator.operations.order_filter import Wanted, select_orders
from storage.jobs import Job, add_job, end_job, get_job
from storage.transaction import Transaction

MOST_ORDERS: Final = 100_000
"""So many orders has one job at most."""


class JobCommands(CommandGroup):
    """What is done in bulk. `jobs` carries it out."""

    def __init__(self, services: CommandServices) -> None:
        CommandGroup.__init__(self, services)
        self.jobs = JobRunner(services)

    async def start_job(self, action: Action, wanted: Wanted, limit: int | None, reason: str | None, by: str) -> Job:
        """Selects the orders and accepts a job for them: durable when this returns. Raises Refused."""
        services = self._services
        if services.supervisor.is_draining:
            raise Refused("draining", "the daemon is shutting down; try again when it is back")
        refuse_unreasoned(action, reason)
        configured, now = services.supervisor.shops(), services.clock.now_ms()
        most = MOST_ORDERS + 1 if limit is None else min(limit, MOST_ORDERS)

        def select(tx: Transaction) -> list[tuple[str, str]]:
            return [(shop, order) for _, shop, order in select_orders(tx, configured, wanted, most, now)]

        orders = await services.store.read(select)
        if len(orders) > MOST_ORDERS:
            detail = f"the filter finds more than {MOST_ORDERS} orders; narrow it, or give a limit"
            raise Refused("invalid-request", detail, extra={"errors": [{"path": "filter", "message": detail}]})
        job = new_job(services.chance.target_id(now), action, wanted, len(orders), reason, by, now)
        await services.store.write(lambda tx: add_job(tx, job, orders))
        await self.jobs.accepted()
        return job

    async def cancel_job(self, job: str) -> Job:
        """Ends a job: what it did stays, what it did not come to is left alone. Raises Refused (`job-not-found`,
        `already-finished`)."""
        services = self._services

        def unit(tx: Transaction) -> Job:
            has_ended = not end_job(tx, job, "cancelled", services.clock.now_ms())
            found = get_job(tx, job)
            if found is None:
                raise no_job(job)
            if has_ended:
                raise Refused("already-finished", f"job {job} is {found.status} already")
            return found

        return await services.store.write(unit)


def new_job(job: str, action: Action, wanted: Wanted, orders: int, reason: str | None, by: str, now: int) -> Job:
    """A job as it is accepted; one without orders is done."""
    return Job(
        id=job,
        action=action.value,
        wanted={name: value for name, value in asdict(wanted).items() if value is not None},
        reason=reason,
        asked_by=by,
        status="running" if orders else "done",
        orders=orders,
        done=0,
        refused=0,
        refusals={},
        started_at=now,
        ended_at=None if orders else now,
    )


def refuse_unreasoned(action: Action, reason: str | None) -> None:
    """Raises Refused `reason-required` for a skip without one."""
    if action is Action.SKIP and not (reason or "").strip():
        raise Refused("reason-required", "skip needs a reason: say how the steps were done by hand")
