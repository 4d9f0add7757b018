"""Targets and their plans."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic.json_schema import WithJsonSchema
from typing_extensions import TypedDict

from orchestrator.operations.documents.parts import Instant, RecordedProblem
from storage.records import TargetStatus

StatusName = Annotated[str, WithJsonSchema({"type": "string", "enum": [s.value for s in TargetStatus]})]


_From = TypedDict("_From", {"from": str})  # no name that a class could have


class PlanEntry(_From):
    """One step of a plan."""

    step: str
    to: str
    status: Literal["done", "now", "next"]


class Preview(TypedDict):
    """What a dry run answers."""

    state: str
    milestone: str | None
    plan: list[PlanEntry]
    unused: list[str]


class Target(Preview):
    """One submitted target."""

    id: str
    shop: str
    order: str
    status: StatusName
    submitted_at: Instant
    finished_at: Instant | None
    problem: RecordedProblem | None
