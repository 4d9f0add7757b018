"""What was done between a backup and its return is not done a second time when the ERP submits it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.sqlite.backup import backup
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.engines("sqlite")  # another engine has its own backups

NOW = 1_760_000_000_000
TRACKING = {"code": "3SONCE", "carrier": "DHL"}
LINES = [{"erp_line_number": 10, "quantity": 1}]


def erp(sandbox: Sandbox, order: str) -> dict[str, Any]:
    lines = sandbox.cloudsuite.shop.orders[int(order)].lines
    numbers = [{"line": str(line["id"]), "erp_line_number": 10 * n} for n, line in enumerate(lines, start=1)]
    return {"erp_order_number": f"ERP-{order}", "erp_lines": numbers}


def despatched(sandbox: Sandbox, order: str) -> dict[str, Any]:
    return {**erp(sandbox, order), "despatch": [{"number": "PS-1", "tracking_code": "3SONCE", "final": True}]}


def despatched_in_part(sandbox: Sandbox, order: str) -> dict[str, Any]:
    return {**erp(sandbox, order), "despatch": [{"number": "PS-1", "tracking_code": "3SONCE", "lines": LINES}]}


def tracked(sandbox: Sandbox, order: str) -> dict[str, Any]:
    del sandbox, order
    return {"tracking": TRACKING}


def parcel_of_one(sandbox: Sandbox, order: str) -> dict[str, Any]:
    line = sandbox.shopify.shop.orders[int(order)].lines[0]
    return {"tracking": TRACKING, "items": [{"id": str(line.id), "quantity": 1}]}


Fields = Callable[[Sandbox, str], dict[str, Any]]
WAYS: list[tuple[str, str, Fields]] = [
    ("selldone", "shipped", tracked),
    ("cloudsuite", "shipped", despatched),
    ("cloudsuite", "accepted", despatched_in_part),
    ("cloudsuite", "delivered", despatched),
    ("xsale", "delivered", tracked),
    ("shopify", "shipped", tracked),
    ("shopify", "shipped", parcel_of_one),
    ("shopify", "delivered", tracked),
    ("woocommerce", "delivered", tracked),
]


async def reach(daemon: DaemonProcess, shop: str, order: str, body: dict[str, Any]) -> dict[str, Any]:
    status, target = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets?wait=50", body)
    assert status in (200, 202), target
    return dict(target)


@asynccontextmanager
async def put_back(daemon: DaemonProcess, shop: str, order: str, first: dict[str, Any] | None) -> AsyncIterator[None]:
    """What the block does to an order is done after the backup that is put back at its end; `first` is reached before
    (None: the store does not even know the order)."""
    copy = daemon.folder / "copy.db"
    daemon.start()
    await daemon.ready()
    if first is not None:
        assert (await reach(daemon, shop, order, first))["status"] == "reached"
    backup(daemon.folder / "fulfilld.db", copy, NOW)
    yield
    assert await daemon.terminate() == 0
    for name in ("fulfilld.db", "fulfilld.db-wal", "fulfilld.db-shm"):
        (daemon.folder / name).unlink(missing_ok=True)
    copy.rename(daemon.folder / "fulfilld.db")
    daemon.start(None, "--drive-restored")
    await daemon.ready()


def platform_of(sandbox: Sandbox, platform: str) -> Any:
    return getattr(sandbox, platform)


@pytest.mark.parametrize(("platform", "state", "fields"), WAYS)
async def test_a_target_that_was_reached_after_the_backup_is_reached_without_doing_it_again(
    tmp_path: Path, platform: str, state: str, fields: Fields
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, platform, poll={"enabled": False})
        (order,) = platform_of(sandbox, platform).order_ids()
        body = {"state": state, **fields(sandbox, order)}
        async with put_back(daemon, shop, order, {"state": "new"}):
            assert (await reach(daemon, shop, order, body))["status"] == "reached"
            done = sandbox.ledger.effects(order)
        again = await reach(daemon, shop, order, body)
        assert again["problem"] is None
        assert again["status"] == "reached"
        assert sandbox.ledger.effects(order) == done
        repeats = sandbox.ledger.repeats_after_effect()
        assert [call for call in repeats if call.step != "send_despatch"] == [], (
            "a despatch shows nowhere: it is refused"
        )
        assert len(sandbox.cloudsuite.shop.slips) == (platform == "cloudsuite")


async def test_a_despatch_after_a_backup_of_an_order_that_was_under_way_is_not_sent_twice(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "cloudsuite")
        order, other = sandbox.cloudsuite.order_ids()
        body = {"state": "shipped", "despatch": [{"number": "PS-1", "final": True}]}
        async with put_back(daemon, shop, order, {"state": "accepted", **erp(sandbox, order)}):
            await reach(daemon, shop, order, body)
            done = sandbox.ledger.effects(order)
        assert (await reach(daemon, shop, order, body))["status"] == "reached"
        _, page = await daemon.call("GET", f"/v1/events?order={order}&type=step.done&limit=1000")
        assert [event["data"]["how"] for event in page["events"]][-1] == "found_done"
        assert sandbox.ledger.effects(order) == done
        own = {"state": "shipped", **erp(sandbox, other), "despatch": [{"number": "PS-2", "final": True}]}
        assert (await reach(daemon, shop, other, own))["status"] == "reached"
        assert set(sandbox.cloudsuite.shop.slips) == {"PS-1", "PS-2"}


async def test_a_number_that_exists_is_somebody_elses_for_an_order_made_after_the_backup_came_back(
    tmp_path: Path,
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "cloudsuite")
        (order,) = sandbox.cloudsuite.order_ids()
        async with put_back(daemon, shop, order, {"state": "new"}):
            await reach(daemon, shop, order, {"state": "shipped", **despatched(sandbox, order)})
        new = str(sandbox.cloudsuite.shop.add().id)
        target = await reach(daemon, shop, new, {"state": "shipped", **despatched(sandbox, new)})
        assert (target["status"], target["problem"]["type"]) == ("blocked", "rejected")
        assert "already exists" in target["problem"]["detail"]


async def test_what_an_old_record_would_refuse_is_read_first(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "selldone", poll={"enabled": False})
        (order,) = sandbox.selldone.order_ids()
        async with put_back(daemon, shop, order, {"state": "new"}):
            await reach(daemon, shop, order, {"state": "shipped"})
        status, plan = await daemon.call(
            "POST", f"/v1/shops/{shop}/orders/{order}/targets?dry_run=true", {"state": "returned"}
        )
        assert (status, [step["step"] for step in plan["plan"]]) == (200, ["return_delivery"])
        assert (await reach(daemon, shop, order, {"state": "returned"}))["status"] == "reached"
