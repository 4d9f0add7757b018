"""The demo's course: start, import, preview, submit, watch, tell what came of it."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.cli.blocks import Cell, Page, Tone, grid, is_terminal, line, show
from orchestrator.cli.client import Client, segment
from orchestrator.cli.demo.erp import Submitted, order_path, orders_of, submit, told_order, troubles_of
from orchestrator.cli.demo.script import cast, personal, scenes
from orchestrator.cli.demo.stage import FAULTS, Stage, signals_interrupt
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.pages import order_page, preview_page, status_page
from orchestrator.cli.place import Address

_IMPORT_SECONDS = 20.0
_SECONDS_PER_ORDER = 0.05
_DRIVE_SECONDS = 35.0
_SECONDS_PER_TARGET = 0.1
_LOOK_SECONDS = 0.25
_TOLD_EVERY_SECONDS = 2.0
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
            _say(f"kept: {directory} with config.json, fulfilld.db, daemon.log and sandbox.log")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if not is_kept:
        _say("`fulfilld demo --keep` leaves the files, and on a terminal the daemon with its dashboard")
    return code


def _play(stage: Stage, orders: int) -> ExitCode:
    client, shops = stage.client, list(stage.config["shops"])
    _say(f"a sandbox at {stage.sandbox_url} and a daemon at {stage.socket}")
    _say(f"dashboard: {stage.dashboard} (any user, the password is in {stage.directory / 'token'})")
    _say(f"faults: {', '.join(FAULTS)} (some calls fail, some take effect but lose their answer)")
    _await_import(client, orders * len(shops))
    submitted = [entry for shop in shops for entry in _submit_all(client, shop)]
    _drive(client, submitted)
    _say("")
    show(status_page(client.get("/v1/status").json()))
    arrived = _tell(client, submitted)
    _say("")
    told = told_order(client, submitted)
    _say("the story of one order:")
    show(order_page(client.get(order_path(told.shop, told.order), {"include": "timeline"}).json()))
    _say("")
    is_clean = _tell_ledger(stage)
    if arrived and is_clean:
        return ExitCode.DONE
    _say("something did not arrive as it should")
    return ExitCode.FAILED


def _await_import(client: Client, count: int) -> None:
    patience_seconds = _IMPORT_SECONDS + count * _SECONDS_PER_ORDER
    deadline = time.monotonic() + patience_seconds
    while (imported := client.get("/v1/status").json()["totals"]["orders"]) < count:
        if time.monotonic() > deadline:
            raise Failure(f"only {imported} of {count} orders were imported within {patience_seconds:.0f} s")
        time.sleep(_LOOK_SECONDS)
    _say(f"{imported} orders imported")


def _submit_all(client: Client, shop: str) -> list[Submitted]:
    """Gives every order of a shop its scene, and shows the plan of the first one before anything is done."""
    orders = orders_of(client, shop)
    machine = client.get(f"/v1/machines/{segment(orders[0]['platform'])}", {"format": "json"}).json()
    roles = cast([order["id"] for order in orders], scenes(machine))
    first = orders[0]["id"]
    _say("")
    _say(f"fulfilld submit {shop} {first} delivered --dry-run")
    preview = client.post(order_path(shop, first) + "/targets", {"state": "delivered"}, {"dry_run": "true"})
    show(preview_page(preview.json()))
    return [
        submit(client, shop, order, personal(scene, number)) for number, (order, scene) in enumerate(roles.items(), 1)
    ]


def _drive(client: Client, submitted: list[Submitted]) -> None:
    """Waits until no target is pending, or nothing moves any more, or the time is over."""
    total = sum(len(entry.targets) for entry in submitted)
    _say("")
    _say(f"{total} targets submitted for {len(submitted)} orders")
    began = time.monotonic()
    deadline = began + _DRIVE_SECONDS + total * _SECONDS_PER_TARGET
    with _watching(total) as watch:
        while time.monotonic() < deadline:
            dump = client.get("/v1/status").json()
            watch(dump)
            situations = dump["totals"]["by_situation"]
            is_moving = any(situations.get(name) for name in ("queued", "running", "retrying", "waiting"))
            if not dump["totals"]["targets_pending"] or not is_moving:
                break
            time.sleep(_LOOK_SECONDS)
    _say(f"driven in {time.monotonic() - began:.1f} s")


@contextmanager
def _watching(total: int) -> Iterator[Callable[[Any], None]]:
    """How the drive is shown: a live table on a terminal, now and then a line elsewhere."""
    if is_terminal():
        from rich.live import Live

        from orchestrator.cli.blocks import rich_page

        with Live(transient=True, auto_refresh=False) as live:
            yield lambda dump: live.update(rich_page(_progress_page(dump, total)), refresh=True)
        return
    told_at = time.monotonic()

    def tell(dump: Any) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TOLD_EVERY_SECONDS:
            told_at = time.monotonic()
            _say(f"  {total - dump['totals']['targets_pending']} of {total} targets")

    yield tell


def _progress_page(dump: Any, total: int) -> Page:
    done = total - dump["totals"]["targets_pending"]
    filled = round(40 * done / total) if total else 40
    rows = [
        (shop["name"], ", ".join(f"{state} {number}" for state, number in shop["by_state"].items() if number))
        for shop in dump["shops"]
    ]
    bar = line(Cell("━" * filled, "good"), Cell("━" * (40 - filled), "dim"), f" {done} of {total} targets")
    return [bar, grid(("SHOP", "ORDERS"), rows)]


def _tell(client: Client, submitted: list[Submitted]) -> bool:
    """A line for each scene: how many of its orders are where they should be. Answers whether all are."""
    arrived: Counter[tuple[str, str]] = Counter()
    orders: Counter[tuple[str, str]] = Counter()
    troubles: list[str] = []
    for entry in submitted:
        key = (entry.shop, entry.scene.title)
        orders[key] += 1
        found = troubles_of(client, entry)
        troubles += [f"{entry.shop} {entry.order} ({entry.scene.title}): {trouble}" for trouble in found]
        arrived[key] += not found
    rows = [
        (shop, title, str(count), Cell(str(arrived[shop, title]), "good" if arrived[shop, title] == count else "bad"))
        for (shop, title), count in orders.items()
    ]
    _say("")
    show([grid(("SHOP", "SCENE", "ORDERS", "AS THEY SHOULD"), rows, right=(2, 3))])
    refusals = next((entry.refusals for entry in submitted if entry.refusals), [])
    if refusals:
        _say("")
        show([line("refused, as it should be:"), *(line(text, indent=2) for text in refusals)])
    if troubles:
        _say("")
        show([line(Cell("not as it should be:", "bad")), *(line(text, indent=2) for text in troubles)])
    return not troubles


def _tell_ledger(stage: Stage) -> bool:
    """What the platforms saw. Answers whether nothing happened twice or out of turn there."""
    summary = Client(Address("the sandbox", url=stage.sandbox_url)).get("/_sandbox/summary").json()
    faults = ", ".join(f"{number} {name}" for name, number in summary["by_fault"].items()) or "none"
    twice, astray = summary["repeats_after_effect"], summary["out_of_sequence"]
    tone: Tone = "bad" if twice or astray else "good"
    _say(f"the platforms took {summary['calls']} calls, {summary['effects']} had an effect; faults: {faults}")
    show([line(Cell(f"done twice: {twice}, out of turn: {astray}", tone))])
    return not twice and not astray


def _stay(stage: Stage) -> None:
    """Leaves everything running for whoever wants to look around, until Ctrl-C."""
    _say("")
    _say(f"the daemon stays until Ctrl-C; dashboard: {stage.dashboard} (password in {stage.directory / 'token'})")
    _say(f"try: fulfilld --socket {stage.socket} status --watch")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _say("")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
