"""What can be moved where (`storage.moving`): looked at before a store is opened or made. A refusal leaves nothing."""

from __future__ import annotations

from typing import Final

from storage.errors import StoreError
from storage.identity import Identity, read_identity
from storage.migrations import newest_schema, refuse_newer
from storage.nodes import StoreInUse, live_nodes
from storage.transaction import Transaction

UNFINISHED: Final = "an unfinished move from feed "
"""How the place of a store begins that a move did not come to its end in; behind it is the feed of the old one."""

_OF_A_DAEMON: Final = ("orders", "events", "shops", "targets")


class NotMoved(StoreError):
    """A store cannot be moved, or did not arrive as it was."""


def refuse_half(found: Identity) -> None:
    """Raises NotMoved for a store that a move did not come to its end in."""
    if (found.place or "").startswith(UNFINISHED):
        raise NotMoved("a move into this store was not finished; run `fulfilld migrate-store` again")


def look_at_source(tx: Transaction) -> Identity | None:
    """The identity of a store that is to be moved, before anything is opened or made; None: an older version wrote it,
    and it is migrated before more can be said. Raises NewerStore, StoreInUse, and NotMoved for half a store or one that
    a newer version has worked on."""
    if not _is_of_this_version(tx):
        return None
    _refuse_used(tx)
    found = read_identity(tx)
    refuse_half(found)
    return found


def look_at_target(tx: Transaction, source: Identity) -> bool:
    """Whether all has arrived there before, as far as can be said before it is opened. Raises NewerStore, StoreInUse,
    and NotMoved for a store that has something else."""
    if not _is_of_this_version(tx):
        return False
    has_arrived = awaited(tx, source) is None
    if not has_arrived:
        _refuse_used(tx)
    return has_arrived


def _is_of_this_version(tx: Transaction) -> bool:
    """Whether it need not be migrated. Raises NewerStore, NotMoved."""
    ((found,),) = tx.query("SELECT max(version) FROM schema_migrations")
    newest = newest_schema()
    if found is not None and found > newest:
        refuse_newer(tx)
        raise NotMoved(f"a newer fulfilld has worked on the store (schema version {found}); move it with that")
    return bool(found == newest)


def _refuse_used(tx: Transaction) -> None:
    """Raises StoreInUse where a daemon lives. A command that was killed counts for a moment: whoever opens the store
    waits for that."""
    if daemons := [node for node in live_nodes(tx) if not node.is_mover]:
        raise StoreInUse(daemons)


def awaited(tx: Transaction, source: Identity) -> Identity | None:
    """The identity of a store that is empty or half moved; None: all has arrived there before. Raises NotMoved for one
    that has something else."""
    found = read_identity(tx)
    if found.place == UNFINISHED + source.feed:
        return found
    if found.feed == source.feed:
        if source.copied_at is None:  # a move ends with a copy: a daemon may have worked on this one since
            raise NotMoved("the new store is an earlier copy of the old one, which goes on; name an empty one")
        return None
    if found.place is not None or any(tx.query(f"SELECT 1 FROM {name} LIMIT 1") for name in _OF_A_DAEMON):  # noqa: S608
        raise NotMoved("the new store is not empty; name one that no daemon has worked on")
    return found
