import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import ConfigChanges, diff
from tests.support.config_files import loaded, shop

DOCS = Path(__file__).parents[2] / "docs"


def changes(directory: Path, old: dict[str, Any], new: dict[str, Any]) -> ConfigChanges:
    return diff(loaded(directory, old), loaded(directory, new))


def test_the_same_config_read_again_changes_nothing(tmp_path: Path) -> None:
    tree = {"shops": {"acme": shop(), "b": shop(shop_id=2, limits={"burst": 3})}}
    found = changes(tmp_path, tree, tree)
    assert found.is_empty
    assert found == ConfigChanges()


def test_writing_a_default_out_changes_nothing(tmp_path: Path) -> None:
    new = {"retention_days": 400, "shops": {"acme": shop(poll={"page_size": 100}, limits={"burst": 10})}}
    assert changes(tmp_path, {"shops": {"acme": shop()}}, new).is_empty


def test_shops_come_go_and_change(tmp_path: Path) -> None:
    gone, same, slower, token, added = (shop(shop_id=number) for number in range(1, 6))
    old = {"gone": gone, "same": same, "slower": slower, "token": token | {"token": "old"}}
    new = {"token": token, "slower": slower | {"limits": {"burst": 1}}, "same": same, "added": added}
    assert changes(tmp_path, {"shops": old}, {"shops": new}) == ConfigChanges(
        added=("added",), removed=("gone",), changed=("slower", "token"), credentials_changed=("token",)
    )


@pytest.mark.parametrize(
    ("new", "key"),
    [
        ({"retention_days": 1}, "retention_days"),
        ({"drain_seconds": 1}, "drain_seconds"),
        ({"status_file": "x"}, "status_file"),
        ({"log": {"level": "debug"}}, "log"),
        ({"recovery_limit": 1}, "recovery_limit"),
        ({"delivery": {"orders_url": "https://e", "secret": "x"}}, "delivery"),
    ],
)
def test_a_setting_that_a_reload_applies_is_named(tmp_path: Path, new: dict[str, Any], key: str) -> None:
    assert changes(tmp_path, {}, new) == ConfigChanges(settings_changed=(key,))


@pytest.mark.parametrize(
    ("new", "key"),
    [
        ({"storage": {"url": "sqlite:///other.db"}}, "storage"),
        ({"api": {"socket": "other.sock"}}, "api"),
        ({"webhooks": {"port": 1}}, "webhooks"),
        ({"monitoring": {"port": 1}}, "monitoring"),
        ({"api": {"tcp": {"port": 1, "token": "x"}}}, "api"),
    ],
)
def test_what_only_a_restart_applies_is_distinguished(tmp_path: Path, new: dict[str, Any], key: str) -> None:
    assert changes(tmp_path, {}, new) == ConfigChanges(needs_restart=(key,))


@pytest.mark.parametrize(("page", "section"), [("operate.md", "### Signals"), ("configure.md", "## Reload")])
def test_the_docs_agree_on_what_needs_a_restart(page: str, section: str) -> None:
    from orchestrator.config.changes import _APPLIES_AT_ONCE, _NEEDS_RESTART

    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n{section}\n")[2].partition("\n#")[0]
    sentences = re.split(r"(?<=[.;|]) ", " ".join(text.split()))
    waiting = " ".join(sentence for sentence in sentences if "restart" in sentence)
    reported = set(re.findall(r"`(\w+)`", waiting))
    assert set(_NEEDS_RESTART) <= reported
    assert not set(_APPLIES_AT_ONCE) & reported


def test_every_top_level_key_is_compared() -> None:
    from orchestrator.config.changes import _APPLIES_AT_ONCE, _NEEDS_RESTART
    from orchestrator.config.model import ConfigFile

    assert {*_APPLIES_AT_ONCE, *_NEEDS_RESTART} == set(ConfigFile.model_fields)
