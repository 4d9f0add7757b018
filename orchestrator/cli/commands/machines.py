"""The command that shows state machines."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.commands.options import client_of, print_json

if TYPE_CHECKING:
    from orchestrator.cli.client import Client


class Format(StrEnum):
    """How a machine is drawn."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


def machines(
    context: typer.Context,
    platform: Annotated[
        str | None, typer.Argument(metavar="[PLATFORM]", help="One platform's; all when left out.", show_default=False)
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to draw them.")] = Format.TEXT,
) -> None:
    """Show the platforms' state machines."""
    from orchestrator.cli.failures import ExitCode, Failure

    client = client_of(context)
    if platform is None and form is Format.JSON:
        print_json(client.get("/v1/machines"))
        return
    names = [platform] if platform is not None else _platforms(client.get("/v1/machines").json())
    if len(names) > 1 and form is not Format.TEXT:
        raise Failure(
            f"{form} draws one machine at a time", ExitCode.USAGE, remedy=f"name a platform: {', '.join(names)}"
        )
    drawings = [_drawing(client, name, form).rstrip("\n") for name in names]
    sys.stdout.write("\n\n".join(drawings) + "\n")


def _drawing(client: Client, platform: str, form: Format) -> str:
    from orchestrator.cli.client import segment

    return client.get(f"/v1/machines/{segment(platform)}", {"format": form}).text()


def _platforms(answer: Any) -> list[str]:
    """The platforms' names, whether the list comes as objects or by name."""
    found = answer.get("machines", answer) if isinstance(answer, dict) else answer
    return [machine["platform"] if isinstance(machine, dict) else str(machine) for machine in found]
