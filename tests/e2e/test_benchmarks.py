"""The benchmarks still run: each part once, with next to nothing. How fast is not asked here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks.__main__ import PARTS
from benchmarks.nodes import kept_to, limits_of
from benchmarks.page import DATA, PAGE, filled
from benchmarks.peers.installed import postgres_tools
from tests.support.skips import skip

pytestmark = pytest.mark.e2e

ROOT = Path(benchmarks.__file__).parents[1]
PEERS = "peers"
SCALE = {"paused": {"status", "order_page", "feed_page", "submit"}, "pages": {"situation", "milestone", "reference"}}


def measured(part: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What a run of one part puts into the data of an empty page, and what it skipped."""
    shutil.copy(ROOT / "docs" / PAGE, folder)
    command = [sys.executable, "-m", "benchmarks", part, "--tiny", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    data = json.loads((folder / DATA).read_text("utf-8"))
    page = (folder / PAGE).read_text("utf-8")
    assert page == filled(page, data)
    now = data["now"]
    assert now["machine"]["cores"] > 0
    return now.get(part, {}), now["parts"][part]["skipped"]


def test_driving_is_measured_beside_the_bare_client(tmp_path: Path) -> None:
    found, skipped = measured("driving", tmp_path)
    for latency in ("0", "20"):
        side = found[latency]["sides"]["daemon"]
        assert side["share"] > 0
        assert side["loop_us"] > 0
        assert side["commits_a_step"] > 0
    assert "before" in found["0"]["sides"] or "the build before" in skipped[0]


def test_a_peer_that_is_not_there_is_skipped_with_what_brings_it(tmp_path: Path) -> None:
    found, skipped = measured(PEERS, tmp_path)
    assert len(found) + len(skipped) == 4
    assert all("make peers" in line or "apt-get install" in line for line in skipped)


def test_many_orders_are_measured(tmp_path: Path) -> None:
    found, _ = measured("scale", tmp_path)
    (size,) = found.values()
    assert size["import"]["rss_mb"] > 0
    assert size["bulk"]["targets_a_second"] > 0
    assert size["driving"]["steps_a_second"] > 0
    assert isinstance(size["first_step_seconds"], float)  # to a hundredth: it may be none
    for part, calls in SCALE.items():
        assert all(size[part][call]["p95_ms"] > 0 for call in calls)


def test_a_flood_beside_little_shops_is_measured(tmp_path: Path) -> None:
    found, _ = measured("crowd", tmp_path)
    assert found["flood"]["targets"] == 40
    assert len(found["flood"]["little_first_step_seconds"]) == 5


def test_bytes_and_syncs_are_measured(tmp_path: Path) -> None:
    found, skipped = measured("weight", tmp_path)
    assert found["store"]["bytes_an_order"] > 0
    assert (found["store"]["fsyncs_a_step"] or 0) > 0 or "strace" in skipped[0]


def test_bursts_of_webhooks_are_measured(tmp_path: Path) -> None:
    found, _ = measured("webhooks", tmp_path)
    burst = found["shopify"]["worst_burst"]
    assert 0 < burst["half_ms"] <= burst["all_ms"]


def test_every_part_is_run_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert all(f'measured("{part}"' in text or part == PEERS for part in PARTS)


def test_a_store_is_filled(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fill", str(tmp_path / "filled.db"), "--orders=20", "--pending=5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "20 orders in" in done.stdout


def test_nodes_on_one_database_are_measured() -> None:
    if postgres_tools() is None:
        skip("PostgreSQL is not installed", "apt-get install postgresql")
    command = [sys.executable, "-m", "benchmarks.nodes", "--nodes=1", "--cycles=1", "--shops=2", "--orders=8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    _, titles, row, said = done.stdout.splitlines()
    shown = dict(zip(titles.split(), map(float, row.split()), strict=True))
    assert min(shown[name] for name in ("node_us", "database_us", "wal_bytes", "steps_a_second")) > 0
    assert "statements" in said


def test_a_node_is_kept_to_a_part_of_a_core_by_either_version_of_cgroups(tmp_path: Path) -> None:
    old = {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "2500"}
    assert limits_of(tmp_path, 0.25) == (tmp_path / "cpu", old)
    (tmp_path / "cgroup.controllers").touch()
    assert limits_of(tmp_path, 0.25) == (tmp_path, {"cpu.max": "2500 10000"})


def test_where_no_group_can_be_made_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.nodes._GROUPS", tmp_path)
    with pytest.raises(SystemExit, match=f"^--cores: {tmp_path}/cpu/.*: No such file or directory; "), kept_to(1.0, 1):
        pass
