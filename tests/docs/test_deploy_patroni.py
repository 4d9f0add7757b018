"""The cluster of `deploy/patroni`, as far as it can be looked at without its programs; `trial.py` runs it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from deploy.patroni.cluster import HERE, SERVERS, Cluster, lives
from storage.engines import engine_of

ROOT = Path(__file__).parents[2]
PATRONI = yaml.safe_load((HERE / "patroni.yml").read_text("utf-8"))


def settings() -> dict[str, Any]:
    found: dict[str, Any] = PATRONI["bootstrap"]["dcs"]
    return found


def test_a_failover_loses_nothing_and_etcd_may_be_away() -> None:
    assert settings()["synchronous_mode"] is True
    assert settings()["failsafe_mode"] is True
    assert settings()["loop_wait"] + 2 * settings()["retry_timeout"] <= settings()["ttl"]
    assert settings()["ttl"] >= 20  # Patroni takes no less


def test_a_primary_that_was_killed_can_be_brought_back() -> None:
    assert settings()["postgresql"]["use_pg_rewind"] is True
    assert "data-checksums" in PATRONI["bootstrap"]["initdb"]
    assert PATRONI["postgresql"]["parameters"]["unix_socket_directories"] == ""  # it would stumble over one


def test_nobody_comes_in_without_a_password_or_from_elsewhere() -> None:
    for line in PATRONI["postgresql"]["pg_hba"]:
        kind, _, _, address, method = line.split()
        assert (kind, address, method) == ("host", "127.0.0.1/32", "scram-sha-256")


def test_the_stores_url_names_both_servers_and_shows_no_password(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster", {"shops": {}}, 17400)
    password = cluster.url.partition("fulfilld:")[2].partition("@")[0]
    places = ",".join(f"127.0.0.1:{cluster.port(name)}" for name in SERVERS)
    assert engine_of(cluster.url).url == f"postgresql://{places}/fulfilld"
    assert len(password) == 32
    kept = tmp_path / "cluster" / "passwords.json"
    assert password in kept.read_text("utf-8")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert Cluster(tmp_path / "cluster", {}, 17400).url == cluster.url, "started again, it is the same"


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that every user of the machine reaches."""
    with TemporaryDirectory(prefix="fulfilld-cluster-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_postgresql_does_not_reach_is_refused_at_once(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster", {})
    for folder in (tmp_path, cluster.folder):
        folder.chmod(0o500)
    with pytest.raises(SystemExit, match=f"{cluster.folder}: .*choose another FOLDER"):
        cluster.up()


def test_a_part_that_ends_is_said_with_the_end_of_its_log(open_to_all: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "_program", lambda self, name: (["/bin/sh", "-c", "echo no room; exit 3"], {}, {}))
    monkeypatch.setattr(Cluster, "is_whole", lambda self: False)
    cluster = Cluster(open_to_all / "cluster", {})
    with pytest.raises(SystemExit, match=r"no room\netcd has ended with 3; .*etcd.log"):
        cluster.up()
    cluster.down()


def test_a_process_that_nobody_waits_for_is_gone_once_it_has_ended() -> None:
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert not lives(ended.pid)
    assert ended.wait() == 0
    assert lives(os.getpid())


@pytest.mark.parametrize("module", ["deploy.patroni.cluster", "deploy.patroni.trial"])
def test_its_commands_say_what_they_do(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert f"python -m {module}" in done.stdout
