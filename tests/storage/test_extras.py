"""What is said where an extra is missing is a command that brings it into the environment that lacks it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from storage import extras

CLONE = json.dumps({"url": "file:///home/me/full%20filld", "dir_info": {"editable": True}})
COPIED = json.dumps({"url": "file:///home/me/fulfilld", "dir_info": {}})
BOTH = "'psycopg[binary]<4,>=3.3' 'cryptography>=45'"


class Installed:
    """A distribution as the library shows one."""

    requires: Sequence[str] = (
        "aiohttp<4,>=3.14.5",
        "psycopg[binary]<4,>=3.3; extra == 'postgres'",
        'cryptography>=45; extra == "postgres"',
        "pytest>=9; extra == 'test'",
    )

    def __init__(self, origin: str | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        return self._origin if name == "direct_url.json" else None


@pytest.mark.parametrize(
    ("prefix", "origin", "command"),
    [
        ("/home/me/full filld/.venv", CLONE, "in /home/me/full filld, .venv/bin/pip install -e '.[postgres]'"),
        ("/opt/env", CLONE, "in /home/me/full filld, /opt/env/bin/pip install -e '.[postgres]'"),
        ("/opt/fulfilld", COPIED, "/opt/fulfilld/bin/pip install 'fulfilld[postgres]'"),
        ("/opt/fulfilld", None, "/opt/fulfilld/bin/pip install 'fulfilld[postgres]'"),
        ("/opt/fulfilld", "[]", "/opt/fulfilld/bin/pip install 'fulfilld[postgres]'"),
        ("/home/me/.local/share/pipx/venvs/fulfilld", COPIED, f"pipx inject fulfilld {BOTH}"),
        ("/home/me/uv/tools/fulfilld", None, f"uv pip install --python /home/me/uv/tools/fulfilld {BOTH}"),
    ],
)
def test_the_command_is_that_of_the_way_in_which_it_was_installed(
    monkeypatch: pytest.MonkeyPatch, prefix: str, origin: str | None, command: str
) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    monkeypatch.setattr(extras, "distribution", lambda _name: Installed(origin))
    assert extras.missing("psycopg", "postgres") == f"needs psycopg, which is not installed: {command}"


def test_a_tree_that_was_not_installed_is_installed_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(extras, "distribution", absent)
    assert extras.install("otel") == "/usr/bin/pip install '.[otel]'"


@pytest.mark.parametrize("extra", ["otel", "postgres"])
def test_every_extra_that_is_named_is_one_of_the_package(extra: str) -> None:
    found = extras._requirements(distribution("fulfilld"), extra)
    assert "'" in found
