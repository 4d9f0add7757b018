"""`import_since` in the config: what is taken, what is refused and with which words, what is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import ENVIRON, errors, loaded, with_shop


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2024-03-01", 1_709_251_200_000),
        ("2024-03-01T00:00:00Z", 1_709_251_200_000),
        ("2024-03-01t00:00:00z", 1_709_251_200_000),
        ("2024-03-01T01:00:00.250+01:00", 1_709_251_200_250),
        (None, None),
    ],
)
def test_import_since_is_a_date_at_midnight_in_utc_or_an_instant(
    tmp_path: Path, text: str | None, ms: int | None
) -> None:
    config = loaded(tmp_path, with_shop(import_since=text))
    assert config.shops["acme"].import_since == ms
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2024-03-01T08:00:00", "names no time zone"),
        ("2024-02-30", "not a valid date or time"),
        ("2024-03-01T25:00:00Z", "not a valid date or time"),
        ("01.03.2024", "must be a date"),
        ("2024-W10", "must be a date"),
        ("20240301", "must be a date"),
        ("", "must be a date"),
        (" 2024-03-01", "must be a date"),
        (1_709_251_200, "text"),
    ],
)
def test_what_is_no_time_is_refused_with_what_to_write(tmp_path: Path, value: object, words: str) -> None:
    (reported,) = errors(tmp_path, with_shop(import_since=value))
    assert reported.startswith("shops.acme.import_since")
    assert words in reported


def test_an_import_since_of_the_future_is_warned_of(tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, with_shop(import_since="2999-01-01")).warnings
    assert str(warning).startswith("shops.acme.import_since")
    assert "future" in str(warning)


def test_an_import_since_may_come_from_the_environment(tmp_path: Path) -> None:
    tree = with_shop(import_since={"env": "SINCE"})
    environ = {**ENVIRON, "SINCE": "2024-03-01"}
    assert loaded(tmp_path, tree, environ).shops["acme"].import_since == 1_709_251_200_000
