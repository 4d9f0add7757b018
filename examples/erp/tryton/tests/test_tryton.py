"""Tryton behind the real daemon: shops of five platforms whose calls fail, the daemon and the bridge killed on the way.

`make tryton` installs Tryton into an environment of its own, which `TRYTON` names.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.stage import walk_of
from tests.support.process import QUICK, DaemonProcess, daemon_process
from tests.support.skips import skip

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
TRYTON = Path(os.environ.get("TRYTON", ROOT / ".venv" / "tryton"))
if not (TRYTON / "installed").exists():
    skip("there is no Tryton", "make tryton")

pytestmark = [pytest.mark.e2e, pytest.mark.crash, pytest.mark.timeout(900)]

SHOPS = {"acme": "selldone", "cs": "cloudsuite", "xs": "xsale", "shopy": "shopify", "woo": "woocommerce"}
ORDERS = 9
"""Of each shop."""
CART = {"shipping": "4.90", "discount": "3.00", "line_discount": "2.00"}
FIRST_KILLS = ("before commit 12", "after commit 9", "before ack 7", "after ack 11")
LATER_KILLS = ("before submit 5", "after submit 9", "after commit 6")
"""Where the bridge is killed while it books, and while it tells the shops."""


class Erp:
    """Programs beside a daemon: the bridge, and people in Tryton."""

    def __init__(self, folder: Path, daemon: DaemonProcess) -> None:
        self.daemon, self.config = daemon, str(folder / "trytond.conf")
        shutil.copy(TRYTON / "company" / "shop.sqlite", folder)
        (folder / "trytond.conf").write_text(
            (TRYTON / "company" / "trytond.conf").read_text().replace(str(TRYTON.resolve() / "company"), str(folder))
        )

    async def run(self, *command: str) -> tuple[int, bytes]:
        """Runs a program in Tryton's environment: its exit code and what it printed."""
        variables = {"FULFILLD_SOCKET": str(self.daemon.socket), "PYTHONPATH": str(ROOT / "clients" / "python")}
        program = [str(TRYTON / "bin" / "python"), "-W", "ignore", *command]
        done = await anyio.run_process(program, env=os.environ | variables, check=False, stderr=None)
        return done.returncode, done.stdout

    async def bridge(self, *kills: str) -> None:
        """Runs the bridge until nothing is left to do; before, it is killed at each of these points."""
        for kill in kills:
            command = [str(HERE / "killed.py"), *kill.split(), self.config, "shop"]
            assert (await self.run(*command))[0] == -9, f"nothing was killed {kill}"
        assert (await self.run(str(HERE.parent / "bridge.py"), self.config, "shop"))[0] == 0

    async def people(self, what: str) -> Any:
        """What people do, or what they see."""
        code, printed = await self.run(str(HERE / "people.py"), self.config, what)
        assert code == 0
        return json.loads(printed) if printed else None


async def events(daemon: DaemonProcess, kind: str, count: int) -> list[Any]:
    """The events of a kind, once there are so many."""
    found: list[Any] = []
    after = 0
    with anyio.fail_after(120):
        while len(found) < count:
            status, page = await daemon.call("GET", f"/v1/events?type={kind}&after={after}&wait=10&limit=1000")
            assert status == 200
            found, after = found + page["events"], page["next"]
    return found


async def started_again(daemon: DaemonProcess) -> None:
    """Starts the daemon again when it died."""
    assert daemon.process is not None
    assert await anyio.to_thread.run_sync(daemon.process.wait, abandon_on_cancel=True) == -9
    daemon.start()


def configure(daemon: DaemonProcess, sandbox: Sandbox) -> None:
    """A shop of each platform, all of them asked for news each second."""
    config = sandbox.config()
    shops = {name: {**config["shops"][name], **QUICK, "poll": {"interval_seconds": 1}} for name in SHOPS}
    (daemon.folder / "config.json").write_text(json.dumps(config | {"shops": shops, "log": {"level": "warning"}}))


async def contents(daemon: DaemonProcess) -> dict[str, Any]:
    """Every order, by shop and id, with its content."""
    _, page = await daemon.call("GET", "/v1/orders?include=content&limit=1000")
    return {f"{order['shop']}/{order['id']}": order for order in page["orders"]}


def books_to_the_cent(sale: Any, content: Any) -> bool:
    """Whether a sale's amounts are those that the shop tells; what it does not tell is said to the reader."""
    totals, booked = content["totals"], {name: Decimal(sale[name]) for name in ("net", "tax", "total")}
    assert "/totals/total" not in content["gaps"] or totals["total"] is None
    expected = totals["total"] if totals["total"] is not None else totals["lines"]
    is_tax_told = totals["tax"] is None or booked["tax"] == Decimal(totals["tax"])
    are_gaps_told = all(gap in sale["comment"].splitlines() for gap in content["gaps"])
    is_same = (sale["currency"], booked["total"]) == (content["currency"], Decimal(expected))
    return is_same and is_tax_told and are_gaps_told and booked["net"] + booked["tax"] == booked["total"]


