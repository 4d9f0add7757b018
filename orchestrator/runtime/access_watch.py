"""Resumes a shop by itself whose credentials were refused, once its files hold others."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from orchestrator.platforms.client import RenewsAccess
from orchestrator.runtime.driver import ShopServices
from storage.events import append_event
from storage.shops import get_shop, resume_shop, save_credentials
from storage.transaction import Transaction

CHECK_SECONDS = 5.0
"""How often the files of a shop whose credentials were refused are checked."""


async def watch_access(services: ShopServices, resumed: Callable[[], None]) -> None:
    """Ends a pause that refused credentials caused as soon as the shop's files hold others; a person's pause stays.

    Raises StaleLease, StoreUnavailable.
    """
    client = services.client
    while isinstance(client, RenewsAccess):
        await anyio.sleep(CHECK_SECONDS)
        if (
            services.admission.is_paused
            and await client.renew()
            and await services.store.write(lambda tx: _resume(tx, services))
        ):
            resumed()


def _resume(tx: Transaction, services: ShopServices) -> bool:
    name = services.policy.shop
    shop = get_shop(tx, name)
    if shop is None or shop.paused_by != "access_denied" or not resume_shop(tx, name):
        return False
    append_resumed(tx, services.clock.now_ms(), name)
    return True


async def save_fingerprint(services: ShopServices, fingerprint: str) -> None:
    """Saves which credentials the shop uses from now on. Raises StaleLease, StoreUnavailable."""

    def unit(tx: Transaction) -> None:
        save_credentials(tx, services.policy.shop, fingerprint)

    await services.store.write(unit)


def append_resumed(tx: Transaction, now: int, shop: str) -> None:
    """Appends the event of a pause that other credentials ended."""
    append_event(tx, now, "shop.resumed", shop=shop, data={"by": "new credentials"})
