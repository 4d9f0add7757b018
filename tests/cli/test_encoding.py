"""Terminals, pipes and files that are not UTF-8: a command that succeeded ends well, its JSON means the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.fake import FakeDaemon, Run, a_target, an_event, an_order

LANGUAGES = (
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"LANG": "C"},
)
NAME = "Łódź ż 📦 é …"


def fulfilld_process(
    daemon: FakeDaemon, environment: dict[str, str], *arguments: str | bytes
) -> subprocess.CompletedProcess[bytes]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON", "FULFILLD"))}
    environ |= environment | {"FULFILLD_SOCKET": str(daemon.socket)}
    command = [sys.executable, "-m", "orchestrator", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("environment", LANGUAGES, ids=str)
def test_json_means_the_same_in_any_encoding(daemon: FakeDaemon, environment: dict[str, str]) -> None:
    event = an_event(1, data={"name": NAME})
    daemon.answers["GET", "/v1/events"] = [{"events": [event], "next": 1}, {"events": [], "next": 1}]
    done = fulfilld_process(daemon, environment, "events", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    encoding = environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    assert json.loads(done.stdout.decode(encoding)) == event


@pytest.mark.parametrize("environment", LANGUAGES, ids=str)
def test_pages_for_people_are_shown_in_any_encoding(daemon: FakeDaemon, environment: dict[str, str]) -> None:
    daemon.answers["GET", "/v1/orders"] = {"orders": [an_order(reference=NAME)], "next": None}
    done = fulfilld_process(daemon, environment, "orders")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"dz" in done.stdout or b"\\u0141" in done.stdout or "Łódź".encode() in done.stdout


@pytest.mark.parametrize("environment", LANGUAGES, ids=str)
def test_errors_are_reported_in_any_encoding(daemon: FakeDaemon, environment: dict[str, str]) -> None:
    problem = {"type": "shop-not-found", "title": "No such shop", "status": 404, "detail": NAME}
    daemon.answers["POST", "/v1/shops/acme/pause"] = (404, problem)
    done = fulfilld_process(daemon, environment, "pause", "acme")
    assert done.returncode == 4
    assert b"No such shop" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("environment", LANGUAGES, ids=str)
def test_arguments_are_the_utf8_that_they_are(daemon: FakeDaemon, environment: dict[str, str]) -> None:
    daemon.answers["GET", "/v1/orders"] = {"orders": [], "next": None}
    done = fulfilld_process(daemon, environment, "orders", "--state", "Wysłane")
    assert (done.returncode, done.stderr) == (0, b"no such orders\n")
    assert daemon.calls[0][2]["state"] == "Wysłane"


def test_an_argument_that_is_no_text_is_refused_in_words(daemon: FakeDaemon) -> None:
    done = fulfilld_process(daemon, {}, "orders", "--state", b"Wys\xb3ane")
    assert done.returncode == 2
    assert b"is not UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_file_of_lines_is_sent_as_utf8(daemon: FakeDaemon, fulfilld: Run, tmp_path: Path, encoding: str) -> None:
    lines = [{"shop": "acme", "order": str(n), "state": "Wysłane"} for n in range(3)]
    path = tmp_path / "targets.ndjson"
    path.write_bytes("".join(json.dumps(line, ensure_ascii=False) + "\r\n" for line in lines).encode(encoding))
    answers = [json.dumps({"line": n + 1, "status": 202, "target": a_target()}) for n in range(3)]
    daemon.answers["POST", "/v1/targets"] = "\n".join(answers) + "\n"
    result = fulfilld("submit", "--file", str(path))
    assert (result.exit_code, result.stdout) == (0, "3 accepted, 0 refused\n")
    sent = daemon.calls[0][3]
    assert [json.loads(line) for line in sent.splitlines()] == lines
