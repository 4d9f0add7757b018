"""What a machine lacks is skipped loudly, and never in CI; the two commands that do it all stand first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LACKS_A_TOOL = """
from tests.support.skips import skip

def test_one(): skip("there is no frobnicator", "apt-get install frobnicator")
def test_two(): skip("there is no frobnicator", "apt-get install frobnicator")
def test_three(): pass
"""
LACKS_HISTORY = """
from tests.support.skips import absent

def test_one(): absent("0.1 is not in this checkout", "git fetch --tags")
"""
LACKS_A_TOOL_FOR_ALL = """
from tests.support.skips import skip

skip("there is no frobnicator", "apt-get install frobnicator")
def test_one(): pass
"""
LACKS_A_MODULE = "import pytest\n\npytest.importorskip('frobnicator')\n"


def run(folder: Path, text: str, ci: str | None, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    environ = {key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("PYTEST")}
    environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}  # others take a second to load
    environ |= {"PYTHONPATH": str(ROOT)} | ({} if ci is None else {"CI": ci})
    own = ["-c", os.devnull, "--rootdir", str(folder), "-p", "tests.support.skips", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *own, *options, str(folder)]
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_what_is_skipped_is_reported_at_the_end_with_what_helps(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, LACKS_A_TOOL, None, *options)
    assert done.returncode == 0
    summary = done.stdout.partition("NOT TESTED HERE")[2]
    assert "2 tests: there is no frobnicator; to run it: apt-get install frobnicator\n" in summary


def test_a_module_that_is_skipped_whole_is_reported_with_what_helps(tmp_path: Path) -> None:
    done = run(tmp_path, LACKS_A_TOOL_FOR_ALL, None)
    summary = done.stdout.partition("NOT TESTED HERE")[2]
    assert "1 test: there is no frobnicator; to run it: apt-get install frobnicator\n" in summary
    assert run(tmp_path, LACKS_A_TOOL_FOR_ALL, "true").returncode != 0


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_in_ci_a_skipped_test_fails_the_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, LACKS_A_TOOL, "true", *options)
    assert done.returncode == 1
    assert "nothing may be skipped" in done.stdout


def test_in_ci_a_module_that_skips_itself_fails_the_run(tmp_path: Path) -> None:
    assert run(tmp_path, LACKS_A_MODULE, "true").returncode != 0


def test_in_ci_a_run_that_skips_nothing_is_good(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_it(): pass\n", "true")
    assert (done.returncode, "NOT TESTED" in done.stdout) == (0, False)


def test_ci_brings_what_tests_look_for() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert 'export CI="${CI:-true}"' in script
    assert "exec make test" in script
    looked_for = {
        tool
        for path in (ROOT / "tests").rglob("*.py")
        for tool in re.findall(r'shutil\.which\("(\w+)"\)', path.read_text("utf-8"))
    }
    assert "npm" in looked_for
    assert {tool for tool in looked_for if f"command -v {tool}" not in script} == set()


def test_the_readme_begins_with_the_two_commands_that_do_all_the_set_up() -> None:
    head = (ROOT / "README.md").read_text("utf-8").splitlines()[:8]
    commands = [line.split("#")[0].strip() for line in head if line.startswith("make ")]
    assert commands == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE) for command in commands)


def test_what_no_installation_brings_is_reported_and_left_out_in_ci_too(tmp_path: Path) -> None:
    done = run(tmp_path, LACKS_HISTORY, "true")
    assert done.returncode == 0
    assert "1 test: 0.1 is not in this checkout; to run it: git fetch --tags" in done.stdout
    assert "nothing may be skipped" not in done.stdout
    both = run(tmp_path, LACKS_HISTORY + LACKS_A_TOOL, "true")
    assert both.returncode == 1
