"""Shop rows: pause, wait, sync position, credentials' fingerprint, identity. Leases have `storage.leases`."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from storage.records import Circuit, Json, PausedBy, Shop, ShopWaitReason
from storage.rows import Columns
from storage.text import dump_json, load_json
from storage.transaction import Transaction

log = structlog.get_logger()


def _load_position(text: str) -> Json:
    """Where the last sync ended. One that cannot be read counts as unknown: the next sync begins anew and
    keeps its own."""
    try:
        return load_json(text)
    except (ValueError, TypeError) as error:
        log.error("sync_position.damaged", detail=str(error), remedy="none needed; check the disk")
        return None


_SHOP = Columns(
    Shop,
    named={
        "rejected": "(SELECT count(*) FROM rejected WHERE rejected.shop = shops.name)",
        # columns that were made before the admission and the sync had their names
        "wait_reason": "gate_reason",
        "wait_until": "gate_until",
        "wait_detail": "gate_detail",
        "synced_since": "swept_since",
    },
    readers={"sync_position": _load_position},
)


def get_shop(tx: Transaction, name: str) -> Shop | None:
    """One shop's row."""
    rows = tx.query(f"SELECT {_SHOP.sql} FROM shops WHERE name = ?", (name,))  # noqa: S608
    return _SHOP.read(rows[0]) if rows else None


def list_shops(tx: Transaction) -> list[Shop]:
    """Every shop that the store has ever had, by name."""
    return [_SHOP.read(row) for row in tx.query(f"SELECT {_SHOP.sql} FROM shops ORDER BY name")]  # noqa: S608


def pause_shop(tx: Transaction, name: str, by: PausedBy, reason: str, now_ms: int) -> bool:
    """Pauses a shop; False when it is paused already (a person's pause replaces one that access_denied caused)."""
    changed = tx.execute(
        "UPDATE shops SET paused_at = ?, paused_by = ?, paused_reason = ?"
        " WHERE name = ? AND (paused_at IS NULL OR (paused_by <> 'person' AND ? = 'person'))",
        (now_ms, by, reason, name, by),
    )
    return changed > 0


def pause_for_restore(tx: Transaction, name: str, platform: str, reason: str, now_ms: int) -> bool:
    """Pauses a shop of a store that took another one's place, also one that was never worked for.

    False when a person had paused it: that one stands. A pause that access_denied caused would end with new
    credentials, so it gives way.
    """
    tx.execute("INSERT INTO shops (name, platform) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, platform))
    changed = tx.execute(
        "UPDATE shops SET paused_at = ?, paused_by = 'restore', paused_reason = ?"
        " WHERE name = ? AND (paused_at IS NULL OR paused_by <> 'person')",
        (now_ms, reason, name),
    )
    return changed > 0


def resume_shop(tx: Transaction, name: str) -> bool:
    """Ends a pause; False when there was none."""
    changed = tx.execute(
        "UPDATE shops SET paused_at = NULL, paused_by = NULL, paused_reason = NULL"
        " WHERE name = ? AND paused_at IS NOT NULL",
        (name,),
    )
    return changed > 0


def save_admission(
    tx: Transaction, name: str, circuit: Circuit, reason: ShopWaitReason | None, until: int | None, detail: str | None
) -> None:
    """Keeps the shop-wide wait and the circuit, so that everybody can see them and a restart respects them."""
    tx.execute(
        "UPDATE shops SET circuit = ?, gate_reason = ?, gate_until = ?, gate_detail = ? WHERE name = ?",
        (circuit, reason, until, detail, name),
    )


def save_credentials(tx: Transaction, name: str, fingerprint: str) -> None:
    """Keeps the fingerprint of the credentials in use."""
    tx.execute("UPDATE shops SET credentials = ? WHERE name = ?", (fingerprint, name))


def keep_identity(tx: Transaction, name: str, identity: str) -> str | None:
    """Keeps which shop of its platform this is; returns the shop of the kept orders, if that is another.

    The other one stays for as long as there are orders of it, so the mistake is reported at every start.
    """
    was = identities(tx).get(name)
    if was is not None and was != identity:
        return was
    tx.execute("UPDATE shops SET identity = ? WHERE name = ?", (identity, name))
    return None


def accept_identity(tx: Transaction, name: str, identity: str) -> None:
    """A person says that the kept orders are of this shop of its platform."""
    tx.execute("UPDATE shops SET identity = ? WHERE name = ?", (identity, name))


def pause_for_another_account(tx: Transaction, name: str, reason: str, now_ms: int) -> bool:
    """Pauses a shop whose name has come to mean another account; False when it waits for a person already.

    A pause that access_denied caused would end with new credentials, so it gives way.
    """
    changed = tx.execute(
        "UPDATE shops SET paused_at = ?, paused_by = 'another_account', paused_reason = ?"
        " WHERE name = ? AND (paused_by IS NULL OR paused_by = 'access_denied')",
        (now_ms, reason, name),
    )
    return changed > 0


def identities(tx: Transaction) -> dict[str, str]:
    """Which shop of its platform the kept orders of each shop are of, as far as it is known."""
    rows = tx.query(
        "SELECT name, identity FROM shops WHERE identity IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM orders WHERE orders.shop = shops.name)"
    )
    return {row[0]: row[1] for row in rows}


def follow_shop(tx: Transaction, name: str, now_ms: int) -> None:
    """Keeps when the shop was first worked for."""
    tx.execute("UPDATE shops SET followed_since = ? WHERE name = ? AND followed_since IS NULL", (now_ms, name))


class Member(NamedTuple):
    """A shop that the store has ever had: `identity` as in `keep_identity`, `left_at` since when it is not in the
    config (None while it is)."""

    name: str
    identity: str | None
    left_at: int | None


_MEMBER = Columns(Member)


def list_members(tx: Transaction) -> list[Member]:
    """Every shop that the store has ever had, by name."""
    return [_MEMBER.read(row) for row in tx.query(f"SELECT {_MEMBER.sql} FROM shops ORDER BY name")]  # noqa: S608


def mark_left(tx: Transaction, name: str, left_at: int | None) -> None:
    """The shop is not in the config since `left_at`; None: it is."""
    tx.execute("UPDATE shops SET left_at = ? WHERE name = ?", (left_at, name))


def queue_running(tx: Transaction, shop: str) -> None:
    """Orders in a slot of a worker that is gone are queued again."""
    running = "shop = ? AND situation = 'running' AND situation <> 'idle'"  # said twice for the index of busy orders
    counted = f"SELECT state, coalesce(milestone, ''), count(*) FROM orders WHERE {running} GROUP BY 1, 2"  # noqa: S608
    for state, milestone, orders in tx.query(counted, (shop,)):
        tx.moves.order(shop, ("running", state, milestone), ("queued", state, milestone), orders)
    tx.execute(f"UPDATE orders SET situation = 'queued', version = version + 1 WHERE {running}", (shop,))  # noqa: S608


def save_sync(tx: Transaction, name: str, position: Json, now_ms: int, import_since: int | None = None) -> None:
    """A sync is complete: the next one starts from `position`. `import_since`: as the shop's config says now."""
    tx.execute(
        "UPDATE shops SET sync_position = ?, last_sync_at = ?, swept_since = ?, last_sync_error = NULL WHERE name = ?",
        (dump_json(position), now_ms, import_since, name),
    )


def save_sync_error(tx: Transaction, name: str, error: str) -> None:
    """A sync failed; the position stays."""
    tx.execute("UPDATE shops SET last_sync_error = ? WHERE name = ?", (error, name))
