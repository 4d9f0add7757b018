"""A store that took another one's place waits for a person: a backup that was put back, a file that was copied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.process.restored import Here
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.engines import engine_of
from storage.sqlite.backup import backup
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.engines("sqlite")  # another engine has its own backups

NOW = 1_760_000_000_000


async def ended(daemon: DaemonProcess, target: str) -> str:
    _, found = await daemon.call("GET", f"/v1/targets/{target}?wait=50")
    return str(found["status"])


async def status_dump(daemon: DaemonProcess) -> dict[str, Any]:
    _, status = await daemon.call("GET", "/v1/status")
    return dict(status)


def put_back(daemon: DaemonProcess, copy: Path) -> None:
    for name in ("fulfilld.db", "fulfilld.db-wal", "fulfilld.db-shm"):
        (daemon.folder / name).unlink(missing_ok=True)
    shutil.move(copy, daemon.folder / "fulfilld.db")


async def a_pending_target(daemon: DaemonProcess, shop: str, order: str, copy: Path) -> tuple[str, str, int]:
    """A target that is pending in the copy and was cancelled after it was made: its id, the feed, its newest cursor."""
    daemon.start()
    await daemon.ready()
    path = f"/v1/shops/{shop}/orders/{order}"
    assert (await daemon.call("POST", f"{path}/refresh"))[0] == 200  # it may not be imported yet
    assert (await daemon.call("POST", f"{path}/hold", {"reason": "a call"}))[0] == 200
    status, target = await daemon.call("POST", f"{path}/targets", {"state": "delivered"})
    assert status == 202
    await daemon.call("POST", "/v1/consumers/erp/ack", {"cursor": 1})
    backup(daemon.folder / "fulfilld.db", copy, NOW)
    await daemon.call("DELETE", f"/v1/targets/{target['id']}")
    await daemon.call("POST", f"{path}/release")
    shown = await status_dump(daemon)
    assert await daemon.terminate() == 0
    return str(target["id"]), str(shown["daemon"]["feed"]), int(shown["totals"]["events_last_cursor"])


async def test_a_backup_that_was_put_back_waits_until_a_person_has_looked(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        target, feed, newest = await a_pending_target(daemon, shop, order, tmp_path / "copy.db")
        put_back(daemon, tmp_path / "copy.db")
        daemon.start()
        await daemon.ready()
        status = await status_dump(daemon)
        (seen,) = status["shops"]
        assert (seen["paused"], seen["paused_by"], seen["wait"]["reason"]) == (True, "restore", "restore")
        assert status["daemon"]["feed"] not in ("", feed)
        await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/release")
        _, waiting = await daemon.call("GET", f"/v1/shops/{shop}/orders/{order}")
        assert (waiting["situation"], waiting["wait"]["reason"]) == ("waiting", "restore")
        assert (await daemon.logged("store.restored")).count("store.restored") == 1
        code, problem = await daemon.call("GET", f"/v1/events?after={newest + 50}&wait=50")
        assert (code, problem["type"], problem["feed"]) == (409, "cursor-ahead", status["daemon"]["feed"])
        code, problem = await daemon.call("GET", f"/v1/events?after=0&feed={feed}")
        assert (code, problem["type"]) == (409, "cursor-ahead")
        _, page = await daemon.call("GET", "/v1/consumers/erp/events?limit=1")
        assert page["events"][0]["cursor"] == 2

        await daemon.call("DELETE", f"/v1/targets/{target}")
        assert (await daemon.call("POST", f"/v1/shops/{shop}/resume"))[1]["paused"] is False
        _, again = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets", {"state": "accepted"})
        assert await ended(daemon, again["id"]) == "reached"
        assert await daemon.terminate() == 0

        daemon.start()
        await daemon.ready()
        again_status = await status_dump(daemon)
        assert again_status["daemon"]["feed"] == status["daemon"]["feed"]
        assert again_status["shops"][0]["paused"] is False


async def test_a_restored_store_stays_paused_over_restarts_and_goes_on_when_resumed(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        target, _, _ = await a_pending_target(daemon, shop, order, tmp_path / "copy.db")
        put_back(daemon, tmp_path / "copy.db")
        for _ in range(2):
            daemon.start()
            await daemon.ready()
            assert (await status_dump(daemon))["shops"][0]["paused_by"] == "restore"
            await daemon.logged("store.restored")
            daemon.kill()
        assert daemon.errors.read_text().count("store.restored") == 1
        daemon.start(None, "--drive-restored")
        await daemon.ready()
        assert (await status_dump(daemon))["shops"][0]["paused"] is False
        await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/release")
        assert await ended(daemon, target) == "reached"


async def test_a_copied_file_that_is_started_elsewhere_waits_and_the_first_one_goes_on(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    there = tmp_path / "there"
    there.mkdir()
    async with sandbox.running(), daemon_process(tmp_path) as daemon, daemon_process(there) as other:
        daemon.configure(sandbox)
        other.configure(sandbox)
        daemon.start()
        await daemon.ready()
        feed = (await status_dump(daemon))["daemon"]["feed"]
        assert await daemon.terminate() == 0
        shutil.copy(tmp_path / "fulfilld.db", there / "fulfilld.db")
        other.start()
        await other.ready()
        status = await status_dump(other)
        assert status["shops"][0]["paused_by"] == "restore"
        assert str(tmp_path / "fulfilld.db") in status["shops"][0]["paused_reason"]
        assert status["daemon"]["feed"] != feed
        daemon.start()
        await daemon.ready()
        status = await status_dump(daemon)
        assert (status["shops"][0]["paused"], status["daemon"]["feed"]) == (False, feed)


async def test_a_shop_that_is_new_in_the_config_waits_with_the_others(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        backup(tmp_path / "fulfilld.db", tmp_path / "copy.db", NOW)
        assert await daemon.terminate() == 0
        put_back(daemon, tmp_path / "copy.db")
        config = json.loads((tmp_path / "config.json").read_text())
        new = next(s for s in sandbox.config()["shops"].values() if s["platform"] == "xsale")
        config["shops"]["new-one"] = new
        (tmp_path / "config.json").write_text(json.dumps(config))
        daemon.start()
        await daemon.ready()
        assert [shop["paused_by"] for shop in (await status_dump(daemon))["shops"]] == ["restore", "restore"]


@pytest.mark.parametrize("text", [b"", b"\n", None])
def test_a_machine_without_an_id_is_known_by_the_path_alone(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / "machine-id").write_bytes(text)
    here = Here.of(engine_of(f"sqlite:///{tmp_path}/fulfilld.db"), tmp_path / "machine-id")
    assert here == Here(None, str((tmp_path / "fulfilld.db").resolve()))


def test_a_machines_id_is_kept_as_a_digest_and_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    here = Here.of(engine_of(f"sqlite:///{tmp_path}/link/fulfilld.db"), tmp_path / "machine-id")
    assert here == Here.of(engine_of(f"sqlite:///{tmp_path}/data/fulfilld.db"), tmp_path / "machine-id")
    assert here.host is not None
    assert "0123" not in here.host