async def test_every_order_is_booked_shipped_cancelled_and_returned_once_to_the_cent(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=ORDERS))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        configure(daemon, sandbox)
        for tax_included in (False, True):  # of which Selldone tells the sum alone
            sandbox.selldone.operate({"action": "add", "cart": {**CART, "tax_included": tax_included}})
        sandbox.faults.set_rates({"mixed": 0.1})
        erp = Erp(tmp_path, daemon)
        daemon.start("after_submit:20")  # in the first run of the bridge that tells the shops anything
        await daemon.ready()
        await events(daemon, "order.imported", ORDERS * len(SHOPS) + 2)
        ordered = await contents(daemon)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(started_again, daemon)
            await erp.bridge(*FIRST_KILLS)
        await daemon.ready()
        away = {shop: next(key for key in ordered if key.startswith(f"{shop}/")) for shop in SHOPS}
        for shop, platform in SHOPS.items():
            getattr(sandbox, platform).panel.cancel(away[shop].partition("/")[2])
        await events(daemon, "order.cancelled", len(SHOPS))
        await erp.bridge()
        await erp.people("ship")
        await erp.bridge(*LATER_KILLS)
        daemon.kill()
        daemon.start()
        await daemon.ready()
        await erp.people("ship")
        await erp.bridge()
        back = next(key for key, order in ordered.items() if key.startswith("acme/") and key not in away.values())
        number = back.partition("/")[2]
        sandbox.faults.set_rates({})
        shown = await erp.people("show")
        for _, note in shown["notes"]:
            if note.startswith("sent: "):
                _, target = await daemon.call("GET", f"/v1/targets/{note.split()[2]}?wait=10")
                assert target["status"] == "reached" or note.count("accepted"), (note, target)
        request = sandbox.selldone.panel.request_return(number)
        sandbox.selldone.panel.answer_return(number, request, "Accepted")
        await events(daemon, "order.returned", 1)
        await erp.bridge()
        after, shown = await contents(daemon), await erp.people("show")

    sales = {sale["reference"]: sale for sale in shown["sales"]}
    assert sorted(sale["reference"] for sale in shown["sales"]) == sorted(ordered)
    wrong = {key: (sale, ordered[key]["content"]) for key, sale in sales.items()}
    assert {key for key, (sale, content) in wrong.items() if not books_to_the_cent(sale, content)} == set()
    for key, sale in sales.items():
        boxes = [box for box in sale["shipments"] if box["state"] == "done"]
        if key in away.values():
            assert {box["state"] for box in sale["shipments"]} <= {"cancelled"}, sale
            continue
        if ordered[key]["payment_status"] in ("unpaid", "partly_paid"):
            assert (sale["shipments"], sale["state"]) == ([], "draft"), sale
            continue
        pieces: dict[str, Decimal] = {}
        for line, quantity in (each for box in boxes for each in box["lines"]):
            pieces[line] = pieces.get(line, Decimal()) + Decimal(str(quantity))
        goods = [line for line in ordered[key]["content"]["lines"] if line["kind"] in (None, "goods")]
        assert pieces == {line["id"]: Decimal(line["quantity"]) for line in goods}, key
        assert sorted(box["number"] for box in after[key]["parcels"]) == sorted(box["number"] for box in boxes), key
        assert after[key]["milestone"] in ("shipped", "delivered"), after[key]
    assert any(len(sale["shipments"]) > 1 for sale in sales.values()), "no order went in two boxes"
    assert [note for _, note in shown["notes"] if note.startswith("refused")] == []
    assert len([note for _, note in shown["notes"] if note.startswith("order.returned")]) == 1
    assert len([note for _, note in shown["notes"] if note.startswith("order.cancelled")]) == len(SHOPS)
    # what no read shows is sent again where its answer was lost, as to a daemon that was killed, and refused
    repeats = [c for c in sandbox.ledger.repeats_after_effect() if c.step not in walk_of(c.platform).unseen]
    assert repeats == []
    assert not [call for call in sandbox.ledger.repeats_after_effect() if call.took_effect]


async def test_an_order_that_tryton_refuses_is_shown_once_and_booked_when_it_is_announced(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        configure(daemon, sandbox)
        erp = Erp(tmp_path, daemon)
        daemon.start()
        await daemon.ready()
        await events(daemon, "order.imported", len(SHOPS))
        ordered = await contents(daemon)
        refused = [key for key, order in ordered.items() if order["content"]["currency"] == "USD"]
        rename_currency(tmp_path, "USD", "XXX")
        await erp.bridge()
        await events(daemon, "order.attention", len(refused))
        await erp.bridge()
        submitted = await events(daemon, "target.submitted", len(refused))
        rename_currency(tmp_path, "XXX", "USD")
        for shop, _, order in (key.partition("/") for key in refused):
            assert (await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/announce"))[0] < 300
        await erp.bridge()
        shown = await erp.people("show")

    asked = [f"{event['shop']}/{event['order']}" for event in submitted if event["data"]["state"] == "attention"]
    assert (refused != [], sorted(asked)) == (True, sorted(refused))
    assert sorted(sale["reference"] for sale in shown["sales"]) == sorted(ordered)


def rename_currency(folder: Path, code: str, other: str) -> None:
    """Takes a currency from Tryton, or gives it back."""
    with closing(sqlite3.connect(folder / "shop.sqlite")) as database, database:
        database.execute("UPDATE currency_currency SET code = ? WHERE code = ?", (other, code))
