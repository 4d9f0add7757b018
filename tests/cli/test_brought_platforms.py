"""Platforms that other packages bring, as the commands and the API show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.registry import BUILT_IN, GROUP, PLATFORMS, Registry
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.api.bench import bench
from tests.cli.fake import Run
from tests.support.made_up import MACHINE

PACKAGE = "platform-bazaar 1.2"


def build(options: Mapping[str, Any]) -> Any:
    del options
    return MACHINE


BAZAAR = SimpleNamespace(name="bazaar", api=1, machine=build, target_fields=None, sandbox=None)


def point(name: str, attribute: str) -> EntryPoint:
    found = EntryPoint(name, f"{__name__}:{attribute}", GROUP)
    vars(found)["dist"] = SimpleNamespace(name="platform-bazaar", version="1.2")
    return found


@pytest.fixture
def bazaar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package brings one platform that can be used and one that cannot."""
    installed = [point("bazaar", "BAZAAR"), point("broken", "MISSING")]
    monkeypatch.setitem(vars(PLATFORMS), "_brought", Registry(BUILT_IN, lambda: installed)._brought)
    monkeypatch.setattr(PLATFORMS, "_loaded", dict(PLATFORMS._loaded))


@pytest.mark.usefixtures("bazaar", "alone")
def test_machines_name_the_package_that_brings_a_platform(run: Run) -> None:
    assert f"bazaar is of the package {PACKAGE}\n" in run("machines", "bazaar").stdout
    assert run("machines").stdout.count(f"is of the package {PACKAGE}") == 1
    listed = {each["platform"]: each for each in json.loads(run("machines", "--format", "json").stdout)["machines"]}
    assert listed["bazaar"]["package"] == json.loads(run("machines", "bazaar", "--format", "json").stdout)["package"]
    assert [name for name, each in listed.items() if each.get("package") == PACKAGE] == ["bazaar"]
    assert "package" not in listed[next(iter(BUILT_IN))]


@pytest.mark.usefixtures("bazaar", "alone")
def test_machines_say_which_platform_of_a_package_is_missing_and_why(run: Run) -> None:
    why = f"the platform 'broken' of {PACKAGE} cannot be loaded"
    assert why in run("machines").stdout
    listed = json.loads(run("machines", "--format", "json").stdout)
    assert why in listed["unusable"]["broken"]
    assert why not in run("machines", "bazaar").stdout


@pytest.mark.usefixtures("bazaar")
async def test_the_api_says_which_platform_of_a_package_is_missing_too() -> None:
    why = f"the platform 'broken' of {PACKAGE} cannot be loaded"
    async with bench() as b:
        assert why in (await b.get("/v1/machines")).json()["unusable"]["broken"]
        assert why in (await b.get("/v1/machines?format=text")).body.decode()


async def test_nothing_is_said_of_packages_where_none_is_missing() -> None:
    async with bench() as b:
        assert "unusable" not in (await b.get("/v1/machines")).json()


@pytest.mark.usefixtures("bazaar")
def test_the_sandbox_says_what_of_a_package_it_cannot_simulate(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(BAZAAR, "sandbox", "platform_bazaar.nowhere:Simulation")
    served: list[SandboxSettings] = []
    monkeypatch.setattr("orchestrator.cli.simulation.run_sandbox", served.append)
    result = run("sandbox", "--orders", "1")
    assert result.exit_code == 0, result.output
    assert f"warning: the platform 'broken' of {PACKAGE} cannot be loaded" in result.stderr
    assert f"warning: the simulation of the platform 'bazaar' of {PACKAGE} cannot be loaded" in result.stderr
    assert set(Sandbox(served[0]).platforms) == {*BUILT_IN}


@pytest.mark.usefixtures("bazaar")
async def test_the_api_names_the_package_too() -> None:
    async with bench() as b:
        machine = (await b.get("/v1/machines/bazaar")).json()
        assert machine == {**MACHINE.describe(), "package": PACKAGE}
        assert PACKAGE in (await b.get("/v1/machines/bazaar?format=text")).body.decode()


@pytest.mark.usefixtures("bazaar")
def test_doctor_says_which_package_brings_a_platform_that_cannot_be_used(run: Run, alone: Any) -> None:
    (alone / "config.json").write_text(json.dumps({"storage": {"url": "sqlite:///s.db"}, "shops": {}}))
    result = run("doctor")
    assert result.exit_code == 0, result.output
    reported = " ".join(result.stdout.split())
    assert f"the platform 'broken' of {PACKAGE} cannot be loaded" in reported
    assert "update or remove that package" in reported
    assert "'bazaar'" not in reported
