"""The release before this version, which nodes may still run while others are upgraded."""

from __future__ import annotations

from typing import Final, NamedTuple


class Release(NamedTuple):
    """A release: its `version`, the `commit` that its tag names, and the newest `schema` version that it knows."""

    version: str
    commit: str
    schema: int


PREVIOUS: Final = Release("0.3.0", "f564edf2ca3c2e1b09bbea048c8734f43eefaf8e", 33)
"""Set with each release that was tagged."""
