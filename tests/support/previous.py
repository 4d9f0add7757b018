"""The release before this version, which nodes may still run while others are upgraded."""

from __future__ import annotations

from typing import Final, NamedTuple


class Release(NamedTuple):
    """A release: its `version`, the `commit` that its tag names, and the newest `schema` version that it knows."""

    version: str
    commit: str
    schema: int


PREVIOUS: Final = Release("0.3.0", "f13eefb58732e518d1e9a4b639557060a9e730fb", 30)
"""Set with each release that was tagged."""
