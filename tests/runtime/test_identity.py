"""A shop's name in the config that comes to mean another shop, while the store has orders of the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing

from orchestrator.cli.doctor import mistaken
from orchestrator.config import Config, load
from orchestrator.decisions.refusals import Refused
from orchestrator.runtime.worker import ShopWorker
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Shop, TargetStatus
from storage.shops import get_shop, identities
from tests.support.config_files import ENVIRON
from tests.support.shopfloor import Shopfloor, config_of, working_on

EXAMPLE = Path(__file__).parents[2] / "config.example.json"


def changed(config: Config, **keys: Any) -> Config:
    """The same file with other keys of the one shop."""
    tree = json.loads(config.path.read_text())
    tree["shops"]["acme"].update(keys)
    config.path.write_text(json.dumps(tree))
    return load(config.path)


def warnings_of(logs: list[Any]) -> list[dict[str, Any]]:
    return [entry for entry in logs if entry["event"] == "shop.identity_changed"]


def sandbox_url(floor: Shopfloor) -> str:
    return str(floor.sandbox.config()["shops"]["acme"]["base_url"])


async def kept(floor: Shopfloor) -> dict[str, str]:
    return await floor.store.read(identities)


async def test_a_start_with_another_shop_under_the_name_is_reported_each_time_and_by_doctor(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        first = config_of(sandbox, tmp_path)
        async with working_on(sandbox, first, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            before = await kept(floor)
        assert mistaken(first) == {}
        second = changed(first, shop_id=4711)
        for _ in range(2):
            with structlog.testing.capture_logs() as logs:
                async with working_on(sandbox, second, tmp_path) as floor:
                    assert await kept(floor) == before, "what the orders are of does not change with the config"
            (entry,) = warnings_of(logs)
            assert entry["log_level"] == "error", "the shop waits for a person"
            assert entry["was"] == before["acme"] == first.shops["acme"].identity()
            assert entry["now"] == second.shops["acme"].identity()
            assert "a name of its own" in entry["detail"]
        ((finding,),) = mistaken(second).values()
        assert finding.status == "warning"
        assert before["acme"] in finding.detail
        assert "shop_id 4711" in finding.detail
        assert "a name of its own" in finding.detail


async def test_a_reload_to_another_shop_is_reported(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            with structlog.testing.capture_logs() as logs:
                await floor.supervisor.reload(changed(config, chaining="strict"))
            assert warnings_of(logs) == [], "another way of working is the same shop"
            with structlog.testing.capture_logs() as logs:
                await floor.supervisor.reload(changed(config, base_url="http://127.0.0.1:9"))
            assert [entry["now"] for entry in warnings_of(logs)] == ["selldone at http://127.0.0.1:9, shop_id 12345"]


async def shop_row(floor: Shopfloor, name: str) -> Shop:
    found = await floor.store.read(lambda tx: get_shop(tx, name))
    assert found is not None
    return found


async def test_names_that_are_swapped_touch_no_order_and_go_on_when_they_are_swapped_back(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform=("selldone", "cloudsuite"))
        right = json.loads(config.path.read_text())
        async with working_on(sandbox, config, tmp_path) as floor:
            for shop in ("acme", "cs"):
                await floor.commands.sync(shop, 30)
            before = await floor.orders()
            (order,) = sandbox.selldone.order_ids()
            await floor.commands.hold("acme", order, None)
            target = await floor.submit(order, "accepted")
            shops = right["shops"]
            config.path.write_text(json.dumps({**right, "shops": {"acme": shops["cs"], "cs": shops["acme"]}}))
            await floor.supervisor.reload(load(config.path))
            assert {each.data["by"] for each in await floor.event("shop.paused", count=2)} == {"another_account"}
            row = await shop_row(floor, "acme")
            assert (row.paused_by, "selldone" in str(row.paused_reason)) == ("another_account", True)
            assert "cloudsuite" in str(row.paused_reason)
            with pytest.raises(Refused, match="another account"):
                await floor.commands.refresh("acme", order)
            assert [(each.shop, each.id, each.gone_at) for each in await floor.orders()] == [
                (each.shop, each.id, None) for each in before
            ]
            config.path.write_text(json.dumps(right))
            await floor.supervisor.reload(load(config.path))
            await floor.commands.release("acme", order)
            with anyio.fail_after(60):
                assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert {each.data["by"] for each in await floor.event("shop.resumed", count=2)} == {"config"}


async def test_a_person_who_resumes_it_says_that_it_is_the_same_shop(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        first = config_of(sandbox, tmp_path)
        async with working_on(sandbox, first, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
        second = changed(first, shop_id=4711)
        async with working_on(sandbox, second, tmp_path) as floor:
            await floor.commands.resume("acme")
            assert (
                await shop_row(floor, "acme")
            ).paused_by != "another_account"  # a sync may find that there is no 4711
        with structlog.testing.capture_logs() as logs:
            async with working_on(sandbox, second, tmp_path) as floor:
                assert (
                    await shop_row(floor, "acme")
                ).paused_by != "another_account"  # a sync may find that there is no 4711
        assert warnings_of(logs) == []


async def test_whoever_ends_a_pause_of_their_own_learns_of_the_other_account_first(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        first = config_of(sandbox, tmp_path)
        async with working_on(sandbox, first, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            await floor.commands.pause("acme", "stocktaking")
        async with working_on(sandbox, changed(first, shop_id=4711), tmp_path) as floor:
            assert (await shop_row(floor, "acme")).paused_by == "person"
            await floor.commands.resume("acme")
            assert (await shop_row(floor, "acme")).paused_by == "another_account"
            assert not worker_of(floor).admission.admits_calls


def worker_of(floor: Shopfloor) -> ShopWorker:
    worker = floor.supervisor.worker("acme")
    assert worker is not None
    return worker


async def test_a_shop_whose_address_alone_changed_goes_on(tmp_path: Path) -> None:
    sandbox, moved = Sandbox(SandboxSettings(orders=1)), Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), moved.running():
        first = config_of(sandbox, tmp_path)
        async with working_on(sandbox, first, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            url = moved.config()["shops"]["acme"]["base_url"]
            await floor.supervisor.reload(changed(first, base_url=url))
            assert (await shop_row(floor, "acme")).paused_by is None


async def test_a_shop_without_orders_may_become_another(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        right = config_of(sandbox, tmp_path).shops["acme"].options.model_dump()["shop_id"]
        mistyped = changed(config_of(sandbox, tmp_path), shop_id=4711)
        async with working_on(sandbox, mistyped, tmp_path):
            pass
        with structlog.testing.capture_logs() as logs:
            async with working_on(sandbox, changed(mistyped, shop_id=right), tmp_path) as floor:
                await floor.commands.sync("acme", 30)
                assert await kept(floor) == {"acme": f"selldone at {sandbox_url(floor)}, shop_id {right}"}
        assert warnings_of(logs) == []


def test_doctor_knows_nothing_of_a_store_that_is_not_there(tmp_path: Path) -> None:
    config = load_example(tmp_path)
    assert not config.storage.engine.files[0].exists()
    assert mistaken(config) == {}


@pytest.mark.parametrize(
    ("shop", "identity"),
    [
        ("acme", "selldone at https://api.selldone.com, shop_id 12345"),
        ("cs", "cloudsuite at https://api.cloudsuite.io, webshop 1"),
        ("xs", "xsale at https://api.xsale.ai, organization myorg_1234"),
        ("shopy", "shopify at https://shopy.myshopify.com, domain shopy.myshopify.com"),
    ],
)
def test_an_identity_names_the_shop_and_no_secret(tmp_path: Path, shop: str, identity: str) -> None:
    warnings_of = load_example(tmp_path).shops[shop].identity()
    assert warnings_of == identity
    assert not [secret for secret in ENVIRON.values() if secret in warnings_of]


def load_example(folder: Path) -> Config:
    path = folder / "fulfilld.json"
    path.write_text(EXAMPLE.read_text())
    return load(path, ENVIRON)
