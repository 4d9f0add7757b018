"""Rooms that all platforms share name none of them: neither in code nor in words, comments and literals alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.registry import PLATFORMS

ROOT = Path(__file__).parents[2]
ROOMS = ("orchestrator", "statemachines", "storage")
ENDINGS = {".py", ".sql", ".js", ".html", ".css"}

ALLOWED = {
    "orchestrator/registry.py": "the one line that registers a platform",
}
"""Files that may name platforms, each with its reason."""


def own_places() -> set[str]:
    """The folders and modules that belong to one platform, below each room's."""
    return {
        f"{room}/{name}{ending}"
        for room in ("orchestrator/platforms", "orchestrator/sandbox", "statemachines")
        for name in PLATFORMS
        for ending in ("", ".py")
    }


def shared_files() -> Iterator[Path]:
    own = own_places()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            places = {str(each.relative_to(ROOT)) for each in (path, *path.parents) if each.is_relative_to(ROOT / room)}
            if path.is_file() and path.suffix in ENDINGS and not places & own:
                yield path


def named(text: str, names: set[str]) -> list[str]:
    """The lines of a text that name a platform, in any spelling of the letters, also inside a longer word."""
    pattern = re.compile("|".join(map(re.escape, sorted(names))), re.IGNORECASE)
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def spellings() -> set[str]:
    return {spelling for name, platform in PLATFORMS.items() for spelling in (name, platform.title)}


def test_no_shared_room_names_a_platform() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in shared_files()
        if (lines := named(path.read_text(encoding="utf-8"), spellings()))
    }
    assert {place: lines for place, lines in found.items() if place not in ALLOWED} == {}
    assert set(found) == set(ALLOWED), "what names no platform any more needs no permission"


def test_a_name_is_found_wherever_it_stands() -> None:
    for name, platform in PLATFORMS.items():
        for text in (f"# {platform.title}'s way", f'TOPIC = "{name}/x"', f"def is_{name}_order():", name.upper()):
            assert named(f"nothing\n{text}", spellings()) == [f"2: {text}"]
    assert named("a platform, its shop and a webhook", spellings()) == []


def test_every_platforms_own_places_are_there() -> None:
    for name in PLATFORMS:
        assert any((ROOT / f"statemachines/{name}{ending}").exists() for ending in ("", ".py"))
        assert any((ROOT / f"orchestrator/platforms/{name}{ending}").exists() for ending in ("", ".py"))
