"""The version that is built is the newest of the changelog, or the one that is on its way to the next."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.version import Version

from tests.support.previous import PREVIOUS

ROOT = Path(__file__).parents[2]


def test_the_version_of_the_package_is_the_newest_release_of_the_changelog_or_above_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    released, dated_at = headings[1].split(" – ")
    version = Version(project["version"])
    if version.is_devrelease:
        assert version > Version(released)
        assert released == PREVIOUS.version
    else:
        assert version == Version(released)
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", dated_at)
