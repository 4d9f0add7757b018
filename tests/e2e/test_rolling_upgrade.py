"""Two versions on one store, on PostgreSQL at once: either goes on without the other, and nothing happens twice."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from storage.migrations import all_migrations, newest_schema
from tests.support.erp import WALK
from tests.support.previous import PREVIOUS
from tests.support.process import QUICK, DaemonProcess
from tests.support.versions import ROOT, daemon_of, has_commit, later_release, previous_release

pytestmark = pytest.mark.e2e

EXPAND = "ALTER TABLE orders ADD COLUMN later TEXT;\n"
INDEX = "CREATE INDEX orders_later ON orders (later);\n"
CONTRACT = f"-- least: {newest_schema() + 2}\nDROP INDEX targets_ended;\n"
WAVE = 2  # orders of each shop


class World:
    """Two simulated shops and a store. Orders move in waves, each once."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox, self._url = sandbox, url
        self.name = postgres.name_of(url)
        self._shops = {name: shop for name, shop in sandbox.config()["shops"].items() if shop["platform"] == "selldone"}
        stock = zip(self._shops, sandbox.selldone.shops_by_key.values(), strict=True)
        self._orders = {name: [str(order) for order in sandbox.selldone.states_of(shop)] for name, shop in stock}
        self._moved = 0

    def configure(self, *daemons: DaemonProcess) -> None:
        for daemon in daemons:
            config = {
                "storage": {"url": self._url, "lease_seconds": 2},
                "api": {"socket": str(daemon.socket)},
                "shops": {name: {**shop, **QUICK} for name, shop in self._shops.items()},
            }
            (daemon.folder / "config.json").write_text(json.dumps(config))

    def holders(self) -> set[str]:
        """Which nodes have shops."""
        with postgres.server().asked(self.name) as server:
            return {str(holder) for (holder,) in server.execute("SELECT lease_holder FROM shops").fetchall()}

    def schemas(self) -> set[int]:
        """Which schemas the programs of the nodes know."""
        with postgres.server().asked(self.name) as server:
            return {known for (known,) in server.execute("SELECT schema_version FROM nodes").fetchall()}

    async def shared(self) -> None:
        """Waits until two nodes have a shop each."""
        with anyio.fail_after(120):
            while len(self.holders() - {"None"}) < len(self._shops):  # noqa: ASYNC110 - another process does it
                await anyio.sleep(0.05)

    async def move(self, *daemons: DaemonProcess) -> None:
        """A wave reaches its targets."""
        await self.arrive(await self.begin(*daemons), *daemons)

    async def begin(self, *daemons: DaemonProcess) -> list[str]:
        """A wave of orders of both shops is submitted at these daemons in turn; answers the targets' ids."""
        first, self._moved = self._moved, self._moved + WAVE
        wave = [(shop, order) for shop, orders in self._orders.items() for order in orders[first : self._moved]]
        assert wave
        targets = []
        for number, (shop, order) in enumerate(wave):
            path = f"/v1/shops/{shop}/orders/{order}/targets"
            body = {"state": "delivered", "tracking": {"code": f"T{order}"}}
            daemon, key = daemons[number % len(daemons)], {"Idempotency-Key": f"{shop}-{order}"}
            status, answer = await daemon.call("POST", path, body, key)
            while status == 503:  # a node that a loaded machine held up may have lost its lease for a moment
                await anyio.sleep(0.1)
                status, answer = await daemon.call("POST", path, body, key)
            assert status == 202, answer
            targets.append(str(answer["id"]))
        return targets

    async def arrive(self, targets: list[str], *daemons: DaemonProcess) -> None:
        """Waits until all are reached, asking these daemons in turn."""
        for number, target in enumerate(targets):
            with anyio.fail_after(120):
                while (answer := await self._asked(daemons[number % len(daemons)], target))["status"] != "reached":
                    assert answer["status"] not in {"failed", "blocked", "cancelled"}, answer

    async def _asked(self, daemon: DaemonProcess, target: str) -> dict[str, Any]:
        found: dict[str, Any] = (await daemon.call("GET", f"/v1/targets/{target}?wait=2"))[1]
        return found

    async def imported(self, daemon: DaemonProcess) -> None:
        """Waits until the daemon knows all orders."""
        with anyio.fail_after(120):
            for shop, orders in self._orders.items():
                for order in orders:
                    while (await daemon.call("GET", f"/v1/shops/{shop}/orders/{order}"))[0] != 200:  # noqa: ASYNC110
                        await anyio.sleep(0.05)

    def did_nothing_twice(self) -> None:
        for orders in self._orders.values():
            for order in orders[: self._moved]:
                assert self.sandbox.ledger.effects(order) == WALK
        assert self.sandbox.ledger.repeats_after_effect() == []
        assert self.sandbox.ledger.out_of_sequence() == []


