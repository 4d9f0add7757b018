"""What the order machine of a platform is made of (`orchestrator.plugin`)."""

from __future__ import annotations

from statemachines.items import InvalidItems, read_items
from statemachines.machine import (
    DefinitionError,
    Milestone,
    OrderState,
    PlannedStep,
    PlatformMachine,
    PlatformWait,
    Refusal,
    State,
    Step,
)
from statemachines.narrowing import Whole
from statemachines.numbers import decimal_of, plain, written
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.parcels import Open
from statemachines.target import ErpLine, Json, TargetRequest, Tracking

__all__ = [
    "DefinitionError",
    "ErpLine",
    "InvalidItems",
    "Json",
    "Milestone",
    "Open",
    "OrderState",
    "PlannedStep",
    "PlatformMachine",
    "PlatformWait",
    "RecordedParcel",
    "Refusal",
    "State",
    "Step",
    "TargetParcel",
    "TargetRequest",
    "Tracking",
    "Whole",
    "decimal_of",
    "plain",
    "read_items",
    "written",
]
