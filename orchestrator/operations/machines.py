"""State machines as the API and the command show them: as data and as text, with the package that brings a platform."""

from __future__ import annotations

from typing import cast

from orchestrator.operations.documents import Machine
from orchestrator.registry import PLATFORMS
from statemachines.machine import PlatformMachine


def machine_view(machine: PlatformMachine) -> Machine:
    """A machine as JSON; `package` is the package and version that brings the platform, absent where we do."""
    package = PLATFORMS.origin(machine.platform)
    view = cast("Machine", machine.describe())  # its own member is optional
    if package is not None:
        view["package"] = package
    return view


def machine_text(machine: PlatformMachine) -> str:
    """A machine for a terminal of 80 columns. Ends with a newline."""
    from orchestrator.diagrams.drawing import text

    package = PLATFORMS.origin(machine.platform)
    return text(machine) if package is None else f"{text(machine)}\n{machine.platform} is of the package {package}\n"
