"""From a config file to a daemon at work: the store's lock, standby, a server that is away, and the exit code."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import structlog

from orchestrator.api.server import ServeError
from orchestrator.checkpoints import CheckpointError, Checkpoints
from orchestrator.clock import Clock
from orchestrator.config import Config, ConfigError, load
from orchestrator.daemon.composition import Daemon, node_name, warn_of
from orchestrator.intake.listener import ListenError
from orchestrator.metrics import Metrics
from orchestrator.output import Output
from orchestrator.process.opening import Opening
from orchestrator.process.signals import EXIT_AT_ONCE, Signals
from storage.engines import Exclusion
from storage.errors import (
    StoreError,
    StoreLocked,
    StoreLockUnusable,
    StoreLost,
    StoreUnavailable,
    StoreUnreachable,
)
from storage.store import Commits

log = structlog.get_logger()

EXIT_OK, EXIT_USAGE = 0, 2
_REACH_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How the daemon is started. `standby`: wait while another one works on the store. `drives_restored`: work at once
    on a store that took another one's place. `node`: its name, None: a new one."""

    standby: bool = False
    drives_restored: bool = False
    node: str | None = None


def run(config_path: Path, manner: Manner = Manner()) -> int:
    """Runs the daemon in the foreground; returns the exit code. Every error of a user is one line on stderr."""
    output = Output()
    try:
        config = load(config_path)
        checkpoints = Checkpoints.from_environment(os.environ)
    except ConfigError as error:
        return output.fail(
            f"{config_path} {error.heading}\n" + "\n".join(f"  {each}" for each in error.errors), EXIT_USAGE
        )
    except CheckpointError as error:
        return output.fail(str(error), EXIT_USAGE)
    output.follow(config)
    warn_of(config)
    try:
        return anyio.run(_main, config, checkpoints, output, manner, backend_options={"use_uvloop": _has_uvloop()})
    except KeyboardInterrupt:
        return EXIT_AT_ONCE
    finally:
        output.close()


async def _main(config: Config, checkpoints: Checkpoints, output: Output, manner: Manner) -> int:
    signals = Signals()
    async with anyio.create_task_group() as group:
        await group.start(signals.listen)
        opening = Opening(config.storage.engine.url)
        group.start_soon(opening.run)
        code = await _hold(config, signals, checkpoints, output, manner, opening)
        group.cancel_scope.cancel()
    return code


async def _hold(
    config: Config, signals: Signals, checkpoints: Checkpoints, output: Output, manner: Manner, opening: Opening
) -> int:
    """Works on the store until a signal ends it; returns the exit code. A server that goes away while the daemon starts
    is waited for, as one that is away already; it is the same node afterwards."""
    manner = replace(manner, node=node_name(is_alone=config.storage.engine.is_local))
    while (code := await _work(config, signals, checkpoints, output, manner, opening)) is None:
        with anyio.move_on_after(_REACH_AGAIN_SECONDS):
            await signals.stopped()
            return EXIT_OK
    return code


async def _work(
    config: Config, signals: Signals, checkpoints: Checkpoints, output: Output, manner: Manner, opening: Opening
) -> int | None:
    """Takes the store's lock, works, gives it back; returns the exit code, None where it is worth to begin again."""
    engine = config.storage.engine
    lock = engine.exclusive(Clock().now_ms)
    try:
        if not await _acquire(lock, manner, signals):
            return EXIT_OK
    except (StoreLocked, StoreLockUnusable) as error:
        return output.fail(str(error), EXIT_USAGE)
    daemon: Daemon | None = None
    try:
        commits, metrics = Commits(), Metrics()
        opening.begin()
        async with engine.open(Clock().now_ms(), on_commit=commits, on_group=metrics.committed) as store:
            opening.end()
            _make_state_directory(config)
            parts = (config, store, commits, metrics, signals, checkpoints, output)
            daemon = Daemon(*parts, node=manner.node, drives_restored=manner.drives_restored)
            await daemon.run()
    except (StoreError, ServeError, ListenError) as error:
        failure: BaseException = error
    except BaseExceptionGroup as group:
        known = _first_known(group)
        if known is None:
            raise
        failure = known
    else:
        log.info("daemon.stopped")
        return EXIT_OK
    finally:
        opening.end()
        lock.release()
    may_come_back = isinstance(failure, StoreUnavailable) and not isinstance(failure, StoreLost)
    if may_come_back and not engine.is_local and (daemon is None or not daemon.is_ready):
        log.error("store.unreachable", detail=str(failure))
        return None
    return output.fail(str(failure), EXIT_USAGE)


def _make_state_directory(config: Config) -> None:
    """Makes the folder for what this machine keeps beside a store that lies elsewhere, and says where it is."""
    engine, directory = config.storage.engine, config.state_directory
    if engine.is_local:  # it is the store's own
        return
    with suppress(OSError):  # whoever wants to keep a file there says better what is wrong
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    has_key = config.storage.sealed_rows is not None
    log.info("state.directory", path=str(directory), keeps="calls" if has_key else "calls, access tokens")


async def _acquire(lock: Exclusion, manner: Manner, signals: Signals) -> bool:
    """Takes the lock; False when a signal ended the wait for it. A server that is away comes back, as after a start of
    the machine. Raises StoreLocked, StoreLockUnusable."""
    if manner.standby:
        log.info("daemon.standby", detail="another process works on the store; waiting to take over")
        return await _unless_stopped(lock.wait_acquire, signals)
    # A server may let us wait: the event loop hears signals meanwhile.
    acquire = partial(anyio.to_thread.run_sync, lock.acquire, abandon_on_cancel=True)
    while True:
        try:
            return await _unless_stopped(acquire, signals)
        except StoreUnreachable as error:
            log.error("store.unreachable", detail=str(error))
        with anyio.move_on_after(_REACH_AGAIN_SECONDS):
            await signals.stopped()
            return False


async def _unless_stopped(act: Callable[[], Awaitable[None]], signals: Signals) -> bool:
    """Does something; False when a signal ended it before. Raises the StoreError that it raises."""
    is_done, failure = False, None
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            await signals.stopped()
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            await act()
            is_done = True
        except StoreError as error:  # by itself, not in a group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return is_done


def _first_known(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """A user's error that came out of a task group."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            if (inner := _first_known(error)) is not None:
                return inner
        elif isinstance(error, (StoreError, ServeError, ListenError)):
            return error
    return None


def _has_uvloop() -> bool:
    from importlib.util import find_spec

    return find_spec("uvloop") is not None
