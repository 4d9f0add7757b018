"""What is done in bulk, as the outside sees it."""

from __future__ import annotations

from typing import Literal, cast

from orchestrator.clock import optional_rfc3339, rfc3339
from orchestrator.operations import documents
from storage.jobs import Job


def job_view(job: Job) -> documents.Job:
    """A job as the outside sees it."""
    refusals = sorted(job.refusals.items(), key=lambda each: -each[1]["count"])
    wanted = {name: rfc3339(value) if name.startswith("updated_") else value for name, value in job.wanted.items()}
    return {
        "id": job.id,
        "action": cast("Literal['retry', 'skip', 'hold', 'release', 'cancel']", job.action),
        "filter": wanted,
        "status": job.status,
        "count": job.orders,
        "done": job.done,
        "refused": job.refused,
        "refusals": [
            {
                "type": type_,
                "count": each["count"],
                "detail": each["detail"],
                "shop": each["shop"],
                "order": each.get("order"),
            }
            for type_, each in refusals
        ],
        "reason": job.reason,
        "by": job.asked_by,
        "started_at": rfc3339(job.started_at),
        "ended_at": optional_rfc3339(job.ended_at),
    }
