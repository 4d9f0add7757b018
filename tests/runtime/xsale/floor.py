"""xSale's simulated shops at work, and what tests say of their orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.xsale.shop import XsaleOptions
from tests.support.shopfloor import Shopfloor, shopfloor

FLOW = [
    "Nowe",
    "Zaimportowano do ERP",
    "W trakcie realizacji",
    "Przygotowywane do wysyłki",
    "Wysłane",
    "Zrealizowane",
]
FAULTS = ("error_before", "error_after", "drop_before", "drop_after", "garbage")


@asynccontextmanager
async def xsale(
    folder: Path, changes: dict[str, Any] | None = None, *, orders: int = 1, **options: Any
) -> AsyncIterator[tuple[Shopfloor, Sandbox]]:
    """A shop floor with one xSale shop; `options` are the platform's, `changes` the shop's config."""
    sandbox = Sandbox(SandboxSettings(orders=orders, options={"xsale": XsaleOptions(**options)}))
    async with shopfloor(sandbox, folder, changes, platform="xsale") as floor:
        yield floor, sandbox


def set_to(sandbox: Sandbox) -> list[str]:
    """The statuses that were set, in sequence, as the platform's automations saw them."""
    return [automation.status for automation in sandbox.xsale.shop.automations]


def assert_nothing_twice_or_out_of_turn(sandbox: Sandbox) -> None:
    assert not any(automation.is_repeat for automation in sandbox.xsale.shop.automations)
    assert sandbox.ledger.repeats_after_effect() == []
    assert sandbox.ledger.out_of_sequence() == []
    assert sandbox.ledger.overlapping() == []
