"""The command as a process of its own: signals, closed pipes, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.fake import FakeDaemon, a_target, an_event

COMMAND = [sys.executable, "-m", "orchestrator"]
PATIENCE_SECONDS = 120


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that is running; it is dead when the block is left."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def errors(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stderr is not None
    return process.stderr.read()


def test_help_names_the_commands_and_the_version_is_shown() -> None:
    shown = finished("--help")
    assert shown.returncode == 0
    assert "submit" in shown.stdout
    assert finished("--version").stdout.startswith("fulfilld ")


@pytest.mark.parametrize("group", [[], ["config"], ["consumer"], ["delivery"]])
def test_help_describes_every_command_in_full_on_80_columns(monkeypatch: pytest.MonkeyPatch, group: list[str]) -> None:
    # As a process: the library's runner for tests gives the page two columns more than a terminal does.
    monkeypatch.setenv("COLUMNS", "80")
    shown = finished(*group, "--help").stdout
    assert "Commands:" in shown
    assert "..." not in shown.partition("Commands:")[2]
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["nonsense"], ["orders", "--nonsense"], ["order", "acme"], ["--socket"]])
def test_wrong_usage_is_exit_code_2_without_a_traceback(arguments: list[str]) -> None:
    result = finished(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_quietly_with_130(daemon: FakeDaemon) -> None:
    daemon.answers["GET", "/v1/events"] = {"events": [an_event(1)], "next": 0}  # the same one for ever
    with started("--socket", str(daemon.socket), "events", "--follow", "--json") as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait(PATIENCE_SECONDS) == 130
        assert errors(process) == b""


def test_a_watch_goes_on_until_ctrl_c(daemon: FakeDaemon) -> None:
    daemon.answers["GET", "/v1/status"] = [{"look": 1}, {"look": 2}]
    with started("--socket", str(daemon.socket), "status", "--watch", "--json") as process:
        assert [json.loads(first_line(process)), json.loads(first_line(process))] == [{"look": 1}, {"look": 2}]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert errors(process) == b""


def test_a_reader_that_goes_away_is_no_error(daemon: FakeDaemon) -> None:
    daemon.answers["GET", "/v1/events"] = {"events": [an_event(1)] * 1000, "next": 1}
    daemon.answers["GET", "/v1/events"] = [daemon.answers["GET", "/v1/events"], {"events": [], "next": 1}]
    with started("--socket", str(daemon.socket), "events", "--json") as process:
        first_line(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert errors(process) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_announces_a_config_serves_and_ends_with_0(number: signal.Signals) -> None:
    with started("sandbox", "--orders", "3", "--latency", "1", "--fault", "error_before=0") as process:
        config = json.loads(first_line(process))
        shop = config["shops"]["acme"]
        assert shop["platform"] == "selldone"
        with urllib.request.urlopen(shop["base_url"].rsplit("/", 1)[0] + "/_sandbox/summary") as answer:
            counts = json.load(answer)["platforms"]["selldone"]["orders_by_state"]
        assert counts == {"12345": {"CheckQueue": 3}}
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert errors(process) == b""


@pytest.mark.parametrize("fault", ["nonsense=0.1", "mixed", "mixed=lots", "mixed=7"])
def test_a_fault_that_is_none_is_a_usage_error(fault: str) -> None:
    result = finished("sandbox", "--fault", fault)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_says_so() -> None:
    with started("sandbox", "--orders", "0") as process:
        url = json.loads(first_line(process))["shops"]["acme"]["base_url"]
        port = url.split(":")[2].split("/")[0]
        result = finished("sandbox", "--port", port)
    assert result.returncode == 1
    assert "--port" in result.stderr


def test_errors_on_a_full_disk_are_reported_without_a_traceback(daemon: FakeDaemon) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    daemon.answers["GET", "/v1/status"] = "x" * 100_000
    with full.open("wb") as nowhere:
        result = subprocess.run(
            [*COMMAND, "--socket", str(daemon.socket), "status", "--json"],
            stdout=nowhere, stderr=subprocess.PIPE, text=True, env=os.environ, check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "No space left" in result.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sandbox", "--orders", "0"]])
def test_so_are_those_of_what_is_printed_before_a_command_or_by_the_sandbox(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as nowhere:
        result = subprocess.run(
            [*COMMAND, *words], stdout=nowhere, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    assert (result.returncode, result.stderr) == (
        1,
        "fulfilld: the output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("closed", ["<&- >&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "arguments", [["config", "example"], ["secret", "new"], ["--version"], ["machines", "selldone"]]
)
def test_a_command_whose_standard_descriptors_are_closed_does_its_work(arguments: list[str], closed: str) -> None:
    result = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *arguments],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


def test_a_submission_whose_stderr_is_closed_ends_with_its_code(daemon: FakeDaemon, tmp_path: Path) -> None:
    lines = tmp_path / "targets.ndjson"
    lines.write_text('{"shop": "acme", "order": "1", "state": "accepted"}\n')
    daemon.answers["POST", "/v1/targets"] = json.dumps({"line": 1, "status": 202, "target": a_target()}) + "\n"
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "--socket", str(daemon.socket), "submit", "--file", str(lines)],
        stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert result.returncode == 0
