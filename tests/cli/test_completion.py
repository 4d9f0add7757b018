"""Completion in shells: of what the program knows itself, and of names that the daemon is asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.app import app
from tests.cli.fake import FakeDaemon, Run, an_order

Complete = Callable[[str], list[str]]
POLISH = [
    {"name": "Nowe", "milestone": "new"},
    {"name": "Przygotowywane do wysyłki", "milestone": "preparing"},
    {"name": "Wysłane", "milestone": None},
]


@pytest.fixture
def complete(alone: Path, daemon: FakeDaemon) -> Complete:
    """What bash is offered behind a line; the fake daemon has two shops."""
    assert alone == daemon.socket.parent
    shops = [{"name": "acme", "platform": "selldone"}, {"name": "xs", "platform": "xsale"}]
    daemon.answers["GET", "/v1/shops"] = {"shops": shops}
    daemon.answers["GET", "/v1/machines/selldone"] = {"states": [{"name": "SentOrder", "milestone": "shipped"}]}
    daemon.answers["GET", "/v1/machines/xsale"] = {"states": POLISH}
    daemon.answers["GET", "/v1/orders"] = {"orders": [an_order(), an_order(id="7")], "next": None}
    cause = {"cause": "rejected.send.0123456789", "detail": "no"}
    daemon.answers["GET", "/v1/orders/causes"] = {"causes": [cause]}
    daemon.answers["GET", "/v1/jobs"] = {"jobs": [{"id": "j-1", "action": "retry", "status": "running"}]}
    daemon.answers["GET", "/v1/consumers"] = {"consumers": [{"name": "tryton"}]}

    def asked(line: str) -> list[str]:
        environ = {
            "_FULFILLD_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
            "FULFILLD_SOCKET": str(daemon.socket),
        }
        result = CliRunner().invoke(app, [], env=environ, prog_name="fulfilld")
        assert result.stderr == ""
        return result.stdout.split("\n")[:-1] if result.stdout.strip() else []

    return asked


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fulfilld sta", ["status"]),
        ("fulfilld config ", ["check", "schema", "example"]),
        ("fulfilld status --w", ["--watch"]),
        ("fulfilld machines --format m", ["mermaid"]),
        ("fulfilld orders --situation b", ["blocked"]),
        ("fulfilld events --type step.d", ["step.done"]),
        ("fulfilld delivery pause p", ["products_url"]),
        ("fulfilld completion z", ["zsh"]),
        ("fulfilld submit ", ["acme", "xs"]),
        ("fulfilld pause a", ["acme"]),
        ("fulfilld orders --shop x", ["xs"]),
        ("fulfilld retry acme ", ["67890", "7"]),
        ("fulfilld submit acme 6", ["67890"]),
        ("fulfilld submit acme 7 S", ["SentOrder"]),
        ("fulfilld submit xs 7 ", ["Nowe", "new", "Przygotowywane do wysyłki", "preparing", "Wysłane"]),
        ("fulfilld orders --state s", ["shipped"]),
        ("fulfilld consumer seek t", ["tryton"]),
        ("fulfilld retry --situation b", ["blocked"]),
        ("fulfilld hold --shop xs --state W", ["Wysłane"]),
        ("fulfilld retry --cause r", ["rejected.send.0123456789"]),
        ("fulfilld jobs j", ["j-1"]),
    ],
)
def test_what_may_stand_there_is_offered(complete: Complete, line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_orders_are_those_of_the_shop_that_stands_before_them(complete: Complete, daemon: FakeDaemon) -> None:
    complete("fulfilld order xs ")
    complete("fulfilld skip acme ")
    (_, _, anywhere, _, _), (_, _, blocked, _, _) = daemon.calls
    assert (anywhere["shop"], anywhere.get("situation")) == ("xs", None)
    assert (blocked["shop"], blocked["situation"]) == ("acme", "blocked")


@pytest.mark.parametrize("line", ["fulfilld submit ", "fulfilld submit acme ", "fulfilld submit acme 7 "])
def test_nothing_is_offered_and_nothing_said_where_no_daemon_is(complete: Complete, line: str) -> None:
    assert complete(line.replace("fulfilld ", "fulfilld --socket /nowhere/d.sock ")) == []


@pytest.mark.parametrize("broken", [(500, "no"), (200, "<html>"), (200, {"unknown": 1})])
def test_nothing_is_offered_and_nothing_said_where_the_daemon_answers_oddly(
    complete: Complete, daemon: FakeDaemon, broken: object
) -> None:
    daemon.answers["GET", "/v1/shops"] = broken
    assert complete("fulfilld submit ") == []


def test_help_is_no_candidate(complete: Complete) -> None:
    assert complete("fulfilld events --help ") == []


def test_bash_completes_with_the_script_that_it_is_given(run: Run, alone: Path) -> None:
    script = alone / "script.bash"
    script.write_text(run("completion", "bash").stdout)
    program = alone / "fulfilld"
    program.write_text(f"#!{sys.executable}\nfrom orchestrator.cli.app import main\nmain()\n")
    program.chmod(0o755)
    asked = f"""source {script}; COMP_WORDS=(fulfilld consumer s); COMP_CWORD=2
        _fulfilld_completion {program}; printf '%s\\n' "${{COMPREPLY[@]}}"; complete -p fulfilld"""
    result = subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[0] == "seek"
    assert "-F _fulfilld_completion fulfilld" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_a_script_too(run: Run, shell: str) -> None:
    assert f"_FULFILLD_COMPLETE=complete_{shell}" in run("completion", shell).stdout


def test_another_shell_is_refused_with_those_that_are_known(run: Run) -> None:
    result = run("completion", "tcsh")
    assert result.exit_code == 2
    assert "fish" in result.stderr
