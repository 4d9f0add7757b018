"""docs/erp.md: its code is run as it stands there, its tables are what the platforms' machines say."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing.target_table import BEGIN, rewritten, target_tables
from tests.support.process import DaemonProcess, daemon_process

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "erp.md").read_text("utf-8")


def ten_minutes() -> str:
    """What "In ten minutes" has people type, with the example in Python, in bash; all but the installation."""
    section = PAGE.partition("## In ten minutes\n")[2].partition("\n## ")[0]
    start, after = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    installation, *begun = re.findall(r"^\$ (.*)$", start, re.MULTILINE)
    assert installation == "make install && source .venv/bin/activate"
    [example] = re.findall(r"^\| Python \| `(.*)` \|$", section, re.MULTILINE)
    end = re.findall(r"`(kill .*)`", section)
    return "\n".join(["set -e", *begun, example, *re.findall(r"^\$ (.*)$", after, re.MULTILINE), example, *end, "wait"])


@pytest.mark.e2e
async def test_the_ten_minutes_go_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "clients").symlink_to(ROOT / "clients")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {key: value for key, value in os.environ.items() if not key.startswith("FULFILLD_")}
    command = ["bash", "-c", ten_minutes()]
    process = await anyio.open_process(
        command, cwd=tmp_path, env={**own, "PATH": path}, stderr=None, start_new_session=True
    )
    try:
        assert process.stdout is not None
        with anyio.fail_after(120):
            said = b"".join([piece async for piece in process.stdout]).decode()
            assert await process.wait() == 0, said
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    shipped = re.findall(r"^(\w+ \d+) reached$", said, re.MULTILINE)
    assert len(shipped) == 30
    assert len(set(shipped)) == 15, "the second time it is the same ones"
    assert '\n    "content": {' in said


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`fulfilld.py` can be imported, as beside an ERP's own code."""
    monkeypatch.syspath_prepend(str(ROOT / "clients" / "python"))
    yield
    sys.modules.pop("fulfilld", None)


def bridge() -> dict[str, Any]:
    """What the code of the page defines."""
    defined: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(code, "docs/erp.md", "exec"), defined)
    return defined


async def seen(daemon: DaemonProcess, shop: str, erp: dict[str, Any]) -> None:
    """What happened in the shop is imported, and the bridge works off what that made."""
    assert (await daemon.call("POST", f"/v1/shops/{shop}/sync?wait=15"))[0] == 200
    await anyio.to_thread.run_sync(erp["work"], False)


async def reached(erp: dict[str, Any], target: Any) -> None:
    answer = await anyio.to_thread.run_sync(partial(erp["erp"].target, target["id"], wait_seconds=30))
    assert answer["status"] == "reached", answer


@pytest.mark.e2e
@pytest.mark.usefixtures("clients")
async def test_the_four_stories_go_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(SandboxSettings(orders=4))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox, "shopify")
        daemon.start()
        await daemon.ready()
        monkeypatch.setenv("FULFILLD_SOCKET", str(daemon.socket))
        platform, erp = sandbox.platforms["shopify"], bridge()
        with anyio.fail_after(120):
            await seen(daemon, shop, erp)
            booked = [order for _, order in erp["sales"]]
            assert len(booked) >= 3, "an order comes"
            shipped, bought_off, given_up = booked[:3]
            content = (await daemon.call("GET", f"/v1/shops/{shop}/orders/{shipped}?include=content"))[1]["content"]
            assert erp["sales"][shop, shipped] == {line["id"]: line["quantity"] for line in content["lines"]}

            first = [{"id": content["lines"][0]["id"], "quantity": 1}]
            for box, lines in (("B-1", first), ("B-2", None), ("B-2", None)):
                leave = partial(erp["a_box_left"], shop, shipped, box, [f"3S-{box}"], lines)
                await reached(erp, await anyio.to_thread.run_sync(leave))
            parcels = (await daemon.call("GET", f"/v1/shops/{shop}/orders/{shipped}"))[1]["parcels"]
            assert [parcel["number"] for parcel in parcels] == ["B-1", "B-2"], "a box leaves"

            platform.operate({"action": "cancel", "order": bought_off})
            for order in (given_up, shipped):
                await anyio.to_thread.run_sync(erp["we_cancel"], shop, order, "customer")
            assert list(erp["for_a_person"]) == [(shop, shipped)], "it has left"
            await seen(daemon, shop, erp)
            while (shop, given_up) in erp["sales"]:
                await seen(daemon, shop, erp)
            assert (shop, bought_off) not in erp["sales"], "somebody cancels"

            platform.operate({"action": "return", "order": shipped})
            await seen(daemon, shop, erp)
            [note] = erp["credits"].values()
            assert set(note) <= set(erp["sales"][shop, shipped]), "something comes back"


async def test_the_tables_are_as_make_docs_writes_them() -> None:
    assert BEGIN in PAGE
    assert rewritten(PAGE, await target_tables()) == PAGE, "run `make docs`"
