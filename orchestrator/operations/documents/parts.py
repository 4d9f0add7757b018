"""What several documents are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic.json_schema import WithJsonSchema
from typing_extensions import TypedDict

from storage.records import Situation, WaitReason

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


SituationName = Annotated[str, WithJsonSchema({"type": "string", "enum": [s.value for s in Situation]})]


class RecordedProblem(TypedDict):
    """Why an order or a target stands still; `detail` carries the platform's own message."""

    type: str
    title: str
    detail: str
    step: str | None
    since: Instant


class Wait(TypedDict):
    """What an order waits for."""

    reason: WaitReason
    until: Instant | None
    detail: str