async def test_the_version_before_works_beside_the_new_one_and_goes_on_without_it(tmp_path: Path, url: str) -> None:
    before = previous_release(tmp_path / "before")
    sandbox = Sandbox(SandboxSettings(orders=5 * WAVE, shops=2, latency_ms=50))
    with daemon_of(before, tmp_path / "old") as old, daemon_of(ROOT, tmp_path / "new") as new:
        async with sandbox.running():
            world = World(sandbox, url)
            world.configure(old, new)
            old.start()
            await old.ready()
            await world.imported(old)
            await world.move(old)
            new.start()
            await new.ready()
            await world.shared()
            assert world.schemas() == {PREVIOUS.schema, newest_schema()}
            await world.move(old, new)
            targets = await world.begin(old, new)
            await new.terminate()  # the way back, with calls on their way
            await world.arrive(targets, old)
            new.start()
            await new.ready()
            await world.shared()
            targets = await world.begin(old, new)
            old.kill()
            await world.arrive(targets, new)
            world.did_nothing_twice()
            assert await new.terminate() == 0


async def test_a_file_goes_to_the_new_version_and_back_amid_calls(tmp_path: Path) -> None:
    before = previous_release(tmp_path / "before")
    sandbox = Sandbox(SandboxSettings(orders=5 * WAVE, shops=2, latency_ms=50))
    with daemon_of(before, tmp_path / "old") as old, daemon_of(ROOT, tmp_path / "new") as new:
        async with sandbox.running():
            world = World(sandbox, f"sqlite:///{tmp_path}/fulfilld.db")
            world.configure(old, new)
            old.start()
            await old.ready()
            await world.imported(old)
            for going, coming in ((old, new), (new, old)):
                targets = await world.begin(going)
                going.kill()
                coming.start()
                await coming.ready()
                await world.arrive(targets, coming)
            world.did_nothing_twice()
            assert await old.terminate() == 0


async def test_what_a_version_to_come_takes_away_waits_until_no_node_of_this_one_lives(
    tmp_path: Path, url: str
) -> None:
    migrations = {"later": EXPAND, "later.index": INDEX, "never.contract": CONTRACT}
    later = later_release(tmp_path / "later", migrations)
    sandbox = Sandbox(SandboxSettings(orders=5 * WAVE, shops=2, latency_ms=50))
    with daemon_of(ROOT, tmp_path / "this") as this, daemon_of(later, tmp_path / "next") as coming:
        async with sandbox.running():
            world = World(sandbox, url)
            world.configure(this, coming)
            this.start()
            await this.ready()
            await world.imported(this)
            await world.move(this)
            coming.start()
            await coming.ready()
            await coming.logged("store.contract_left")
            await world.shared()
            assert world.schemas() == {newest_schema(), newest_schema() + 3}
            targets = await world.begin(this, coming)
            this.kill()
            await world.arrive(targets, coming)
            this.start()  # on what was expanded
            await this.ready()
            await world.shared()
            await world.move(this, coming)
            assert await this.terminate() == 0
            assert await coming.terminate() == 0
            coming.start()
            await coming.ready()
            await world.move(coming)
            with postgres.server().asked(world.name) as server:
                found = server.execute("SELECT to_regclass('targets_ended'), to_regclass('orders_later')").fetchone()
            assert found == (None, "orders_later")
            this.start()
            assert await this.exited() == 2
            assert f"needs a fulfilld that knows at least {newest_schema() + 2}" in this.errors.read_text()
            world.did_nothing_twice()
            assert await coming.terminate() == 0


def test_the_release_before_knew_the_schema_that_new_migrations_are_counted_from(tmp_path: Path) -> None:
    there = previous_release(tmp_path / "before") / "storage" / "migrations"
    known = {path.name: path.read_text("utf-8") for path in there.glob("*.sql")}
    assert max(int(name[:4]) for name in known) == PREVIOUS.schema
    now = {path.name: path.read_text("utf-8") for path in (ROOT / "storage" / "migrations").glob("*.sql")}
    assert known.items() <= now.items(), "a migration that was released is never changed"
    assert len(all_migrations()) == len(now)


def test_a_release_that_is_absent_is_not_taken_for_one_that_git_cannot_read(tmp_path: Path) -> None:
    assert not has_commit(tmp_path, PREVIOUS.commit), "an archive of the source has no history"
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert not has_commit(tmp_path, PREVIOUS.commit)
    (tmp_path / ".git" / "HEAD").unlink()
    with pytest.raises(AssertionError, match="not a git repository"):
        has_commit(tmp_path, PREVIOUS.commit)
