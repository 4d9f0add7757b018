"""A shop's name in the config that comes to mean another shop, while the store has orders of the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from orchestrator.cli.doctor import mistaken
from orchestrator.config import Config, load
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.shops import identities
from tests.support.config_files import ENVIRON
from tests.support.shopfloor import Shopfloor, config_of, working_on

EXAMPLE = Path(__file__).parents[2] / "config.example.json"


def changed(config: Config, **keys: Any) -> Config:
    """The same file with other keys of the one shop."""
    tree = json.loads(config.path.read_text())
    tree["shops"]["acme"].update(keys)
    config.path.write_text(json.dumps(tree))
    return load(config.path)


def told(logs: list[Any]) -> list[dict[str, Any]]:
    return [entry for entry in logs if entry["event"] == "shop.identity_changed"]


def sandbox_url(floor: Shopfloor) -> str:
    return str(floor.sandbox.config()["shops"]["acme"]["base_url"])


async def kept(floor: Shopfloor) -> dict[str, str]:
    return await floor.store.read(identities)


async def test_a_start_with_another_shop_under_the_name_is_told_each_time_and_by_doctor(tmp_path: Path) -> None:
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
            (entry,) = told(logs)
            assert entry["log_level"] == "warning"
            assert entry["was"] == before["acme"] == first.shops["acme"].identity()
            assert entry["now"] == second.shops["acme"].identity()
            assert "a name of its own" in entry["detail"]
        ((finding,),) = mistaken(second).values()
        assert finding.status == "warning"
        assert before["acme"] in finding.detail
        assert "shop_id 4711" in finding.detail
        assert "a name of its own" in finding.detail


async def test_a_reload_to_another_shop_is_told(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("acme", 30)
            with structlog.testing.capture_logs() as logs:
                await floor.supervisor.reload(changed(config, chaining="strict"))
            assert told(logs) == [], "another way of working is the same shop"
            with structlog.testing.capture_logs() as logs:
                await floor.supervisor.reload(changed(config, base_url="http://127.0.0.1:9"))
            assert [entry["now"] for entry in told(logs)] == ["selldone at http://127.0.0.1:9, shop_id 12345"]


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
        assert told(logs) == []


def test_doctor_knows_nothing_of_a_store_that_is_not_there(tmp_path: Path) -> None:
    config = load_example(tmp_path)
    assert not config.storage.path.exists()
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
    told = load_example(tmp_path).shops[shop].identity()
    assert told == identity
    assert not [secret for secret in ENVIRON.values() if secret in told]


def load_example(folder: Path) -> Config:
    path = folder / "fulfilld.json"
    path.write_text(EXAMPLE.read_text())
    return load(path, ENVIRON)
