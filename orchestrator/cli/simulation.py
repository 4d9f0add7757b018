"""The `sandbox` command: simulated platforms until a signal ends them."""

from __future__ import annotations

import signal
import sys

import anyio

from orchestrator.sandbox.server import SandboxSettings, serve


def run_sandbox(settings: SandboxSettings) -> None:
    """Serves until SIGTERM or SIGINT. Raises ValueError for bad settings, OSError if the port is taken."""
    anyio.run(_serve, settings)


async def _serve(settings: SandboxSettings) -> None:
    failures: list[ValueError | OSError] = []

    async def serve_or_fail() -> None:
        try:
            await serve(settings, _announce)
        except (ValueError, OSError) as error:
            failures.append(error)
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


def _announce(config: str) -> None:
    sys.stdout.write(config + "\n")
    sys.stdout.flush()
