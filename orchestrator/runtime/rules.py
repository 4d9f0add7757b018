"""What is decided by about a shop's orders: known of every shop of the config, at every node and at any time, whoever
works for the shop and whether anybody does.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.backoff import Growing
from orchestrator.config import Config, ShopConfig
from orchestrator.decisions.draft import Context, Policy
from orchestrator.registry import PLATFORMS
from statemachines.machine import PlatformMachine


@dataclass(frozen=True, slots=True)
class Rules:
    """A shop's machine and policy."""

    machine: PlatformMachine
    policy: Policy

    @classmethod
    def of(cls, shop: ShopConfig, config: Config) -> Rules:
        """The rules of a configured shop."""
        policy = Policy(
            shop=shop.name,
            platform=shop.platform,
            chaining=shop.chaining,
            fresh_ms=int(shop.fresh_seconds * 1000),
            attempts=shop.retry.attempts,
            backoff=Growing(int(shop.retry.base_seconds * 1000), int(shop.retry.max_seconds * 1000)),
            recovery_limit=config.recovery_limit,
            import_since=shop.import_since,
            retention_ms=config.retention_days * 86_400_000,
        )
        return cls(PLATFORMS[shop.platform].machine(shop.machine_options()), policy)

    def context(self, now_ms: int, *, may_begin: bool = False, has_just_read: bool = False) -> Context:
        """The input of a decision about one of the shop's orders, as of `now_ms`."""
        return Context(self.machine, self.policy, now_ms, may_begin=may_begin, has_just_read=has_just_read)
