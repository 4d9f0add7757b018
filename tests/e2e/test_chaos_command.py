"""What `python -m tests.chaos` makes of a call, without a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.chaos.__main__ import settings_of
from tests.chaos.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs/guarantees.md").read_text(encoding="utf-8")


def test_help_says_what_it_does_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_of(["--help"], {})
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "docs/guarantees.md" in shown
    assert set(re.findall(r"CHAOS_[A-Z]+", shown)) == set(re.findall(r"CHAOS_[A-Z]+", GUIDE))


@pytest.mark.parametrize("argument", ["--seconds=5", "-x", "more"])
def test_an_unknown_argument_is_refused(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_of([argument], {})
    assert ended.value.code == 2
    assert argument in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHAOS_SECONDS", "soon"),
        ("CHAOS_KILLS", "1.5"),
        ("CHAOS_SEED", "-1"),
        ("CHAOS_ORDERS", "nan"),
        ("ENGINE", "mysql"),
        ("NODES", "2"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_value(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_of([], {name: value})
    assert ended.value.code == 2
    assert f"{name}={value}" in capsys.readouterr().err


def test_settings_come_from_the_environment() -> None:
    given = {"CHAOS_SECONDS": "2.5", "CHAOS_KILLS": "0", "CHAOS_SEED": "9", "CHAOS_ORDERS": "4"}
    assert settings_of([], given) == ("storm", Settings(2.5, 0, 9, 4))
    assert settings_of([], {"CHAOS_SEED": "9", "CHAOS_KILLS": ""}) == ("storm", Settings(seed=9))
    what, several = settings_of(["storm"], {"CHAOS_SEED": "9", "ENGINE": "postgresql"})
    assert (what, several) == ("storm", Settings(seed=9, engine="postgresql", nodes=3))
    assert several.command.endswith("make chaos ENGINE=postgresql NODES=3")


def test_an_arrival_has_settings_of_its_own() -> None:
    what, arrival = settings_of(["arrival"], {"CHAOS_SEED": "9", "CHAOS_ORDERS": "4"})
    assert (what, arrival) == ("arrival", Settings(240, 30, 9, 4, "postgresql", 3, 6))
    assert arrival.arrival_command.endswith("CHAOS_ORDERS=4 CHAOS_SHOPS=6 make arrival NODES=3")
    with pytest.raises(SystemExit):
        settings_of(["arrival"], {"ENGINE": "sqlite"})
