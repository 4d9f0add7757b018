"""How a simulated Shopify behaves where the facts say nothing, or shops differ."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.sandbox.shopify.access import Kind, Lives
from orchestrator.sandbox.shopify.paging import MOST_NODES

SMALLEST_BUCKET, SMALLEST_RESTORE_RATE = 2000, 100
"""Points and points a second of the smallest plan (shopify.md §8)."""


@dataclass(frozen=True, slots=True)
class ShopifyOptions:
    """What the facts call unknown (shopify.md §9).

    `routing_seconds`: how long after an order its FOs show. `job_seconds`: how long a cancellation takes.
    `bucket`, `restore_rate`: of query costs, points and points per second. `is_throttled_with_429`: how too many points
    are answered. `most_nodes`: of a page of a nested list, whatever was asked for, so that few lines make many pages.
    `webhook_retry_seconds`: until a webhook that failed is sent again, twice as long each time.
    `webhook_deadline_seconds`: how long its whole answer may take. `access`: what the ready config gets in with;
    `lives`: how long tokens live.
    """

    routing_seconds: float = 0
    job_seconds: float = 0.05
    bucket: int = 2000
    restore_rate: int = 100_000
    is_throttled_with_429: bool = False
    most_nodes: int = MOST_NODES
    webhook_retry_seconds: float = 0.5
    webhook_deadline_seconds: float = 5
    access: Kind = "client_credentials"
    lives: Lives = field(default_factory=Lives)
