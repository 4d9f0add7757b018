"""A state machine as plain data: what `PlatformMachine.describe` gives (docs/api.md)."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class MachineState(TypedDict):
    """A state of a machine."""

    name: str
    milestone: str | None
    settable: bool
    record_only: bool
    end: bool


_From = TypedDict("_From", {"from": list[str]})  # no name that a class could have


class MachineStep(_From):
    """A step of a machine; `to` null leaves the state. One by the platform is seen and waited for, never made."""

    step: str
    to: str | None
    uses: list[str]
    by: Literal["daemon", "platform"]


ParcelUse = Literal["parts", "recorded"]
"""What becomes of one parcel: a call of its own, or a record until the whole order is sent."""


class MachineParcels(TypedDict):
    """What becomes of a parcel of a target `shipped` and of one `delivered`; null where there is no such state."""

    shipped: ParcelUse | None
    delivered: ParcelUse | None


class MachineDescription(TypedDict):
    """A machine. `milestones`: the state of each; `mainline`: states in the order in which most orders pass them."""

    platform: str
    initial: str
    states: list[MachineState]
    steps: list[MachineStep]
    milestones: dict[str, str]
    mainline: list[str]
    parcels: MachineParcels
