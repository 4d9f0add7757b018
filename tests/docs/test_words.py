"""One word for one thing, and the field's: what the glossary of docs/architecture.md replaced comes back nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("orchestrator", "statemachines", "storage")
ENDINGS = {".py", ".js", ".html", ".css", ".graphql"}

INSTEAD = {
    r"told|tells?|telling": "say, show, report, distinguish; `data`, `message`, `received` for names",
    r"heard|unheard": "received, processed, applied provisionally",
    r"news": "notification, change, event",
    r"sweeps?|swept|sweeping": "sync",
    r"lanes?": "slot, shop task, ordering key",
    r"gates?": "admission, wait",
    r"couriers?|outlets?|nudged?": "pusher, endpoint, wake",
    r"mend(?:s|ed|ing)?": "fix, repair, update",
    r"stumbled?|stumbles": "crash",
    r"unwise": "warning",
    r"looker|poller|standing": "reader, sync, order state",
    r"speaks?|spoken": "use, say, send",
    r"nonsense|makes? no sense": "invalid, unexpected",
}
"""Words that have a term of the field in their place, as patterns of whole words and of parts of names."""

COLUMNS = "a column of the store from before it had its name"
ALLOWED = {
    ("storage/rejected.py", "told"): COLUMNS,
    ("storage/deliveries.py", "lane"): COLUMNS,
    ("storage/deliveries.py", "lanes"): COLUMNS,
    ("storage/shops.py", "gate"): COLUMNS,
    ("storage/shops.py", "swept"): COLUMNS,
    ("docs/storage.md", "told"): COLUMNS,
    ("docs/storage.md", "lane"): COLUMNS,
    ("docs/storage.md", "gate"): COLUMNS,
    ("docs/storage.md", "swept"): COLUMNS,
}
"""Where such a word is right, each with its reason. Migrations stay as they were run, and so does the changelog."""

WORDS = re.compile(rf"(?<![a-z])(?:{'|'.join(INSTEAD)})(?![a-z])", re.IGNORECASE)
NEGATED = re.compile(r"(?<!there )(?<!and )\b(?:is|are) none\b")
"""A noun is missing: "is invalid", "is not one of"."""
HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def found_in(text: str) -> Iterator[tuple[int, str]]:
    """The words of the list in a text with their lines, also as parts of names (`save_gate`, `OrderNews`)."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in (*WORDS.finditer(HUMPS.sub("_", line)), *NEGATED.finditer(line)):
            yield number, match.group().lower()


def pages() -> list[Path]:
    return [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING"))]


def sources(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / room).rglob("*")) if path.suffix in ENDINGS]


@pytest.mark.parametrize("paths", [*map(sources, ROOMS), pages()], ids=[*ROOMS, "pages"])
def test_no_word_stands_where_the_field_has_a_term(paths: list[Path]) -> None:
    assert paths
    wrong = []
    for path in paths:
        place = str(path.relative_to(ROOT))
        words = found_in(path.read_text(encoding="utf-8"))
        wrong += sorted({f"{place}:{line}: {word}" for line, word in words if (place, word) not in ALLOWED})
    assert wrong == [], "say it in a term of the glossary"


def test_every_permission_is_used() -> None:
    used = {(place, word) for place, _ in ALLOWED for _, word in found_in((ROOT / place).read_text(encoding="utf-8"))}
    assert set(ALLOWED) <= used, "what says it no more needs no permission"


def test_tests_are_named_in_the_same_terms() -> None:
    names = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
    paths = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "orchestrator/testing").rglob("*.py")]
    wrong = {
        name: words
        for path in paths
        for name in names.findall(path.read_text(encoding="utf-8"))
        if (words := [word for _, word in found_in(name)])
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "text", ["it tells all", "OrderNews", "newsOf", "save_gate", "Sweep", "a heard word", "the text is none", "_told"]
)
def test_a_word_is_found_wherever_it_stands(text: str) -> None:
    assert [line for line, _ in found_in(f"clean\n{text}")] == [2]


@pytest.mark.parametrize("text", ["a gateway", "amended", "there is none", "a planet", "Aggregate", "the newest"])
def test_words_of_the_field_are_let_through(text: str) -> None:
    assert list(found_in(text)) == []
