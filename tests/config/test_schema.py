import json
import re
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.config import json_schema, load
from orchestrator.config.example import EXAMPLE, example
from orchestrator.config.explain import models_in
from orchestrator.config.model import ConfigFile, ShopSettings
from orchestrator.registry import PLATFORMS
from tests.support.config_files import ENVIRON, errors, replaced, with_shop, write

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(json_schema())
PAGE = (ROOT / "docs" / "configure.md").read_text()


def keys(model: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of every key that a model takes."""
    for name, field in model.model_fields.items():
        below = list(models_in(field.annotation))
        if below:
            yield prefix + name
        for inner in below:
            yield from keys(inner, f"{prefix}{name}.")
        if not below:
            yield prefix + name


def values(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict) and value.keys() != {"env"}:
            yield from values(value, f"{prefix}{name}.")


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_schema_loads_as_json_and_says_nothing_of_this_machine() -> None:
    text = json.dumps(json_schema())
    assert str(Path.home()) not in text
    assert "/run/" not in text
    assert tempfile.gettempdir() not in text


def test_the_example_file_is_the_commented_example_without_its_comments() -> None:
    plain = "".join(f"{line}\n" for line in example().splitlines() if not line.lstrip().startswith("//"))
    assert (ROOT / "config.example.json").read_text() == plain
    assert json.loads(plain) == EXAMPLE


def test_both_examples_load_once_their_variables_are_set(tmp_path: Path) -> None:
    commented = load(write(tmp_path, example()), ENVIRON)
    plain = load(write(tmp_path, EXAMPLE), ENVIRON)
    assert commented == plain
    assert commented.warnings == ()
    VALIDATOR.validate(EXAMPLE)


def test_the_example_has_every_key_and_a_shop_of_every_platform() -> None:
    top = set(values({name: value for name, value in EXAMPLE.items() if name != "shops"}))
    assert top == set(keys(ConfigFile))
    for name, spec in PLATFORMS.items():
        shops = [shop for shop in EXAMPLE["shops"].values() if shop["platform"] == name]
        shown = {key for shop in shops for key in values(shop)}
        assert shown >= set(keys(spec.options))
    assert {key for shop in EXAMPLE["shops"].values() for key in values(shop)} >= set(keys(ShopSettings))


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    shown = load(write(tmp_path, EXAMPLE), ENVIRON)
    shops = {}
    for name, shop in EXAMPLE["shops"].items():
        fields = PLATFORMS[shop["platform"]].options.model_fields
        needed = [key for key, field in fields.items() if field.is_required() or field.default is None]
        needed += ["base_url"] if PLATFORMS[shop["platform"]].default_base_url is None else []
        shops[name] = {key: shop[key] for key in ("platform", "webhook_secret", *needed) if key in shop}
    given = {key: EXAMPLE[key] for key in ("api", "monitoring", "webhooks", "delivery")}  # those are off by default
    given["storage"] = {"secret_key": EXAMPLE["storage"]["secret_key"]}
    default = load(write(tmp_path, {**given, "shops": shops}), ENVIRON)
    assert shown == default


def test_every_key_in_the_example_has_a_comment_above_it() -> None:
    lines = [line.strip() for line in example().splitlines()]
    for above, line in pairwise(lines):
        if (key := re.match(r'"(\w+)":', line)) and key[1] not in EXAMPLE["shops"]:
            assert above.startswith("// "), line


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"shops": {}},
        with_shop(),
        with_shop(token={"file": "x"}, base_url={"env": "URL"}, updated_at_unit={"env": "UNIT"}),
        {"storage": {"url": {"env": "URL"}}, "log": {"level": {"env": "LEVEL"}}},
        {"shops": {"a": {"platform": {"env": "PLATFORM"}, "shop_id": 1, "token": "x"}}},
    ],
)
def test_the_schema_takes_what_the_loader_takes_with_references_for_any_text(tmp_path: Path, tree: Any) -> None:
    (tmp_path / "x").write_text("secret\n")
    environ = {"UNIT": "ms", "LEVEL": "info", "PLATFORM": "selldone"}
    url = "https://h" if "shops" in tree else "sqlite:///o.db"
    assert errors(tmp_path, tree, environ | {"URL": url}) == []
    VALIDATOR.validate(tree)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("storag",), {}),
        (("webhooks",), {}),
        (("delivery", "secret"), 1),
        (("shops", "acme", "webhook_secret"), 5),
        (("retention_days",), 0),
        (("retention_days",), {"env": "DAYS"}),
        (("log", "level"), "loud"),
        (("log", "level"), {"env": "A", "file": "B"}),
        (("shops", "a b"), EXAMPLE["shops"]["acme"]),
        (("shops", "acme", "tokn"), "x"),
        (("shops", "acme", "platform"), "unheard-of"),
        (("shops", "acme", "shop_id"), "12"),
        (("shops", "acme", "poll", "page_size"), 251),
        (("shops", "acme"), {"platform": "selldone", "shop_id": 1}),
        (("shops", "acme"), {}),
        (("api", "tcp"), {"port": 1}),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(tmp_path: Path, path: tuple[str, ...], value: Any) -> None:
    tree = replaced(EXAMPLE, path, value)
    assert errors(tmp_path, tree, ENVIRON | {"DAYS": "1", "A": "info"}) != []
    assert not VALIDATOR.is_valid(tree)


def documented(platform: str | None = None) -> dict[str, str]:
    """Key and default of every row of the page's tables: a platform's own, or those outside platforms' sections."""
    sections = re.split(r"^### (\w+)$|^## .*$", PAGE, flags=re.MULTILINE)
    names = [(name or "").casefold() for name in sections[1::2]]
    page = "".join(text for name, text in zip(names, sections[2::2], strict=True) if name == (platform or ""))
    rows = re.findall(r"^\| `([\w.]+)` \| [^|]+ \| ([^|]+) \|", page, re.MULTILINE)
    assert len(rows) == len({key for key, _ in rows})
    return dict(rows)


def leaves(model: Any) -> set[str]:
    names = set(keys(model))
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def test_the_page_documents_every_key_and_no_other() -> None:
    assert documented().keys() == leaves(ConfigFile) | leaves(ShopSettings) | {"shops", "api.tcp"}
    for name, spec in PLATFORMS.items():
        assert documented(name).keys() == leaves(spec.options)


def test_the_page_shows_the_true_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, EXAMPLE), ENVIRON)
    assert config.shops["acme"].platform == "selldone"
    acme = EXAMPLE["shops"]["acme"]
    reported = [(key, default, acme if key.split(".")[0] in acme else EXAMPLE) for key, default in documented().items()]
    for shop in EXAMPLE["shops"].values():
        rows = documented(shop["platform"]).items()
        reported += [(key, default, shop) for key, default in rows if key.split(".")[0] in shop]
    for key, default, tree in reported:
        if not default.startswith("`") or key == "shops":
            continue
        node: Any = tree
        for part in key.split("."):
            node = node[part]
        assert json.loads(default.strip("`")) == node, key


def test_the_page_names_every_platform_in_a_section_of_its_own() -> None:
    for name in PLATFORMS:
        assert f'`"{name}"`' in PAGE
        assert re.search(rf"^### {name}$", PAGE, re.MULTILINE | re.IGNORECASE)
