"""What tests and CI run on is locked, with hashes; what is asked for stands in pyproject.toml, with bounds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {
    name: (ROOT / "requirements" / f"{name}.lock").read_text("utf-8")
    for name in ("test", "run", "generators", "peers", "site")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TO_BUILD = [*PROJECT["build-system"]["requires"], *PROJECT["dependency-groups"]["build"]]
EXTRAS = PROJECT["project"]["optional-dependencies"]
TO_RUN = [*PROJECT["project"]["dependencies"], *EXTRAS["postgres"], *EXTRAS["otel"], *TO_BUILD]
TO_TEST = [*TO_RUN, *EXTRAS["test"]]
TO_GENERATE = PROJECT["dependency-groups"]["generators"]
TO_SHOW = PROJECT["dependency-groups"]["site"]
TO_COMPARE = PROJECT["dependency-groups"]["peers"]
ASKED_FOR = [
    *(("run", asked) for asked in TO_RUN),
    *(("test", asked) for asked in TO_TEST),
    *(("generators", asked) for asked in TO_GENERATE),
    *(("peers", asked) for asked in TO_COMPARE),
    *(("site", asked) for asked in TO_SHOW),
]
WORLDS = [
    {"python_version": version, "python_full_version": f"{version}.0", "platform_machine": machine}
    | {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    | {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    for version in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]


def pins(lock: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Every pin by its name, with the number of its hashes; a package has several where markers distinguish them."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in re.split(r"(?m)^(?=[a-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", LOCKS[lock]))[1:]:
        pin = Requirement(entry.partition(" \\")[0])
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}(?= \\$|$)", entry, re.MULTILINE)
        found.setdefault(canonicalize_name(pin.name), []).append((pin, len(hashes)))
    return found


@pytest.mark.parametrize(("lock", "asked"), ASKED_FOR)
def test_what_is_asked_for_is_locked_within_its_bounds(lock: str, asked: str) -> None:
    wanted = Requirement(asked)
    found = [pin for pin, _ in pins(lock).get(canonicalize_name(wanted.name), [])]
    for world in WORLDS:
        if wanted.marker is not None and not wanted.marker.evaluate(world):
            continue
        here = [pin for pin in found if pin.marker is None or pin.marker.evaluate(world)]
        assert len(here) == 1, f"run `make lock`: {wanted.name} has {len(here)} pins for {world}"
        [exactly] = here[0].specifier
        assert exactly.operator == "=="
        assert exactly.version in wanted.specifier, "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_has_hashes(lock: str) -> None:
    assert len(pins(lock)) > 20
    for name, found in pins(lock).items():
        for pin, hashes in found:
            assert [each.operator for each in pin.specifier] == ["=="], name
            assert hashes > 0, name
            assert pin.url is None, name


def test_what_runs_is_what_was_tested() -> None:
    tested = {str(pin) for found in pins("test").values() for pin, _ in found}
    assert {str(pin) for found in pins("run").values() for pin, _ in found} < tested


def test_what_builds_the_project_is_locked() -> None:
    wanted = {canonicalize_name(Requirement(asked).name) for asked in PROJECT["build-system"]["requires"]}
    assert wanted <= {canonicalize_name(Requirement(asked).name) for asked in PROJECT["dependency-groups"]["build"]}


@pytest.mark.parametrize("text", LOCKS.values(), ids=LOCKS)
def test_a_lock_names_no_place_to_install_from(text: str) -> None:
    assert not re.search(r"://|--(?!hash=)", text)


def test_what_ci_runs_installs_from_the_lock_alone() -> None:
    assert (ROOT / ".ci" / "run").read_text("utf-8").rstrip().endswith("exec make test")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    rule = re.search(r"(?m)^\$\(VENV\)/installed-for-tests: (.*)\n((?:\t.*\n)+)", makefile)
    assert rule is not None
    assert "$(LOCK)" in rule[1]
    assert "$(VENV)/installed" not in rule[1].split()  # it installs what is newest
    locked, project = re.findall(r"\$\(PIP\) install (.*)", rule[2])
    assert locked == "--require-hashes --requirement $(LOCK)"
    assert {"--no-deps", "--no-build-isolation"} <= set(project.split())
