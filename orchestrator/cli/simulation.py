"""The `sandbox` command: simulated platforms until a signal ends them."""

from __future__ import annotations

import signal
import sys

import anyio

from orchestrator.cli.complaints import complain
from orchestrator.sandbox.server import SandboxSettings, serve


class PortRefused(Exception):
    """Nobody can be served at the port; the message says why."""


def run_sandbox(settings: SandboxSettings) -> None:
    """Serves until SIGTERM or SIGINT. Raises ValueError for bad settings, PortRefused if the port is taken, OSError
    when the first line cannot be written."""
    anyio.run(_serve, settings)


async def _serve(settings: SandboxSettings) -> None:
    failures: list[Exception] = []
    is_served = False

    def announce(config: str) -> None:
        nonlocal is_served
        is_served = True
        sys.stdout.write(config + "\n")
        sys.stdout.flush()
        if sys.stderr.isatty():
            complain(
                "put this line into config.json; `fulfilld run` drives its orders, `fulfilld dashboard` shows them"
            )

    async def serve_or_fail() -> None:
        try:
            await serve(settings, announce)
        except ValueError as error:
            failures.append(error)
        except OSError as error:
            failures.append(error if is_served else PortRefused(error.strerror or str(error)))
        group.cancel_scope.cancel()

    # Signals first: one that comes right after the first line must already end this in good order.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(serve_or_fail)
            async for _ in signals:
                group.cancel_scope.cancel()
                break
    if failures:
        raise failures[0]
