"""State machines as the API and the command show them: as data and as text, with the package that brings a platform."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from orchestrator.operations.documents import Machine, MachineList
from orchestrator.registry import PLATFORMS
from statemachines.machine import PlatformMachine


def machine_view(machine: PlatformMachine) -> Machine:
    """A machine as JSON; `package` is the package and version that brings the platform, absent where we do."""
    package = PLATFORMS.origin(machine.platform)
    view = cast("Machine", machine.describe())  # its own member is optional
    if package is not None:
        view["package"] = package
    return view


def machine_texts(machines: Iterable[PlatformMachine]) -> str:
    """Machines below each other, and below them why platforms that packages bring are missing."""
    troubles = [f"{trouble}\n" for trouble in PLATFORMS.troubles.values()]
    return "\n".join([*map(machine_text, machines), *troubles])


def machine_list(machines: Iterable[PlatformMachine]) -> MachineList:
    """Machines as data, and why platforms that packages bring are missing, where there are some."""
    listed: MachineList = {"machines": [machine_view(machine) for machine in machines]}
    return {**listed, "unusable": dict(PLATFORMS.troubles)} if PLATFORMS.troubles else listed


def machine_text(machine: PlatformMachine) -> str:
    """A machine for a terminal of 80 columns. Ends with a newline."""
    from orchestrator.diagrams.drawing import text

    package = PLATFORMS.origin(machine.platform)
    return text(machine) if package is None else f"{text(machine)}\n{machine.platform} is of the package {package}\n"
