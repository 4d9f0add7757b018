"""Moves a store from one engine to another: both are ours alone meanwhile."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from orchestrator import __version__
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.clock import Clock
from storage.engines import Engine, engine_of, located
from storage.errors import StoreError
from storage.identity import read_identity
from storage.moving import Guard, Moved, NotMoved, move, unguarded
from storage.nodes import Presence, StoreInUse, join, leave
from storage.store import Store, no_listener

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


async def move_store(
    source: Engine, target: Engine, carry: Callable[[bool], object] = lambda _is_new: None
) -> list[Moved]:
    """Moves everything; writes a line for each table to stderr. `carry` moves what is beside the stores, in a thread
    and while no daemon may work on either; it gets whether the new store is not in use yet. Raises StoreError, and what
    `carry` raises of that or Failure."""
    if source.url == target.url:
        raise NotMoved("both URLs name the same store")
    source.glance(read_identity)  # opening it would make one where there is none
    clock = Clock()
    with _locked(source, clock), _locked(target, clock):
        async with _opened(source, clock) as old, _opened(target, clock) as new:
            try:
                async with alone_on(old) as guard_old, alone_on(new) as guard_new:
                    places, guards = (source.place, target.place), (guard_old, guard_new)
                    on_arrival = partial(anyio.to_thread.run_sync, carry, True)
                    moved = await move(old, new, places, clock.now_ms(), _report, guards, on_arrival)
                    if not moved:  # all of it was there
                        await anyio.to_thread.run_sync(carry, False)
                    return moved
            except (StoreError, Failure) as error:  # raised here it would come out of the stores' task groups
                failure: Exception = error
    raise failure


def _opened(store: Engine, clock: Clock) -> AbstractAsyncContextManager[Store]:
    return store.open(clock.now_ms(), on_commit=no_listener, on_group=no_listener)


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
