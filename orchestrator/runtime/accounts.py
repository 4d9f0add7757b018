"""A shop's name in the config that names another account now, while the store has orders of the first account.

The same ids may be other orders there: pending targets of the kept orders would be applied to those, or fail because
they are not found, and orders that another name has already would be imported a second time. So the shop waits until
the config names its account again, or until a person says that it is the same shop.
"""

from __future__ import annotations

import structlog

from orchestrator.config import ANOTHER_SHOP_REMEDY, is_other_account
from storage.events import append_event
from storage.shops import (
    accept_identity,
    get_shop,
    identities,
    keep_identity,
    pause_for_another_account,
    resume_shop,
)
from storage.transaction import Transaction

log = structlog.get_logger()

ANOTHER = "another_account"
"""`paused_by` of such a shop."""


def keep_account(tx: Transaction, shop: str, identity: str, now_ms: int) -> str | None:
    """Keeps which account a shop's orders are of; returns that account where the config names another (`identity`)."""
    was = keep_identity(tx, shop, identity)
    if was is not None and is_other_account(was, identity):
        _pause(tx, shop, was, identity, now_ms)
    elif _is_paused_for_it(tx, shop) and resume_shop(tx, shop):
        append_event(tx, now_ms, "shop.resumed", shop=shop, data={"by": "config"})
    return was


def log_account_change(shop: str, was: str, identity: str) -> None:
    """Logs that the account changed, at each start."""
    level = log.error if is_other_account(was, identity) else log.warning
    level("shop.identity_changed", shop=shop, was=was, now=identity, detail=ANOTHER_SHOP_REMEDY)


def resume(tx: Transaction, shop: str, identity: str, now_ms: int) -> bool:
    """A person ends a pause; False when the shop stays paused, now because the config names
    another account, of which the pause said nothing before."""
    if _is_paused_for_it(tx, shop):
        accept_identity(tx, shop, identity)
    if resume_shop(tx, shop):
        append_event(tx, now_ms, "shop.resumed", shop=shop, data={"by": "person"})
    was = identities(tx).get(shop)
    if was is None or not is_other_account(was, identity):
        return True
    _pause(tx, shop, was, identity, now_ms)
    return False


def _is_paused_for_it(tx: Transaction, shop: str) -> bool:
    row = get_shop(tx, shop)
    return row is not None and row.paused_by == ANOTHER


def _pause(tx: Transaction, shop: str, was: str, identity: str, now_ms: int) -> None:
    reason = f"its orders are of {was}, the config says {identity}"
    if pause_for_another_account(tx, shop, reason, now_ms):
        append_event(tx, now_ms, "shop.paused", shop=shop, data={"by": ANOTHER, "reason": reason})
