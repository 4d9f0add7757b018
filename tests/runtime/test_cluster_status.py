"""Any node shows the whole cluster: who lives, who holds which shop, and what the holder knows of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from structlog.testing import capture_logs

from orchestrator import __version__
from orchestrator.clock import rfc3339
from orchestrator.operations.cluster import read_cluster
from orchestrator.operations.status import NodeNow, read_counts, status_dump
from orchestrator.operations.views.shops import shop_view
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.nodes import Presence, join
from storage.store import Store
from tests.support.committed import Committed
from tests.support.engines import store_url
from tests.support.leasing import holders, shared, supervisor_of
from tests.support.shopfloor import config_of

pytestmark = pytest.mark.engines("postgresql")


async def status(store: Store, supervisor: Any, name: str) -> Any:
    now = NodeNow(name, 1, 0, supervisor.is_draining, dict(supervisor.shops()))
    return status_dump(await store.read(read_counts), now, "postgresql://", 0, [], [])


async def test_each_node_shows_what_all_hold(tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    url = store_url(tmp_path)
    async with sandbox.running(), shared(url, committed) as store, anyio.create_task_group() as group:
        config = config_of(sandbox, tmp_path, platform=("selldone", "woocommerce"))
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")
        await first.start(group, config)
        await second.start(group, config)
        with anyio.fail_after(60):
            await committed.until(lambda: holders(store, config), lambda found: set(found.values()) == {"a", "b"})
            while not any(each.shops()["acme"].next_sync_at for each in (first, second)):  # noqa: ASYNC110 - it is begun
                await anyio.sleep(0.01)
        held = await holders(store, config)
        for supervisor, name in ((first, "a"), (second, "b")):
            await supervisor._membership.announce()
            dump = await status(cast("Store", store), supervisor, name)
            assert {shop["name"]: shop["holder"] for shop in dump["shops"]} == held
            assert {node["name"]: node["shops"] for node in dump["nodes"]} == {
                node: [shop for shop in sorted(held) if held[shop] == node] for node in ("a", "b")
            }
            assert all(node["seen_at"] for node in dump["nodes"])
            assert [node["version"] for node in dump["nodes"]] == [__version__, __version__]
        holder, other = (first, second) if held["acme"] == "a" else (second, first)
        await holder._membership.announce()
        cluster = await store.read(read_cluster)
        here, there = holder.shops()["acme"], cluster.completed(other.shops()["acme"])
        assert not there.is_leased
        assert there.holder == here.holder
        assert shop_view(there, None, 0)["next_sync_at"] == shop_view(here, None, 0)["next_sync_at"]
        assert shop_view(here, None, 0)["as_of"] is None
        assert shop_view(there, None, 0)["as_of"] == rfc3339(cluster.nodes[str(there.holder)].seen_at)
        assert there.rate_limit.available is not None
        await store.write(lambda tx: tx.execute("UPDATE nodes SET version = '0.3.0' WHERE name = 'b'"))
        versions = {node["name"]: node["version"] for node in (await status(cast("Store", store), first, "a"))["nodes"]}
        assert versions == {"a": __version__, "b": "0.3.0"}
        for supervisor in (first, second):
            await supervisor.drain(5)


async def test_a_node_that_is_silent_shows_at_once_and_one_that_is_lost_for_an_hour(tmp_path: Path) -> None:
    """As seen by the one that lives: the other is silent, then it has left everything behind."""
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), shared(store_url(tmp_path), committed) as store, anyio.create_task_group() as group:
        config = config_of(sandbox, tmp_path)
        first = supervisor_of(store, "a")
        await first.start(group, config)
        dead = Presence("0.3.0", ("acme", "xs"), facts={"xs": {}})
        await store.write(lambda tx: join(tx, "dead", dead, 250_000))
        late = "UPDATE nodes SET seen_at = seen_at - ?, expires_at = expires_at - ? WHERE name = 'dead'"
        lives, is_silent = await seen(store, first)
        assert (lives["dead"]["silent"], is_silent["acme"]) == (False, False)
        assert 0 <= lives["dead"]["seen_seconds"] < 100
        await store.write(lambda tx: tx.execute(late, (120_000, 120_000)))
        await store.write(lambda tx: tx.execute("UPDATE shops SET lease_holder = 'dead' WHERE name = 'acme'"))
        cluster = await store.read(read_cluster)
        assert cluster.nodes["dead"].is_silent
        elsewhere = replace(first.shops()["acme"], is_leased=False, holder=None)
        shown = shop_view(cluster.completed(elsewhere), None, 0)
        assert (shown["holder"], shown["holder_silent"]) == ("dead", True)
        assert cluster.views("a", [], 0, is_draining=False)[1]["silent"]
        await store.write(lambda tx: tx.execute(late, (250_000, 250_000)))
        await first._membership.announce()
        dump = await status(cast("Store", store), first, "a")
        assert [node["name"] for node in dump["nodes"]] == ["a"]
        [lost] = dump["lost_nodes"]
        assert (lost["name"], lost["version"], lost["shops"]) == ("dead", "0.3.0", ["xs"])
        assert lost["seen_at"] < lost["lost_at"]
        await first.drain(5)


async def seen(store: Any, supervisor: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    """The nodes by name, and of each shop whether its node is silent."""
    dump = await status(store, supervisor, "a")
    nodes = {node["name"]: node for node in dump["nodes"]}
    return nodes, {shop["name"]: shop["holder_silent"] for shop in dump["shops"]}


async def test_a_shop_that_is_handed_over_says_from_whom_and_to_whom(tmp_path: Path) -> None:
    sandbox, committed = Sandbox(SandboxSettings(orders=1)), Committed()
    async with sandbox.running(), shared(store_url(tmp_path), committed) as store, anyio.create_task_group() as group:
        config = config_of(sandbox, tmp_path)
        first, second = supervisor_of(store, "a"), supervisor_of(store, "b")
        with capture_logs() as lines:
            await first.start(group, config)
            await second.start(group, config)
            await first._membership.announce()  # it knows of the other one
            await first.drain(5)
            with anyio.fail_after(60):
                await committed.until(lambda: holders(store, config), lambda found: found == {"acme": "b"})
        given, *_ = [line for line in lines if line["event"] == "shop.handed_over"]
        assert (given["shop"], given["to"]) == ("acme", "b")
        taken = [(line["from"], line["why"]) for line in lines if line["event"] == "shop.taken_over"]
        assert taken == [(None, "free"), ("a", "handed_over")]
        [shop] = (await status(cast("Store", store), second, "b"))["shops"]
        assert (shop["takeover"]["from"], shop["takeover"]["why"]) == ("a", "handed_over")
        assert shop["takeover"]["idle_since"] <= shop["takeover"]["at"]
        await second.drain(5)


@pytest.mark.engines("sqlite")
async def test_a_node_that_is_alone_is_the_only_one(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), shared(store_url(tmp_path)) as store, anyio.create_task_group() as group:
        config = config_of(sandbox, tmp_path)
        plain = store._store
        supervisor = supervisor_of(plain, "a")  # type: ignore[arg-type]
        await supervisor.start(group, config)
        dump = await status(plain, supervisor, "a")
        [node] = dump["nodes"]
        assert (node["name"], node["version"], node["shops"]) == ("a", __version__, ["acme"])
        assert dump["shops"][0]["holder"] == "a"
        assert (node["silent"], node["seen_seconds"], dump["lost_nodes"]) == (False, 0.0, [])
        assert (dump["shops"][0]["holder_silent"], dump["shops"][0]["takeover"]) == (False, None)
        await supervisor.drain(5)
