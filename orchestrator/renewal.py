"""Secrets that stand in files and are refused, read again for whoever works with them, and taken over everywhere.

The platforms' clients do that by themselves (`runtime.renewal`) and report here; this does it for the others: webhooks
whose secret is wrong, and receivers that refuse our signature. Anybody who knows an address can cause both, so files
are read once in a while only, however many are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anyio
import anyio.to_thread

from orchestrator.clock import Clock
from orchestrator.config import Config, DeliverySettings, ShopConfig, reread, reread_delivery

REREAD_SECONDS = 1.0
"""How often files are read for the same shop or receiver at most."""


class Renewal:
    """The config's secrets while the daemon runs. `config`, `save`: the config in force, and another in its place whose
    secrets are to be hidden too; `adopt`: passes them to the worker of a shop."""

    def __init__(
        self,
        config: Callable[[], Config],
        save: Callable[[Config], None],
        adopt: Callable[[ShopConfig], None],
        clock: Clock,
    ) -> None:
        self._config, self._save, self._adopt, self._clock = config, save, adopt, clock
        self._next_read: dict[str | None, float] = {}
        self._lock = anyio.Lock()

    def took(self, shop: ShopConfig) -> None:
        """A shop works with other secrets from now on."""
        config = self._config()
        self._save(replace(config, shops={**config.shops, shop.name: shop}))

    async def reread_shop(self, name: str) -> None:
        """A webhook's secret was wrong: afterwards the config has what the files hold."""
        async with self._lock:  # whoever comes while files are read gets what they hold
            shop = self._config().shops.get(name)
            if shop is None or shop.source is None or not self._is_due(name):
                return
            fresh = await anyio.to_thread.run_sync(reread, shop)
            if fresh is not None and self._config().shops.get(name) is shop:
                self._adopt(fresh)

    async def reread_delivery(self) -> DeliverySettings | None:
        """A receiver refused our signature: the settings with another secret, None where there is none."""
        async with self._lock:
            config = self._config()
            if config.delivery is None or config.delivery_source is None or not self._is_due(None):
                return None
            fresh = await anyio.to_thread.run_sync(reread_delivery, config.delivery, config.delivery_source)
            if fresh is None or self._config() is not config:
                return None
            self._save(replace(config, delivery=fresh))
            return fresh

    def _is_due(self, name: str | None) -> bool:
        now = self._clock.monotonic()
        if now < self._next_read.get(name, float("-inf")):
            return False
        self._next_read[name] = now + REREAD_SECONDS
        return True
