"""The demo's course: start, import, preview, submit, watch, show the results."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.cli.blocks import Cell, Page, grid, is_terminal, line, show
from orchestrator.cli.client import Client, segment
from orchestrator.cli.demo.arrival import PushingShop
from orchestrator.cli.demo.erp import Submitted, order_path, orders_of, submit
from orchestrator.cli.demo.outcome import print_deliveries, print_ledger, print_scenes, say
from orchestrator.cli.demo.script import TWO_PARCELS, cast, personal, scenes
from orchestrator.cli.demo.stage import FAULTS, Stage, signals_interrupt
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.order_page import order_page
from orchestrator.cli.status_page import status_page
from orchestrator.cli.target_page import preview_page

_IMPORT_SECONDS = 20.0
_SECONDS_PER_ORDER = 0.05
_DRIVE_SECONDS = 35.0
_SECONDS_PER_TARGET = 0.1
_LOOK_SECONDS = 0.25
_REPORT_EVERY_SECONDS = 2.0
_PUSHED = 9999  # the number of the order that comes by webhook: its tracking codes are made of it
_LONGEST_DIRECTORY = 90  # a Unix socket's path has 107 bytes


def run_demo(orders: int, *, is_kept: bool) -> ExitCode:
    """The whole demo. Raises Failure when something does not start; FAILED when something did not arrive."""
    directory = Path(tempfile.mkdtemp(prefix="fulfilld-demo-"))
    if len(str(directory)) > _LONGEST_DIRECTORY:
        directory.rmdir()
        raise Failure(
            "the temporary directory's path is too long for a Unix socket", remedy="set TMPDIR to a short one"
        )
    try:
        with signals_interrupt(), Stage(directory, orders) as stage:
            code = _play(stage, orders)
            if is_kept and is_terminal():
                _stay(stage)
    finally:
        if is_kept:
            say(f"kept: {directory} with config.json, fulfilld.db, daemon.log and sandbox.log")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if not is_kept:
        say("`fulfilld demo --keep` leaves the files, and on a terminal the daemon with its dashboard")
    return code


def _play(stage: Stage, orders: int) -> ExitCode:
    client, shops = stage.client, list(stage.config["shops"])
    say(f"a sandbox at {stage.sandbox_url} and a daemon at {stage.socket}")
    say(f"dashboard: {stage.dashboard} (works once: open it now, while the orders move)")
    say(f"faults: {', '.join(FAULTS)} (some calls fail, some take effect but lose their answer)")
    _await_import(client, orders * len(shops))
    submitted = [entry for shop in shops for entry in _submit_all(client, shop)]
    pushed = _push(stage)
    _drive(client, [*submitted, pushed])
    say("")
    show(status_page(client.get("/v1/status").json()))
    has_arrived = print_scenes(client, [*submitted, pushed])
    say("")
    say(f"the story of order {pushed.order}, which came by webhook and left in two parcels:")
    path = order_path(pushed.shop, pushed.order)
    show(order_page(client.get(path, {"include": "timeline,content"}).json()))
    is_delivered = print_deliveries(client, stage.receiver)
    is_clean = print_ledger(client, stage.sandbox)
    if has_arrived and is_delivered and is_clean:
        return ExitCode.DONE
    say("something did not arrive as it should")
    return ExitCode.FAILED


def _push(stage: Stage) -> Submitted:
    """An order and products come by webhook; the order's targets are submitted before its goods are anywhere."""
    shop = PushingShop(stage.client, stage.sandbox, stage.pushing_shop, stage.pushing_platform)
    say("")
    say(f"{shop.name}: {shop.platform.title} was asked for webhooks about {', '.join(shop.subscribed())}")
    arrival = shop.buy()
    say(
        f"{shop.name}: order {arrival.order} came by signed webhook, imported {arrival.seconds:.1f} s after it was made"
    )
    entry = submit(stage.client, arrival.shop, arrival.order, personal(TWO_PARCELS, _PUSHED))
    if wait := shop.waits(arrival.order):
        say(f"{shop.name}: it waits for {wait['reason']}: {wait.get('detail') or 'no reason given'}")
    for event in shop.stock():
        say(f"{shop.name}: {event['type']} by webhook: {event['data'].get('title') or event['data'].get('id')}")
    return entry


