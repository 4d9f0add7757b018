"""What nodes say to each other of their shops is understood by the version before and the one after."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.meter import ReportedLimit
from orchestrator.runtime.node_facts import as_described, described
from orchestrator.runtime.reports import RateLimitFacts, ShopFacts, WebhookHealth
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.shopfloor import SHOP, shopfloor


async def shop_of(folder: Path) -> ShopFacts:
    async with shopfloor(Sandbox(SandboxSettings(orders=1)), folder) as floor:
        return floor.supervisor.shops()[SHOP]


async def test_another_node_shows_a_shop_as_its_own_does(tmp_path: Path) -> None:
    here = replace(
        await shop_of(tmp_path),
        running=3,
        next_sync_at=17,
        webhooks=WebhookHealth(5, {"orders/paid": "not subscribed"}, "HTTP 502"),
    )
    limit = RateLimitFacts(here.rate_limit.limits, 4.5, ReportedLimit(40, 12, 99, 98, "points"))
    here = replace(here, rate_limit=limit)
    there = replace(here, running=0, next_sync_at=None, webhooks=None, rate_limit=RateLimitFacts(limit.limits))
    assert as_described(there, json.loads(json.dumps(described(here)))) == here


@pytest.mark.parametrize(
    ("said", "running"),
    [
        ({"running": 2, "of_a_later_version": {"x": 1}}, 2),
        ({}, 0),
        ({"running": 2, "reported": {"remaining": 1}}, 0),
        ({"running": 2, "webhooks": []}, 0),
        ([], 0),
        (None, 0),
    ],
)
async def test_what_is_not_understood_is_not_known(tmp_path: Path, said: Any, running: int) -> None:
    facts = replace(await shop_of(tmp_path), running=0)
    shown = as_described(facts, said)
    assert (shown.name, shown.running) == (SHOP, running)
