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


class MachineDescription(TypedDict):
    """A machine. `milestones`: the state of each; `mainline`: states in the order in which most orders pass them."""

    platform: str
    initial: str
    states: list[MachineState]
    steps: list[MachineStep]
    milestones: dict[str, str]
    mainline: list[str]
