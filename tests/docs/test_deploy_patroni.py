"""The cluster of `deploy/patroni`, as far as it can be looked at without its programs; `trial.py` runs it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.patroni.cluster import HERE, SERVERS, Cluster
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


@pytest.mark.parametrize("module", ["deploy.patroni.cluster", "deploy.patroni.trial"])
def test_its_commands_say_what_they_do(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert f"python -m {module}" in done.stdout