def _await_import(client: Client, count: int) -> None:
    patience_seconds = _IMPORT_SECONDS + count * _SECONDS_PER_ORDER
    deadline = time.monotonic() + patience_seconds
    while (imported := (dump := client.get("/v1/status").json())["totals"]["orders"]) < count:
        if time.monotonic() > deadline:
            raise Failure(
                f"only {imported} of {count} orders were imported within {patience_seconds:.0f} s",
                details=[_shortfall(shop) for shop in dump["shops"]],
                remedy="`fulfilld demo --keep` keeps the daemon's log",
            )
        time.sleep(_LOOK_SECONDS)
    say(f"{imported} orders imported")


def _shortfall(shop: Any) -> str:
    orders = sum(shop["by_state"].values())
    return f"{shop['name']}: {orders} orders, {shop['last_sync_error'] or 'no error'}"


def _submit_all(client: Client, shop: str) -> list[Submitted]:
    """Gives every order of a shop its scene, and shows the plan of the first one before anything is done."""
    orders = orders_of(client, shop)
    machine = client.get(f"/v1/machines/{segment(orders[0]['platform'])}", {"format": "json"}).json()
    roles = cast([order["id"] for order in orders], scenes(machine))
    first = orders[0]["id"]
    say("")
    say(f"fulfilld submit {shop} {first} delivered --dry-run")
    preview = client.post(order_path(shop, first) + "/targets", {"state": "delivered"}, {"dry_run": "true"})
    show(preview_page(preview.json()))
    return [
        submit(client, shop, order, personal(scene, number)) for number, (order, scene) in enumerate(roles.items(), 1)
    ]


def _drive(client: Client, submitted: list[Submitted]) -> None:
    """Waits until no target is pending, or nothing moves any more, or the time is over."""
    total = sum(len(entry.targets) for entry in submitted)
    say("")
    say(f"{total} targets submitted for {len(submitted)} orders")
    began = time.monotonic()
    deadline = began + _DRIVE_SECONDS + total * _SECONDS_PER_TARGET
    dump = client.get("/v1/status").json()
    with _watching(total) as watch:
        while time.monotonic() < deadline:
            dump = client.get("/v1/status").json()
            watch(dump)
            situations = dump["totals"]["by_situation"]
            is_moving = any(situations.get(name) for name in ("queued", "running", "retrying", "waiting"))
            if not dump["totals"]["targets_pending"] or not is_moving:
                break
            time.sleep(_LOOK_SECONDS)
    pending = dump["totals"]["targets_pending"]
    say(f"driven in {time.monotonic() - began:.1f} s: {total - pending} of {total} targets have ended")


@contextmanager
def _watching(total: int) -> Iterator[Callable[[Any], None]]:
    """How the drive is shown: a live table on a terminal, now and then a line elsewhere."""
    if is_terminal():
        from rich.live import Live

        from orchestrator.cli.blocks import rich_page

        with Live(transient=True, auto_refresh=False) as live:
            yield lambda dump: live.update(rich_page(_progress_page(dump, total)), refresh=True)
        return
    reported_at = time.monotonic()

    def report(dump: Any) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= _REPORT_EVERY_SECONDS:
            reported_at = time.monotonic()
            say(f"  so far {total - dump['totals']['targets_pending']} of {total} targets have ended")

    yield report


def _progress_page(dump: Any, total: int) -> Page:
    done = total - dump["totals"]["targets_pending"]
    filled = round(40 * done / total) if total else 40
    rows = [
        (shop["name"], ", ".join(f"{state} {number}" for state, number in shop["by_state"].items() if number))
        for shop in dump["shops"]
    ]
    bar = line(Cell("━" * filled, "good"), Cell("━" * (40 - filled), "dim"), f" {done} of {total} targets")
    return [bar, grid(("SHOP", "ORDERS"), rows)]


def _stay(stage: Stage) -> None:
    """Leaves everything running for whoever wants to look around, until Ctrl-C."""
    say("")
    say(f"the daemon stays until Ctrl-C, and so does its dashboard: {stage.dashboard} (works once)")
    say(f"another link to it: fulfilld --socket {stage.socket} dashboard --open")
    say(f"try: fulfilld --socket {stage.socket} status --watch")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("")
