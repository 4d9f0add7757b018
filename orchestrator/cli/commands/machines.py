"""The command that shows state machines."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from orchestrator.cli.commands.options import client_of

if TYPE_CHECKING:
    from orchestrator.cli.client import Client
    from statemachines.machine import PlatformMachine


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

    source = _source(context)
    if platform is None and form is Format.JSON:
        sys.stdout.write(source.all_as_json().rstrip("\n") + "\n")
        return
    names = [platform] if platform is not None else source.platforms()
    if len(names) > 1 and form is not Format.TEXT:
        raise Failure(
            f"{form} draws one machine at a time", ExitCode.USAGE, remedy=f"name a platform: {', '.join(names)}"
        )
    drawings = [source.drawing(name, form).rstrip("\n") for name in names]
    sys.stdout.write("\n\n".join(drawings) + "\n")


class _Source(Protocol):
    def platforms(self) -> list[str]: ...

    def all_as_json(self) -> str: ...

    def drawing(self, platform: str, form: Format) -> str: ...


def _source(context: typer.Context) -> _Source:
    """The daemon; where nobody named one and none runs, this program's own machines, which are the same."""
    from orchestrator.cli.failures import ExitCode, Failure

    client = client_of(context)
    try:
        return _OfDaemon(client)
    except Failure as failure:
        if client.address.is_named or failure.code is not ExitCode.UNREACHABLE:
            raise
        return _Own()


class _OfDaemon:
    """The machines that a daemon has."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._all = client.get("/v1/machines")

    def platforms(self) -> list[str]:
        return [machine["platform"] for machine in self._all.json()["machines"]]

    def all_as_json(self) -> str:
        return self._all.text()

    def drawing(self, platform: str, form: Format) -> str:
        from orchestrator.cli.client import segment

        return self._client.get(f"/v1/machines/{segment(platform)}", {"format": form}).text()


class _Own:
    """The machines of this program."""

    def platforms(self) -> list[str]:
        from statemachines import BUILDERS

        return sorted(BUILDERS)

    def all_as_json(self) -> str:
        return _compact({"machines": [self._machine(name).describe() for name in self.platforms()]})

    def drawing(self, platform: str, form: Format) -> str:
        from orchestrator import diagrams

        machine = self._machine(platform)
        match form:
            case Format.TEXT:
                return diagrams.text(machine)
            case Format.MERMAID:
                return diagrams.mermaid(machine)
            case Format.SVG:
                return diagrams.svg(machine)
            case Format.JSON:
                return _compact(machine.describe())

    def _machine(self, platform: str) -> PlatformMachine:
        from orchestrator.cli.failures import ExitCode, Failure
        from statemachines import BUILDERS

        if platform not in BUILDERS:
            known = ", ".join(self.platforms())
            raise Failure(f"no platform is named {platform}", ExitCode.NOT_FOUND, remedy=f"there are {known}")
        return BUILDERS[platform]({})


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
