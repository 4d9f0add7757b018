"""Commands that run for a while: the daemon, the sandbox, the demo."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.commands.options import own_place, place_of


class CountedAs(StrEnum):
    """How the sandbox counts calls."""

    RAISED = "raised"
    REAL = "real"


def run(
    context: typer.Context,
    standby: Annotated[
        bool, typer.Option("--standby", help="Wait while another daemon has the store, then take over.")
    ] = False,
    drive_restored: Annotated[
        bool,
        typer.Option("--drive-restored", help="Work at once on a store that is a copy, or was moved."),
    ] = False,
) -> None:
    """Run the daemon in the foreground; logs go to stderr."""
    path = _config_path(context)
    from orchestrator.daemon.start import Manner
    from orchestrator.daemon.start import run as run_daemon

    raise typer.Exit(run_daemon(path, Manner(standby, drive_restored)))


def _config_path(context: typer.Context) -> Path:
    """The config file of a daemon. Raises Failure (2) where there is none, and where --socket names another socket than
    the config does: the daemon would not be found there."""
    from orchestrator.cli.failures import ExitCode, Failure
    from orchestrator.cli.place import config_failure
    from orchestrator.config import ConfigError, socket_of

    place = place_of(context)
    if place.socket is None:
        return own_place(context).config_path()
    path = place.config_path()
    try:
        listens_at = socket_of(path, place.environ)
    except ConfigError as error:
        raise config_failure(path, error) from None
    if os.path.realpath(place.socket) != os.path.realpath(listens_at):
        raise Failure(
            f"--socket is {place.socket}, and the daemon would listen on {listens_at}, which is api.socket in {path}",
            ExitCode.USAGE,
            remedy="leave it out, or change api.socket",
        )
    return path


def sandbox(
    context: typer.Context,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="P", help="Port on loopback; 0: any.")] = 0,
    orders: Annotated[int, typer.Option("--orders", min=0, metavar="N", help="Orders of each shop.")] = 20,
    latency: Annotated[float, typer.Option("--latency", min=0, metavar="MS", help="Before each answer, in ms.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME=RATE", help="Calls that go wrong, from 0 to 1; repeatable."),
    ] = None,
    limits: Annotated[
        CountedAs, typer.Option("--limits", help="raised: none matters; real: as the platforms document them.")
    ] = CountedAs.RAISED,
) -> None:
    """Run simulated platforms. The first line on stdout is a ready config with a shop for each."""
    from orchestrator.cli.complaints import complain
    from orchestrator.cli.failures import Failure
    from orchestrator.cli.simulation import PortRefused, run_sandbox
    from orchestrator.sandbox.server import SandboxSettings, unusable

    own_place(context, reads_config=False)
    settings = SandboxSettings(
        port=port,
        orders=orders,
        latency_ms=latency,
        faults=_rates(fault or []),
        has_real_limits=limits is CountedAs.REAL,
    )
    for trouble in unusable():
        complain(f"warning: {trouble}")
    try:
        run_sandbox(settings)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except PortRefused as error:
        raise Failure(f"port {port} cannot be used: {error}", remedy="name another --port") from None


def demo(
    context: typer.Context,
    orders: Annotated[int, typer.Option("--orders", min=8, max=2000, metavar="N", help="Orders of each shop.")] = 25,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the files; on a terminal also the daemon, until Ctrl-C.")
    ] = False,
) -> None:
    """Run sandbox and daemon together, to the end. Takes less than a minute."""
    from orchestrator.cli.demo.show import run_demo

    own_place(context, reads_config=False)
    code = run_demo(orders, is_kept=keep)
    sys.stdout.flush()
    raise typer.Exit(code)


def _rates(faults: list[str]) -> dict[str, float]:
    rates = {}
    for text in faults:
        name, separator, rate = text.partition("=")
        try:
            rates[name] = float(rate)
        except ValueError:
            separator = ""
        if not name or not separator:
            raise typer.BadParameter(f"--fault {text} is not NAME=RATE, such as drop_after=0.1")
    return rates
