"""SECURITY.md leads to code and tests that are there, and says of files and the unit what they are."""

import re
from pathlib import Path

from orchestrator.config import load
from orchestrator.platforms.http import MAX_BODY_BYTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text("utf-8")


def test_what_is_off_by_default_is_off(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}", "utf-8")
    config = load(path)
    assert config.api.tcp is None
    assert config.webhooks is None
    assert f"`{config.api.socket_mode}` by default" in PAGE


def test_the_page_has_the_true_limits_and_modes() -> None:
    assert f"({MAX_BODY_BYTES // 1024 // 1024} MiB)" in PAGE
    unit = (ROOT / "deploy" / "fulfilld.service").read_text("utf-8")
    for setting in (
        "UMask=0027",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=\n",
        "SystemCallFilter=@system-service",
    ):
        assert setting in unit
