"""Which platforms there are: those built in, and those that other packages bring."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.registry import BUILT_IN, GROUP, PLATFORMS, Registry


def brought(name: str, value: str, package: str = "platform-x") -> EntryPoint:
    point = EntryPoint(name, value, GROUP)
    vars(point)["dist"] = SimpleNamespace(name=package, version="1.2")
    return point


def registry(*points: EntryPoint) -> Registry:
    return Registry(BUILT_IN, lambda: list(points))


def other(**changes: Any) -> Any:
    return SimpleNamespace(**{"name": "other", "api": 1, **changes})


OTHER = other()
OLD = other(api=0)
MISNAMED = other(name="another")


def test_every_platform_is_known_by_its_own_name_and_can_be_opened_and_simulated() -> None:
    for name, platform in PLATFORMS.items():
        assert platform.name == name
        assert platform.machine({}).platform == name
        assert platform.sandbox is not None
        assert {shop["platform"] for shop in platform.example.values()} == {name}
        assert PLATFORMS.origin(name) is None


def test_a_platform_of_another_package_stands_behind_those_built_in() -> None:
    found = registry(brought("other", f"{__name__}:OTHER"))
    assert list(found) == [*BUILT_IN, "other"]
    assert "other" in found
    assert found["other"] is OTHER
    assert found.origin("other") == "platform-x 1.2"
    with pytest.raises(KeyError):
        found["nobody's"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (f"{__name__}:OLD", "the platform 'other' of platform-x 1.2 is not made for version 1"),
        (f"{__name__}:MISNAMED", "is not a Platform of that name at"),
        (f"{__name__}:MISSING", "cannot be loaded from"),
        ("no_such_module:PLATFORM", "cannot be loaded from no_such_module:PLATFORM (ModuleNotFoundError"),
    ],
)
def test_a_platform_that_cannot_be_used_is_left_out_and_said_with_its_package(value: str, words: str) -> None:
    found = registry(brought("other", value))
    assert list(found) == list(BUILT_IN)
    assert "other" not in found
    assert words in found.troubles["other"]
    assert found.troubles["other"].endswith("; update or remove that package")


@pytest.mark.parametrize(
    ("points", "name", "whose"),
    [
        ([brought("shopify", f"{__name__}:OTHER")], "shopify", "fulfilld itself"),
        ([brought("other", f"{__name__}:OTHER", "a"), brought("other", f"{__name__}:OTHER", "b")], "other", "a 1.2"),
    ],
)
def test_a_name_that_is_taken_stays_with_the_first(points: list[EntryPoint], name: str, whose: str) -> None:
    found = registry(*points)
    assert f"claims a name that {whose} has" in found.troubles[name]
    assert found[name].name == name


def test_nothing_of_a_platform_is_imported_before_it_is_asked_for() -> None:
    script = (
        "import json, sys; from orchestrator.registry import PLATFORMS; PLATFORMS['xsale'];"
        "print(json.dumps([m for m in sys.modules if m.startswith(('orchestrator.platforms.', 'statemachines.'))]))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout)
    assert "orchestrator.platforms.xsale" in loaded
    assert not [module for module in loaded if any(name in module for name in ("selldone", "cloudsuite", "shopify"))]
    assert not [module for module in loaded if module.startswith("orchestrator.platforms.xsale.client")]
