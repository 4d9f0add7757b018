"""What a command line that cannot be understood is answered with, and how usage is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from orchestrator.cli.app import app
from orchestrator.cli.usage import OWN
from tests.cli.fake import Run
from tests.cli.test_docs import commands


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (("run", "--config", "x.json"), "fulfilld --config FILE run"),
        (("run", "--config=x.json"), "fulfilld --config FILE run"),
        (("config", "check", "--config", "x.json"), "fulfilld --config FILE config check"),
        (("status", "--socket", "x.sock"), "fulfilld --socket PATH status"),
        (("sync", "acme", "--url", "http://x"), "fulfilld --url URL sync"),
    ],
)
def test_a_global_option_behind_the_command_is_reported_where_it_stands(
    run: Run, arguments: tuple[str, ...], example: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"it stands before the command: {example}\n" in result.stderr


@pytest.mark.parametrize("option", ["--socket", "--url"])
@pytest.mark.parametrize("command", sorted(OWN - {"run", "sandbox", "demo"}))
def test_a_command_that_asks_no_daemon_says_so_where_one_is_named(run: Run, command: str, option: str) -> None:
    words = command.split()
    more = {"webhooks": ["acme"], "migrate-store": ["sqlite:///a.db", "sqlite:///b.db"]}.get(command, [])
    result = run("--config", "nowhere.json", option, "http://127.0.0.1:1", *words, *more)
    warning = f"warning: {option} names a daemon, and `fulfilld {command}` asks none - "
    assert warning in " ".join(result.stderr.split())
    assert result.exit_code != 0  # for what it would have worked on is not there
    behind = run(*words, option, "http://127.0.0.1:1", *more)
    assert behind.exit_code == 2
    assert f"No such option: {option}" in behind.stderr
    assert "it stands before the command" not in behind.stderr


def test_what_simulates_says_that_it_reads_no_config(run: Run) -> None:
    result = run("--config", "nowhere.json", "--socket", "x.sock", "sandbox", "--fault", "nothing=1")
    assert result.exit_code == 2  # for the fault
    assert "--config says nothing to `fulfilld sandbox`" in result.stderr
    assert "--socket names a daemon" in result.stderr


def test_run_refuses_a_socket_that_its_config_does_not_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []

    def start(path: Path, _: object) -> int:
        started.append(path)
        return 0

    monkeypatch.setattr("orchestrator.daemon.start.run", start)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api": {"socket": "one.sock"}, "shops": []}))
    other = run("--config", str(config), "--socket", str(tmp_path / "other.sock"), "run")
    assert (other.exit_code, started) == (2, [])
    assert "change api.socket" in other.stderr
    assert run("--config", str(config), "--socket", str(tmp_path / "one.sock"), "run").exit_code == 0
    assert run("--config", str(config), "run").exit_code == 0
    assert started == [config, config]


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("events", "--after", "x"), "'--after': must be a whole number"),
        (("orders", "--limit", "0"), "'--limit': must be at least 1"),
        (("sandbox", "--port", "65536"), "'--port': must be at most 65535"),
        (("submit", "a", "1", "shipped", "--wait=abc"), "'--wait': must be a number"),
        (("machines", "--format", "x"), "'--format': 'x' is not one of 'text', 'mermaid', 'svg', 'json'"),
    ],
)
def test_a_value_that_will_not_do_is_reported_in_plain_words(
    run: Run, arguments: tuple[str, ...], reported: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"Invalid value for {reported}" in result.stderr
    assert "Input should" not in result.stderr
    assert "Value error" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("statsu",), "'status'"),
        (("config", "chek"), "'check'"),
        (("orders", "--situatoin", "blocked"), "--situation"),
        (("machines", "shopfy"), '"shopify"'),
        (("sandbox", "--fault", "trottle=0.1"), '"throttle"'),
        (("webhooks", "amce"), '"acme"'),
        (("auth-url", "seldone"), "selldone"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_right_one(
    run: Run, alone: Path, arguments: tuple[str, ...], meant: str
) -> None:
    shop = {"platform": "selldone", "shop_id": 1, "token": "x"}
    (alone / "config.json").write_text(json.dumps({"shops": {"acme": shop}}))
    result = run(*arguments)
    assert result.exit_code in (2, 4)
    assert meant in result.stderr


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("machines", "fulfilld machines [OPTIONS] [PLATFORM]\n"),
        ("webhooks", "fulfilld webhooks [OPTIONS] SHOP\n"),
        ("retry", "fulfilld retry [OPTIONS] [SHOP] [ID]\n"),
        ("submit", "fulfilld submit [OPTIONS] [SHOP] [ID] [STATE]\n"),
    ],
)
def test_usage_shows_arguments_by_their_names(run: Run, command: str, usage: str) -> None:
    assert f"Usage: {usage}" in run(command, "--help").stdout


_HELP_OF_ALL = """
import json, sys
from orchestrator.cli.app import app
for command in json.loads(sys.argv[1]):
    try:
        app([*command.split(), "--help"], prog_name="fulfilld")
    except SystemExit:
        pass
sys.stderr.write("\\n".join(sys.modules))
"""


def test_help_imports_nothing_that_it_does_not_need() -> None:
    """How long help takes is how much it imports: the time itself cannot be tested on a machine that is shared."""
    names = ["", "config", *(name for name, _ in commands(typer.main.get_command(app)))]
    result = subprocess.run(
        [sys.executable, "-c", _HELP_OF_ALL, json.dumps(names)], capture_output=True, text=True, check=True
    )
    assert result.stdout.count("Usage: fulfilld") == len(names)
    modules = result.stderr.splitlines()
    rooms = {name.split(".")[1] for name in modules if name.startswith("orchestrator.")}
    assert rooms == {"cli", "event_types", "process", "registry"}
    packages = {name.split(".")[0] for name in modules}
    assert packages.isdisjoint(
        {"pydantic", "rich", "structlog", "aiohttp", "asyncio", "anyio", "statemachines", "storage", "ssl"}
    )
    assert "importlib.metadata" not in modules
