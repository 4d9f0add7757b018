"""Notices that a store took another one's place: a backup that was put back, a file that was copied or moved.

Such a store knows nothing of what happened since it was copied. Targets that were cancelled since are pending in it,
steps that were done are still to do, and its feed will give cursors a second time that readers have for other events.
So its shops wait until a person resumes them, its feed gets an id of its own, no order is moved before it was read, and
platforms' clients learn from `restored_at` that calls of ours may have gone out of which nothing is known here. All of
it is one commit before any shop is worked for: a daemon that dies in between finds everything as it was.

`backup` marks its copies. Any other copy is known by where it is: the path of its file, and the machine, where that has
an id that outlives a restart (/etc/machine-id; containers have none, and their host name changes with each of them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from orchestrator.clock import Chance, Clock, rfc3339
from storage.engines import Engine
from storage.events import append_event
from storage.identity import Identity, mark_restored, read_identity, settle_identity
from storage.jobs import end_all_jobs
from storage.movable import refuse_half
from storage.orders import forget_observations
from storage.shops import list_shops, pause_for_restore, resume_shop
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

MACHINE_ID = Path("/etc/machine-id")
REMEDY = (
    "compare with the platforms, cancel what must not be done again, then `fulfilld resume SHOP` for each, or start "
    "once with `fulfilld run --drive-restored`"
)


@dataclass(frozen=True, slots=True)
class Here:
    """Where this daemon works: the machine's id, None where it has none, and the store's place."""

    host: str | None
    place: str

    @staticmethod
    def of(store: Engine, machine_id: Path = MACHINE_ID) -> Here:
        """The place of a store. The machine's id, which is never kept itself, only a digest of it, says nothing of one
        that lies elsewhere."""
        host = None
        with suppress(OSError):
            if store.is_local and (text := machine_id.read_bytes().strip()):
                host = hashlib.blake2b(text, digest_size=8, person=b"fulfilld.host").hexdigest()
        return Here(host, store.place)


async def settle(
    store: Store, here: Here, shops: Mapping[str, str], clock: Clock, chance: Chance, *, is_driven: bool
) -> None:
    """Makes the store this daemon's own; `shops` are the configured ones with their platforms.

    Raises NotMoved for a store that a move was not finished in. With `is_driven` a store that took another one's place
    is worked on at once, and what waits for that goes on.
    """

    def unit(tx: Transaction) -> tuple[str | None, list[str]]:
        found = read_identity(tx)
        refuse_half(found)
        why, now = _why_another(found, here), clock.now_ms()
        settle_identity(tx, chance.feed_id() if why is not None else found.feed, here.host or found.host, here.place)
        if why is not None:
            mark_restored(tx, now)
            forget_observations(tx)
        if is_driven:
            return why, _resumed(tx, now)
        if why is not None:
            end_all_jobs(tx, "cancelled", now)  # what was asked of the other store, which may be through with it
        return why, [] if why is None else _paused(tx, shops, why, now)

    why, names = await store.write(unit)
    if is_driven and (why is not None or names):
        log.warning("store.driven", detail=why or "it waited for a person", resumed=names, remedy="none is needed")
    elif why is not None:
        log.error("store.restored", detail=f"{why}; all shops are paused", shops=names, remedy=REMEDY)


def _why_another(found: Identity, here: Here) -> str | None:
    """Why this is not the store that a daemon worked on last; None when it is, or is new."""
    if found.copied_at is not None:
        made_by = "`fulfilld backup` made, or that `fulfilld migrate-store` left behind,"
        return f"this store is a copy that {made_by} at {rfc3339(found.copied_at)}; no daemon may work on the other one"
    if found.place is not None and found.place != here.place:
        return f"this store was copied or moved here: it was at {found.place}"
    if found.host is not None and here.host is not None and found.host != here.host:
        return "this store was copied or moved here from another machine"
    return None


def _paused(tx: Transaction, shops: Mapping[str, str], why: str, now: int) -> list[str]:
    every = {shop.name: shop.platform for shop in list_shops(tx)} | dict(shops)
    paused = [name for name, platform in sorted(every.items()) if pause_for_restore(tx, name, platform, why, now)]
    for name in paused:
        append_event(tx, now, "shop.paused", shop=name, data={"by": "restore", "reason": why})
    return paused


def _resumed(tx: Transaction, now: int) -> list[str]:
    waiting = [shop.name for shop in list_shops(tx) if shop.paused_by == "restore"]
    for name in waiting:
        resume_shop(tx, name)
        append_event(tx, now, "shop.resumed", shop=name, data={"by": "run --drive-restored"})
    return waiting
