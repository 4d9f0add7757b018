"""Moves a store from one engine to another: both are ours alone meanwhile.

Whatever can be refused is, before anything is opened or made: first by a look at both stores, then with the old one
open and ours. The new one is made last.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from orchestrator import __version__
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.clock import Clock
from storage.engines import Engine, engine_of, located
from storage.errors import StoreError, StoreLocked
from storage.movable import NotMoved, look_at_source, look_at_target
from storage.moving import Guard, Moved, Outcome, move, unguarded
from storage.nodes import Presence, StoreInUse, join, leave
from storage.store import Store, no_listener

T = TypeVar("T")

_TERM_MS: Final = 5000
"""How long a command that was killed keeps daemons off the store."""
_AGAIN_SECONDS: Final = 0.5


def stores_of(source: str, target: str) -> tuple[Engine, Engine]:
    """The stores that two URLs name. Raises Failure (2)."""
    found = []
    for name, url in (("FROM_URL", source), ("TO_URL", target)):
        try:
            found.append(engine_of(located(url, Path.cwd())))
        except ValueError as error:
            raise Failure(f"{name} {error}", ExitCode.USAGE) from None
    return found[0], found[1]


async def move_store(source: Engine, target: Engine, carry: Callable[[bool], object] = lambda _is_new: None) -> Outcome:
    """Moves everything; writes a line for each table to stderr. `carry` moves what is beside the stores, in a thread
    and while no daemon may work on either; it gets whether the new store is not in use yet. A refusal leaves nothing
    behind. Raises StoreError, and what `carry` raises of that or Failure."""
    has_arrived = _looked(source, target)
    clock = Clock()

    async def to_target(old: Store, guard_old: Guard) -> Outcome:
        async def through(new: Store, guard_new: Guard) -> Outcome:
            places, guards = (source.place, target.place), (guard_old, guard_new)
            on_arrival = partial(anyio.to_thread.run_sync, carry, True)
            outcome = await move(old, new, places, clock.now_ms(), _report, guards, on_arrival)
            if not outcome.moved:  # all of it was there
                await anyio.to_thread.run_sync(carry, False)
            return outcome

        try:
            return await _alone(target, clock, through)
        except (StoreInUse, StoreLocked) as error:
            if not has_arrived:
                raise
            raise NotMoved(
                f"all that is here was moved to {target.url} before, where a daemon works ({error}) - only access "
                "tokens that were left behind need another run"
            ) from None

    return await _alone(source, clock, to_target)


def _looked(source: Engine, target: Engine) -> bool:
    """Whether all has arrived before, as far as can be said before a store is opened. Raises StoreError."""
    if source.url == target.url or set(source.files) & set(target.files):
        raise NotMoved("both URLs name the same store")
    if not source.is_there():
        raise NotMoved(f"there is no store in {source.url}")
    found = source.glance(look_at_source)
    if failed := [check.detail for check in target.checks() if check.status == "failed"]:
        raise NotMoved("; ".join(failed))
    if found is None or not target.is_there():
        return False
    return target.glance(partial(look_at_target, source=found))


async def _alone(store: Engine, clock: Clock, work: Callable[[Store, Guard], Awaitable[T]]) -> T:
    """What some work comes to for which a store is open, and ours alone. Raises StoreError, and Failure of the work."""
    with _locked(store, clock):
        async with store.open(clock.now_ms(), on_commit=no_listener, on_group=no_listener) as opened:
            try:
                async with alone_on(opened) as guard:
                    return await work(opened, guard)
            except (StoreError, Failure) as error:  # raised here it would come out of the store's task group
                failure: Exception = error
        raise failure


def _report(table: Moved) -> None:
    sys.stderr.write(f"{table.table}: {table.rows:,} rows\n")


@contextmanager
def _locked(store: Engine, clock: Clock) -> Iterator[None]:
    lock = store.exclusive(clock.now_ms)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def alone_on(store: Store) -> AsyncIterator[Guard]:
    """Keeps daemons off a store that several processes can have open, for as long as the block lasts, and yields what
    makes sure of it. Raises StoreInUse."""
    if store.is_exclusive:
        yield unguarded
        return
    name = f"migrate-store {socket.gethostname()}:{os.getpid()}"
    guard = partial(join, name=name, presence=Presence(__version__), term_ms=_TERM_MS, is_mover=True)
    await _begin(store, guard)

    async def go_on() -> None:
        while True:
            await anyio.sleep(_TERM_MS / 3000)
            with suppress(StoreError):  # the guards find out in the end
                await store.write(guard)

    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(go_on)
            try:
                yield guard
            except Exception as error:  # noqa: BLE001 - raised below, for here the group would wrap it
                failure = error
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True), suppress(StoreError):
            await store.write(lambda tx: leave(tx, name))
    if failure is not None:
        raise failure


async def _begin(store: Store, guard: Guard) -> None:
    """Waits for the end of a command that was killed; it counts for a while. Raises StoreInUse."""
    give_up_at = anyio.current_time() + _TERM_MS / 1000 + 1
    while True:
        try:
            return await store.write(guard)
        except StoreInUse as in_use:
            if not in_use.is_by_movers or anyio.current_time() > give_up_at:
                raise
            await anyio.sleep(_AGAIN_SECONDS)
