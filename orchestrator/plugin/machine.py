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
from statemachines.tracking import SET_TRACKING, TRACKING_FIELDS, TrackingMachine, missing_trackings

__all__ = [
    "SET_TRACKING",
    "TRACKING_FIELDS",
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
    "TrackingMachine",
    "Whole",
    "decimal_of",
    "missing_trackings",
    "plain",
    "read_items",
    "written",
]
