"""A shop that stands still because its credentials were refused, and looks for others by itself."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from orchestrator.platforms.client import RenewsAccess
from orchestrator.runtime.driver import ShopServices
from storage.events import append_event
from storage.shops import get_shop, resume_shop, save_credentials
from storage.transaction import Transaction

LOOK_SECONDS = 5.0
"""How often the files of a shop whose credentials were refused are looked at."""


async def mind_access(e: ShopServices, resumed: Callable[[], None]) -> None:
    """Ends a pause that refused credentials caused as soon as the shop's files hold others; a person's pause stays.

    Raises StaleLease, StoreUnavailable.
    """
    client = e.client
    while isinstance(client, RenewsAccess):
        await anyio.sleep(LOOK_SECONDS)
        if e.gate.is_paused and await client.renew() and await e.store.write(lambda tx: _resume(tx, e)):
            resumed()


def _resume(tx: Transaction, e: ShopServices) -> bool:
    name = e.policy.shop
    e.fence(tx)
    shop = get_shop(tx, name)
    if shop is None or shop.paused_by != "access_denied" or not resume_shop(tx, name):
        return False
    tell_resumed(tx, e.clock.now_ms(), name)
    return True


async def save_fingerprint(e: ShopServices, fingerprint: str) -> None:
    """The shop works with these credentials from now on. Raises StaleLease, StoreUnavailable."""

    def unit(tx: Transaction) -> None:
        e.fence(tx)
        save_credentials(tx, e.policy.shop, fingerprint)

    await e.store.write(unit)


def tell_resumed(tx: Transaction, now: int, shop: str) -> None:
    """Other credentials ended a pause."""
    append_event(tx, now, "shop.resumed", shop=shop, data={"by": "new credentials"})
