"""What code and pages cite can be opened: sections of facts, entries of pitfalls, pages of the documentation."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "docs" / "facts"
PLATFORMS = sorted(page.stem for page in FACTS.glob("*.md"))
SECTION = re.compile(rf"\b({'|'.join(PLATFORMS)})\.md((?:,? (?:and )?§\d+(?:\.\d+)?)+)")
PITFALL = re.compile(r"\bpitfalls?(?:\.md)? ([A-Z]\d+)(?:-([A-Z]\d+))?")
PAGE = re.compile(r"\bdocs/[\w/-]+\.md\b")


def sources() -> Iterator[tuple[str, str]]:
    """Every text of ours with its path."""
    listed = subprocess.run(["git", "ls-files", "*.py", "*.sql", "*.md"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().split():
        if name != "CHANGELOG.md" and (ROOT / name).is_file():
            yield name, (ROOT / name).read_text("utf-8")


def sections_of(platform: str) -> set[str]:
    """The numbered sections of a page of facts, `5` and `5.2`."""
    text = (FACTS / f"{platform}.md").read_text("utf-8")
    return set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", text, re.MULTILINE))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_section_that_is_cited_is_there(platform: str) -> None:
    known, cited = sections_of(platform), set()
    for name, text in sources():
        for found in SECTION.finditer(text):
            if found[1] == platform:
                for number in re.findall(r"\d+(?:\.\d+)?", found[2]):
                    cited.add(number)
                    assert number in known, f"{name} cites {platform}.md §{number}, which docs/facts does not have"
    assert cited


def test_every_pitfall_that_is_cited_is_there() -> None:
    known = set(re.findall(r"^\| ([A-Z]\d+) \|", (ROOT / "docs" / "pitfalls.md").read_text("utf-8"), re.MULTILINE))
    for name, text in sources():
        for found in PITFALL.finditer(text):
            assert {entry for entry in found.groups() if entry} <= known, f"{name} cites {found[0]}"


def test_every_page_that_is_named_is_there() -> None:
    for name, text in sources():
        for page in PAGE.findall(text):
            assert (ROOT / page).is_file(), f"{name} names {page}"


LINK = re.compile(r"\[[^\]]*\]\(((?!https?:|mailto:)[^)\s]+)\)")
CODE = re.compile(r"```.*?```", re.DOTALL)
EXPECTED = {"../api.md#content"}  # the section comes with the place where content can be read
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """What a link to a heading is written as: lower case, blanks as hyphens, no other marks."""
    headings = HEADING.findall(CODE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_pages_leads_somewhere() -> None:
    found = 0
    for name, text in sources():
        for target in LINK.findall(CODE.sub("", text)) if name.endswith(".md") else ():
            path, _, anchor = target.partition("#")
            page = (ROOT / name).parent / path if path else ROOT / name
            assert page.exists(), f"{name} links to {target}"
            is_there = not anchor or anchor in anchors_of(page) or target in EXPECTED
            assert is_there, f"{name} links to {target}, a heading that is not there"
            found += 1
    assert found


def test_every_module_that_a_page_names_is_there() -> None:
    rooms = "|".join(path.parent.name for path in (ROOT / "orchestrator").glob("*/__init__.py"))
    module = re.compile(rf"`(?:orchestrator/)?((?:{rooms})/[a-z_/]+)(\.py)?`")
    found = 0
    for name, text in sources():
        for path, _ in module.findall(text) if name.startswith(("docs/", "README", "CONTRIBUTING")) else ():
            place = ROOT / "orchestrator" / path
            assert place.is_dir() or place.with_suffix(".py").is_file(), f"{name} names {path}"
            found += 1
    assert found
