"""What is handed out for running the daemon fits the daemon."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.config import load
from orchestrator.decisions.problems import PROBLEM_TITLES
from storage.records import Situation
from tests.support.skips import skip

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "deploy" / "fulfilld.service").read_text("utf-8")
ALERTS = (ROOT / "deploy" / "alerts.yml").read_text("utf-8")
OPERATE = (ROOT / "docs" / "operate.md").read_text("utf-8")
WAIT_REASONS = ("retry_after", "circuit", "paused", "payment", "platform", "access_denied")


def setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    assert len(found) == 1, name
    return str(found[0])


def test_the_unit_uses_the_daemons_signals() -> None:
    assert setting("Type") == "notify"
    assert setting("ExecReload") == "/bin/kill -HUP $MAINPID"
    assert int(setting("WatchdogSec")) > 0
    assert setting("RestartPreventExitStatus") == "2"


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        skip("there is no systemd-analyze", "apt-get install systemd")
    unit = tmp_path / "fulfilld.service"
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT, flags=re.MULTILINE), "utf-8")

    done = subprocess.run([analyze, "verify", unit], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_waits_longer_than_a_drain(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}", "utf-8")

    assert int(setting("TimeoutStopSec")) > load(path).drain_seconds


def test_the_units_config_is_valid_and_keeps_to_its_directories(tmp_path: Path) -> None:
    secret = tmp_path / "acme-token"
    secret.write_text("s3cret\n", "utf-8")
    text = (ROOT / "deploy" / "config.json").read_text("utf-8")
    path = tmp_path / "config.json"
    path.write_text(text.replace("/etc/fulfilld/secrets/acme-token", str(secret)), "utf-8")

    config = load(path)

    assert config.state_directory == Path("/var/lib") / setting("StateDirectory")
    assert config.api.socket.parent == Path("/run") / setting("RuntimeDirectory")
    assert config.status_file.parent == Path("/run") / setting("RuntimeDirectory")


def test_the_docs_make_the_stores_directory_before_anything_looks_for_it() -> None:
    steps = OPERATE.partition("## Under systemd")[2].split("```")[1].splitlines()
    owned = f"-o {setting('User')} -g {setting('Group')} -m {setting('StateDirectoryMode')}"
    made = steps.index(f"install -d {owned} /var/lib/{setting('StateDirectory')}")

    assert min(n for n, step in enumerate(steps) if step.endswith(("config check", "doctor"))) > made
    assert (
        steps.index(f"useradd --system --home-dir /var/lib/fulfilld --shell /usr/sbin/nologin {setting('User')}") < made
    )


def test_the_docs_install_from_what_one_has_as_no_index_has_it() -> None:
    commands = re.findall(r"pip install((?: --?[a-z-]+)*) ([^`\s]+)", OPERATE)

    assert {what for _, what in commands} == {".", "requirements/run.lock"}
    assert (" --require-hashes -r", "requirements/run.lock") in commands
    assert (ROOT / "requirements" / "run.lock").is_file()


def test_every_alert_has_an_answer_in_the_docs() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    section = OPERATE.partition("## Alerts")[2].partition("\n## ")[0]

    assert set(re.findall(r"`(Fulfilld\w+)`", section)) == set(alerts)


@pytest.mark.parametrize("word", [*(s.value for s in Situation), *PROBLEM_TITLES, *WAIT_REASONS])
def test_the_docs_say_what_every_situation_problem_and_wait_means(word: str) -> None:
    assert re.search(rf"^\| `{re.escape(word)}` \|", OPERATE, re.MULTILINE)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_the_docs_say_what_every_signal_does(name: str) -> None:
    assert name in OPERATE.partition("### Signals")[2].partition("\n## ")[0]
