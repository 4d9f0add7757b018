"""The command that shows state machines."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from orchestrator.cli.commands.options import client_of


class Format(StrEnum):
    """How a machine is drawn."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


def machines(
    context: typer.Context,
    platform: Annotated[
        str | None, typer.Argument(metavar="PLATFORM", help="One platform's; all when left out.", show_default=False)
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to draw them.")] = Format.TEXT,
) -> None:
    """Show the platforms' state machines."""
    sys.stdout.write(_shown(context, platform, form).rstrip("\n") + "\n")


def _shown(context: typer.Context, platform: str | None, form: Format) -> str:
    """By the daemon; where nobody named one and none runs, this program's own machines, which are the same."""
    from orchestrator.cli.client import segment
    from orchestrator.cli.failures import ExitCode, Failure

    client = client_of(context)
    path = "/v1/machines" if platform is None else f"/v1/machines/{segment(platform)}"
    try:
        return client.get(path, {"format": form}).text()
    except Failure as failure:
        if client.address.is_named or failure.code is not ExitCode.UNREACHABLE:
            raise
    return _all_own(form) if platform is None else _own(platform, form)


def _all_own(form: Format) -> str:
    from orchestrator.diagrams import drawing as diagrams
    from orchestrator.operations.machines import machine_list, machine_texts
    from orchestrator.registry import PLATFORMS

    machines = [PLATFORMS[name].machine({}) for name in sorted(PLATFORMS)]
    match form:
        case Format.TEXT:
            return machine_texts(machines)
        case Format.MERMAID:
            return "\n".join(map(diagrams.mermaid, machines))
        case Format.SVG:
            return diagrams.svg_sheet(machines)
        case Format.JSON:
            return _compact(machine_list(machines))


def _own(platform: str, form: Format) -> str:
    from orchestrator.cli.failures import ExitCode, Failure
    from orchestrator.diagrams import drawing as diagrams
    from orchestrator.operations.machines import machine_text, machine_view
    from orchestrator.registry import PLATFORMS
    from statemachines.suggestion import hint

    if platform not in PLATFORMS and platform in PLATFORMS.troubles:
        raise Failure(PLATFORMS.troubles[platform], ExitCode.NOT_FOUND)
    if platform not in PLATFORMS:
        sentence = f"no platform is named {platform}{hint(platform, PLATFORMS)}"
        raise Failure(sentence, ExitCode.NOT_FOUND, remedy=f"there are {', '.join(sorted(PLATFORMS))}")
    machine = PLATFORMS[platform].machine({})
    match form:
        case Format.TEXT:
            return machine_text(machine)
        case Format.MERMAID:
            return diagrams.mermaid(machine)
        case Format.SVG:
            return diagrams.svg(machine)
        case Format.JSON:
            return _compact(machine_view(machine))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
