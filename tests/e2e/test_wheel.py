"""What is handed out to be installed works where there is no clone of the project: the wheel, as the image makes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from orchestrator import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
SHOP = {"platform": "selldone", "shop_id": 12345, "token": {"env": "ACME_TOKEN"}}


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What the command prints; it must succeed. Nothing of our environment leads it to the clone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FULFILLD", "VIRTUAL"))}
    done = subprocess.run(command, cwd=cwd, env={**kept, **variables}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def fulfilld(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed from a wheel that was built of what the image is built of, in an environment of its own.

    What it depends on is ours: fetching that is not what is tested. A plain path leads there, by which the clone, which
    is installed as editable beside it, is not found.
    """
    folder = tmp_path_factory.mktemp("foreign")
    source = folder / "source"
    for line in re.findall(r"^COPY (?!--from|requirements)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for name in line.split():
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                source.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ".", cwd=source)
    shutil.rmtree(source)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(python, "-c", "import orchestrator, storage, statemachines; print(orchestrator.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(purelib)
    return python.with_name("fulfilld")


def test_it_says_its_version_and_checks_a_config(fulfilld: Path, tmp_path: Path) -> None:
    config = {"storage": {"url": "sqlite:///s.db"}, "api": {"socket": "s.sock"}, "shops": {"acme": SHOP}}
    (tmp_path / "config.json").write_text(json.dumps(config))

    assert __version__ in run(fulfilld, "--version", cwd=tmp_path)
    run(fulfilld, "config", "check", cwd=tmp_path, ACME_TOKEN="t0ken-of-acme-1")


@pytest.mark.e2e
def test_it_has_every_file_and_its_demo_plays_to_the_end(fulfilld: Path, tmp_path: Path) -> None:
    package = next(fulfilld.parents[1].glob("lib/python*/site-packages/orchestrator"))
    for file in (path for path in (ROOT / "orchestrator").rglob("*") if path.is_file() and path.suffix != ".pyc"):
        assert (package / file.relative_to(ROOT / "orchestrator")).is_file(), file

    told = run(fulfilld, "demo", "--orders", "8", cwd=tmp_path)

    assert "delivered" in told
    assert not list(tmp_path.iterdir())
