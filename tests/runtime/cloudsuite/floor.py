"""CloudSuite's simulated shops at work, and what tests say of their orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator.sandbox.cloudsuite.shop import CloudsuiteOptions
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Order
from tests.support.shopfloor import Shopfloor, shopfloor

CS = "cs"
WALK = ["process", "set_erp_number", "set_erp_lines", "send_despatch", "send_despatch", "finish"]
CHANGES = (
    "process",
    "set_erp_number",
    "set_erp_lines",
    "confirm_order",
    "send_despatch",
    "mark_sent",
    "finish",
    "cancel",
)


def cloudsuite(orders: int = 1, **options: Any) -> Sandbox:
    settings = {name: options.pop(name) for name in list(options) if name in SandboxSettings.__dataclass_fields__}
    return Sandbox(SandboxSettings(orders=orders, options={"cloudsuite": CloudsuiteOptions(**options)}, **settings))


@asynccontextmanager
async def floor_of(sandbox: Sandbox, folder: Path, **changes: Any) -> AsyncIterator[Shopfloor]:
    async with shopfloor(sandbox, folder, changes, platform="cloudsuite") as floor:
        yield floor


def erp(order: Order, *slips: str, final: bool = True) -> dict[str, Any]:
    """All that an ERP sends about an order: its number, its line numbers, a despatch for each of `slips`."""
    lines = [{"line": line, "erp_line_number": 10 * n} for n, line in enumerate(order.facts["lines"], start=1)]
    despatch = [{"number": f"{order.id}-{slip}", "tracking_code": f"3S{slip}"} for slip in slips]
    if despatch:
        despatch[-1]["final"] = final  # type: ignore[assignment]
    data: dict[str, Any] = {"erp_order_number": f"ERP-{order.id}", "erp_lines": lines}
    return data | ({"despatch": despatch} if despatch else {})


def effects(sandbox: Sandbox, order: str) -> list[str]:
    return sandbox.ledger.effects(order)


def nothing_went_wrong(sandbox: Sandbox) -> bool:
    """Nothing twice (a despatch that is sent again is refused by the platform) and nothing out of sequence."""
    repeats = [call for call in sandbox.ledger.repeats_after_effect() if call.step != "send_despatch"]
    lost = [order for order in sandbox.cloudsuite.shop.orders.values() if order.lost]
    return repeats == [] and sandbox.ledger.out_of_sequence() == [] and lost == []
