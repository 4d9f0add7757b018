"""Parts of Shopify orders under kills: what no key keeps from being shipped twice, least of all without tracking.

Each order ships one of each line, from one location or two, without a code, then the rest, then it is delivered. The
parcels hold equal goods, and only their ids distinguish them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.orders import Line
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

ORDERS = 6


def _lines(sandbox: Sandbox, order: str) -> list[Line]:
    lines: list[Line] = sandbox.shopify.panel.order(order).lines
    return lines


def _targets(sandbox: Sandbox, order: str) -> list[dict[str, Any]]:
    return [
        {"state": "shipped", "items": [{"id": str(line.id), "quantity": 1} for line in _lines(sandbox, order)]},
        {"state": "shipped"},
        {"state": "delivered"},
    ]


def _parcels(sandbox: Sandbox, order: str) -> list[dict[int, int]]:
    """What has to leave, in sequence: one of each line from each location, then what is left there."""
    orders = sandbox.shopify.panel.order(order).fulfillment_orders
    places = [[(line, total) for _, line, total, _ in each.lines] for each in orders]
    first = [{line: 1 for line, _ in place} for place in places]
    rest = [{line: total - 1 for line, total in place if total > 1} for place in places]
    return first + [lines for lines in rest if lines]


async def _submit(daemon: DaemonProcess, shop: str, order: str, n: int, body: dict[str, Any]) -> str:
    path, headers = f"/v1/shops/{shop}/orders/{order}/targets", {"Idempotency-Key": f"{order}-{n}"}
    while True:
        status, answer = await daemon.call("POST", path, body, headers)
        if status == 202:
            return str(answer["id"])
        assert status == 503, answer
        await anyio.sleep(0.05)  # the daemon said so: it cannot ask the platform just now


async def _drive(daemon: DaemonProcess, shop: str, wanted: dict[str, list[dict[str, Any]]]) -> None:
    """Keeps the daemon alive until every target of every order is reached."""
    while True:
        if not daemon.is_running:
            daemon.start()
        try:
            await daemon.ready()
            reported = [
                await _submit(daemon, shop, order, n, body)
                for order, bodies in wanted.items()
                for n, body in enumerate(bodies)
            ]
            for target in reported:
                answer = {"status": "running"}
                while answer["status"] in ("queued", "running"):
                    _, answer = await daemon.call("GET", f"/v1/targets/{target}?wait=5")
                assert answer["status"] == "reached", answer
        except Unreachable:
            continue
        return


@pytest.mark.parametrize("fault_rate", [0.0, 0.2])
@pytest.mark.parametrize("point", ["after_intent:2", "after_call:1", "after_call:6", "after_outcome:2"])
async def test_a_kill_ships_no_part_twice(tmp_path: Path, point: str, fault_rate: float) -> None:
    sandbox = Sandbox(SandboxSettings(orders=ORDERS))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "shopify", lost_answer_seconds=0)
        sandbox.faults.set_rates({"mixed": fault_rate})
        orders = [order for order in sandbox.shopify.order_ids() if len(_lines(sandbox, order)) > 1]
        wanted = {order: _targets(sandbox, order) for order in orders}
        daemon.start(point)
        with anyio.fail_after(200):
            await _drive(daemon, shop, wanted)
        assert daemon.starts == 2, "the point was passed"
        for order in wanted:
            found = sandbox.shopify.panel.order(order)
            assert [parcel.lines for parcel in found.fulfillments] == _parcels(sandbox, order)
            assert {parcel.display for parcel in found.fulfillments} == {"DELIVERED"}
        assert sandbox.ledger.repeats_after_effect() == []
        assert await daemon.terminate() == 0
