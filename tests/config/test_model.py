import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config import ConfigError, ConfigProblem, Limits, default_socket, load, socket_of
from orchestrator.config.example import EXAMPLE
from orchestrator.config.explain import PATTERNS
from orchestrator.config.problems import written
from orchestrator.event_types import EVENT_TYPES
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import PLATFORMS
from storage.extras import install
from tests.support.config_files import errors, loaded, places, replaced, shop, with_shop, write

COMMENT = "a comment - comments stand on lines of their own, which begin with //"
COMMA = "a comma with nothing behind it - drop the comma"


def test_an_empty_config_has_every_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, {})
    assert config.storage.engine.place == str(tmp_path / "fulfilld.db")
    assert config.api.socket == default_socket()
    assert config.api.socket_permissions == 0o660
    assert config.api.tcp is None
    assert (config.retention_days, config.drain_seconds, config.recovery_limit) == (400, 30, 5)
    assert config.status_file == tmp_path / "status.json"
    assert (config.log.format, config.log.level) == ("auto", "info")
    assert config.shops == {}


def test_a_shop_has_the_documented_defaults_and_those_of_its_platform(tmp_path: Path) -> None:
    acme = loaded(tmp_path, with_shop()).shops["acme"]
    assert (acme.name, acme.platform, acme.base_url) == ("acme", "selldone", "https://api.selldone.com")
    assert acme.limits == Limits(8, 1.1, 10, WindowLimit(80, 60)), "no minute has more than 80 calls"
    assert (acme.poll.enabled, acme.poll.interval_seconds, acme.poll.page_size) == (True, 60, 100)
    assert acme.poll.lookback_seconds == 120
    assert (acme.circuit.failures, acme.circuit.cooldown_seconds) == (5, 30)
    assert (acme.retry.attempts, acme.retry.base_seconds, acme.retry.max_seconds) == (8, 1, 300)
    assert (acme.chaining, acme.fresh_seconds, acme.timeout_seconds) == ("auto", 300, 30)


def test_one_limit_can_be_set_while_the_others_stay_the_platforms(tmp_path: Path) -> None:
    acme = loaded(tmp_path, with_shop(limits={"burst": 1})).shops["acme"]
    assert acme.limits == Limits(8, 1.1, 1, WindowLimit(80, 60))


@pytest.mark.parametrize(
    ("limits", "window"),
    [
        ({"rate_per_second": 2}, WindowLimit(80, 60)),
        ({"rate_per_second": 500, "burst": 80}, WindowLimit(80, 60)),
        ({"window": {"calls": 200}}, WindowLimit(200, 60)),
        ({"window": {"calls": 50, "seconds": 120}}, WindowLimit(50, 120)),
        ({"window": {"calls": 0}}, None),
        ({"burst": 81}, None),
        ({"burst": 500, "window": {"calls": 80}}, WindowLimit(80, 60)),
    ],
)
def test_the_platforms_window_holds_unless_the_shop_says_otherwise(
    tmp_path: Path, limits: dict[str, Any], window: WindowLimit | None
) -> None:
    assert loaded(tmp_path, with_shop(limits=limits)).shops["acme"].limits.window == window


@pytest.mark.parametrize(
    ("limits", "path", "words"),
    [
        (
            {"rate_per_second": 2},
            "shops.acme.limits.rate_per_second",
            ["2 a second make 120 calls in 60 s", "80", "1.3 a second", "limits.window"],
        ),
        ({"window": {"calls": 100}}, "shops.acme.limits.window", ["80 calls in 60 s", "selldone documents"]),
        ({"window": {"calls": 41, "seconds": 30}}, "shops.acme.limits.window", ["80 calls in 60 s"]),
        ({"window": {"calls": 0}}, "shops.acme.limits.window", ["80 calls in 60 s"]),
    ],
)
def test_limits_that_contradict_the_platforms_are_explained(
    tmp_path: Path, limits: dict[str, Any], path: str, words: list[str]
) -> None:
    [warning] = loaded(tmp_path, with_shop(limits=limits)).warnings
    assert warning.path == path
    assert all(word in warning.message for word in words), warning.message


@pytest.mark.parametrize(
    ("version", "is_warned"), [("2026-01", True), ("2025-10", True), ("2026-04", False), ("unstable", False)]
)
def test_a_version_of_shopify_that_lacks_what_we_ask_for_is_warned_of(
    tmp_path: Path, version: str, is_warned: bool
) -> None:
    keys = {"platform": "shopify", "domain": "s.myshopify.com", "token": "shpat_1", "api_version": version}
    warnings = loaded(tmp_path, {"shops": {"shopy": keys}}).warnings
    assert [warning.path for warning in warnings] == (["shops.shopy.api_version"] if is_warned else [])
    assert all(version in warning.message and "2026-04" in warning.message for warning in warnings)


@pytest.mark.parametrize(
    "limits", [{}, {"rate_per_second": 1.3}, {"window": {"calls": 40, "seconds": 30}}, {"window": {"calls": 30}}]
)
def test_limits_within_the_platforms_need_no_word(tmp_path: Path, limits: dict[str, Any]) -> None:
    assert loaded(tmp_path, with_shop(limits=limits)).warnings == ()


def test_relative_paths_start_at_the_config_file_and_not_where_the_daemon_was_started(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    tree = {"storage": {"url": "sqlite:///data/o.db"}, "api": {"socket": "run/f.sock"}, "status_file": "../s.json"}
    config = load(os.path.relpath(write(folder, tree)))
    assert config.storage.url == f"sqlite:///{folder}/data/o.db"
    assert config.storage.engine.place == str(folder / "data/o.db")
    assert config.api.socket == folder / "run/f.sock"
    assert config.status_file == folder / "../s.json"


def test_absolute_paths_stay(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"storage": {"url": "sqlite:////var/o.db"}, "api": {"socket": "/run/f.sock"}})
    assert config.storage.url == "sqlite:////var/o.db"
    assert config.storage.engine.place == str(Path("/var/o.db"))
    assert config.api.socket == Path("/run/f.sock")


def test_lines_that_begin_with_two_slashes_are_comments(tmp_path: Path) -> None:
    text = '// head\n{\n  // about "days\n  "retention_days": 7,\n  "storage": {"url":\n"sqlite:////x//y.db"}\n}\n//end'
    config = loaded(tmp_path, "\ufeff" + text)
    assert config.retention_days == 7
    assert config.storage.engine.place == str(Path("/x/y.db"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n  "log": {,}\n}', "fulfilld.json:2:11: invalid JSON: "),
        ('// one\n{\n"a": 1 // two\n}', f"fulfilld.json:3:8: invalid JSON: {COMMENT}"),
        ('{"log": {}, // two\n"a": 1}', f"fulfilld.json:1:13: invalid JSON: {COMMENT}"),
        ('{"log": // two\n{}}', f"fulfilld.json:1:9: invalid JSON: {COMMENT}"),
        ('{"log": {}} // end', f"fulfilld.json:1:13: invalid JSON: {COMMENT}"),
        ('{"a": 1,\n}', f"fulfilld.json:1:8: invalid JSON: {COMMA}"),
        ('{"a": [1,\n]}', f"fulfilld.json:1:9: invalid JSON: {COMMA}"),
        ('{"a": 1\n"b": 2}', "fulfilld.json:2:1: invalid JSON: a comma is missing in front of this - add it"),
        ("{'a': 1}", "fulfilld.json:1:2: invalid JSON: single quotes - write double quotes"),
        ('{"a": {"b": 1}', "fulfilld.json:1:15: invalid JSON: the file ends too early"),
        ("", "fulfilld.json: the file is empty"),
        ("[]", "fulfilld.json: must be a JSON object"),
        ('{"drain_seconds": NaN}', "fulfilld.json:1:19: NaN is not a number in JSON"),
        ('{"drain_seconds": -Infinity}', "fulfilld.json:1:19: -Infinity is not a number in JSON"),
        ('{"drain_seconds": 1e999}', "fulfilld.json:1:19: is too large for a number"),
        ('{"drain_seconds": %s}' % ("9" * 5000), "fulfilld.json: has a number with thousands of digits"),
        ('{"log": {"level": "\\ud800"}}', "fulfilld.json:1:19: is not valid Unicode"),
        ('{"x": %s}' % ("[" * 40 + "]" * 40), "fulfilld.json:1:38: is nested too deeply"),
        ("[" * 100_000, "fulfilld.json: is nested too deeply"),
    ],
)
def test_what_is_not_json_is_shown_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    [line] = errors(tmp_path, text)
    assert line.startswith(problem)


def test_keys_that_are_there_twice_are_all_found_however_they_are_spelt(tmp_path: Path) -> None:
    text = '{"shops": {\n  "a": {"token": "x", "to\\u006ben": "y"},\n  "b": {"token": "token"},\n  "a": {}}}'
    assert errors(tmp_path, text) == [
        'fulfilld.json:2:23: the key "token" is there twice - remove one',
        'fulfilld.json:4:3: the key "a" is there twice - remove one',
    ]


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.json: there is no such file - name a config"):
        load(tmp_path / "missing.json")
    (tmp_path / "latin.json").write_bytes(b'{\n"\xe4": 1}')
    with pytest.raises(ConfigError, match=r"^latin\.json:2: is not UTF-8"):
        load(tmp_path / "latin.json")


def test_a_pattern_is_reported_in_words(tmp_path: Path) -> None:
    shopify = {"platform": "shopify", "domain": "a.myshopify.com", "token": "shpat_1", "api_version": "latest"}
    reported = "shops.s.api_version: must be the first month of a quarter such as 2026-10, or unstable"
    assert errors(tmp_path, {"shops": {"s": shopify}}) == [reported]


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_every_pattern_of_a_platforms_options_has_words(platform: str) -> None:
    assert patterns(PLATFORMS[platform].options.model_json_schema()) <= PATTERNS.keys()


def patterns(schema: Any) -> set[str]:
    """The patterns anywhere in a JSON Schema."""
    if isinstance(schema, list):
        return set().union(*map(patterns, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    return own.union(*map(patterns, schema.values()))


@pytest.mark.parametrize("value", [{"env": "ACME_TOKEN"}, {"file": "nowhere"}, {"deep": {"env": "ACME_TOKEN"}}])
@pytest.mark.parametrize("platform", ["selldone", "seldone"])
def test_a_misspelt_key_is_reported_though_its_value_cannot_be_had(tmp_path: Path, platform: str, value: Any) -> None:
    tree = {"tokn": value, "shops": {"acme": {"platform": platform, "shop_id": 1, "tokn": value}}}
    reported = errors(tmp_path, tree, environ={})
    assert "tokn: unknown key" in reported[0]
    (shop_key,) = [line for line in reported if line.startswith("shops.acme.tokn")]
    assert shop_key == 'shops.acme.tokn: unknown key - did you mean "token"?'


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"retension_days": 1}, 'retension_days: unknown key - did you mean "retention_days"?'),
        ({"log": {"zzz": 1}}, "log.zzz: unknown key - known here: format, level"),
        ({"shosp": {}}, 'shosp: unknown key - did you mean "shops"?'),
        ({"retention_days": 0}, "retention_days: must be at least 1, not 0"),
        ({"retention_days": 1.5}, "retention_days: must be a whole number, not 1.5"),
        ({"retention_days": True}, "retention_days: must be a whole number, not true"),
        ({"retention_days": "7"}, "retention_days: must be a whole number - write it without quotes"),
        ({"retention_days": "a week"}, "retention_days: must be a whole number, such as 400"),
        ({"retention_days": "7.5"}, "retention_days: must be a whole number, such as 400"),
        ({"retention_days": None}, "retention_days: must be a whole number"),
        ({"drain_seconds": "2.5"}, "drain_seconds: must be a number - write it without quotes"),
        ({"drain_seconds": "2,5"}, "drain_seconds: must be a number, such as 30"),
        ({"drain_seconds": True}, "drain_seconds: must be a number, not true"),
        ({"drain_seconds": -1}, "drain_seconds: must be at least 0, not -1"),
        ({"log": "json"}, "log: must be an object in { }"),
        (
            {"log": {"level": "inf"}},
            'log.level: must be one of "debug", "info", "warning", "error", not "inf" - did you mean "info"?',
        ),
        (
            {"log": {"format": "jsn"}},
            'log.format: must be one of "auto", "json", "text", not "jsn" - did you mean "json"?',
        ),
        ({"log": {"level": 3}}, 'log.level: must be one of "debug", "info", "warning", "error"'),
        ({"status_file": ""}, "status_file: must be the path of a file"),
        ({"status_file": 5}, 'status_file: must be text in quotes, not 5, or {"env": "NAME"} or {"file": "PATH"}'),
        ({"api": {"socket_mode": "0999"}}, 'api.socket_mode: must be an octal file mode such as "0660"'),
        (
            {"api": {"socket_mode": "0060"}},
            'api.socket_mode: must let its owner read and write, such as "0660"',
        ),
        ({"api": {"tcp": {"token": "x"}}}, "api.tcp.port: is missing - add it (Port to listen on)"),
        (
            {"api": {"tcp": {"port": 1}}},
            'api.tcp.token: is missing - add it, best as {"env": "NAME"} or {"file": "PATH"}',
        ),
        ({"api": {"tcp": {"port": 65536, "token": "x"}}}, "api.tcp.port: must be at most 65535, not 65536"),
        (
            {"api": {"tcp": {"port": 1, "token": "two words"}}},
            "api.tcp.token: must be visible ASCII without blanks",
        ),
        ({"api": {"tcp": {"port": 1, "token": ""}}}, "api.tcp.token: must not be empty"),
        ({"delivery": {"orders_url": "https://e", "secret": ""}}, "delivery.secret: must not be empty"),
        ({"shops": []}, 'shops: must be an object in { } with a shop for each name, such as {"acme": {…}}'),
        ({"shops": {"acme": 1}}, 'shops.acme: must be an object in { } with at least "platform"'),
        ({"shops": {"acme": {}}}, "shops.acme.platform: is missing - add it (The shop's platform)"),
        (
            {"shops": {"acme": {"platform": "sell"}}},
            (
                f"shops.acme.platform: must be one of {', '.join(json.dumps(name) for name in PLATFORMS)}"
                ', not "sell" - did you mean "selldone"?'
            ),
        ),
        (with_shop(tokn="x"), 'shops.acme.tokn: unknown key - did you mean "token"?'),
        (with_shop(pol={}), 'shops.acme.pol: unknown key - did you mean "poll"?'),
        (with_shop(poll={"page_size": 251}), "shops.acme.poll.page_size: must be at most 250, not 251"),
        (with_shop(poll={"page_size": 0}), "shops.acme.poll.page_size: must be at least 1, not 0"),
        (with_shop(poll={"interval_seconds": 0}), "shops.acme.poll.interval_seconds: must be more than 0, not 0"),
        (with_shop(poll={"enabled": 1}), "shops.acme.poll.enabled: must be true or false, not 1"),
        (with_shop(limits={"burst": 0}), "shops.acme.limits.burst: must be at least 1, not 0"),
        (with_shop(shop_id=True), "shops.acme.shop_id: must be a whole number, not true"),
        (
            with_shop(poll={"enabled": "true"}),
            "shops.acme.poll.enabled: must be true or false - write it without quotes",
        ),
        (with_shop(poll={"enabled": "yes"}), "shops.acme.poll.enabled: must be true or false"),
        (with_shop(shop_id="1"), "shops.acme.shop_id: must be a whole number - write it without quotes"),
        (with_shop(shop_id="abc"), "shops.acme.shop_id: must be a whole number, such as 12345"),
        (
            with_shop(updated_at_unit="us"),
            'shops.acme.updated_at_unit: must be one of "s", "ms", not "us"',
        ),
        (
            with_shop(retry={"base_seconds": 9, "max_seconds": 5}),
            "shops.acme.retry: base_seconds must not be larger than max_seconds",
        ),
        (with_shop(webhook_secret=" "), "shops.acme.webhook_secret: must not be empty"),
        (
            {"api": {"tcp": {"port": 8443, "token": "x"}}, "webhooks": {"port": 8443}},
            "webhooks.port: is the port of api.tcp too - give each its own",
        ),
        (
            {"api": {"tcp": {"port": 8443, "token": "x"}}, "webhooks": {"host": "0.0.0.0", "port": 8443}},
            "webhooks.port: is the port of api.tcp too - give each its own",
        ),
        (
            {"monitoring": {"port": 8443}, "webhooks": {"host": "0.0.0.0", "port": 8443}},
            "monitoring.port: is the port of webhooks too - give each its own",
        ),
        (
            {"api": {"tcp": {"port": 9464, "token": "x"}}, "monitoring": {"host": "0.0.0.0", "port": 9464}},
            "monitoring.port: is the port of api.tcp too - give each its own",
        ),
        ({"monitoring": {"host": "0.0.0.0"}}, "monitoring.port: is missing - add it (Port to listen on)"),
        ({"webhooks": {"port": 0}}, "webhooks.port: must be at least 1, not 0"),
        ({"delivery": {"secret": "x"}}, "delivery: must have orders_url, products_url or both"),
        (
            {"delivery": {"orders_url": "http://erp.example", "secret": "x"}},
            "delivery.orders_url: must be https - http will do for this machine alone",
        ),
        (
            {"delivery": {"orders_url": "https://e", "secret": "x", "orders_types": ["target"]}},
            'delivery.orders_types[0]: must be a type of event such as "target.reached", or several: '
            + ", ".join(f'"{kind}.*"' for kind in dict.fromkeys(name.split(".")[0] for name in EVENT_TYPES)),
        ),
    ],
)
def test_each_mistake_is_one_line_with_its_path_and_what_to_do(tmp_path: Path, tree: Any, line: str) -> None:
    assert errors(tmp_path, tree) == [line]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgres://u:pass-word@h/db", "must begin with postgresql://"),
        ("postgresql+psycopg://u:pass-word@h/db", "must begin with postgresql://"),
        ("postgresql://u:pass-word@h", "must name a database"),
        ("postgresql://u:pass-word%zz@h/db", "must be postgresql://USER@HOST/DATABASE"),
        ("postgresql://u:pass-word@h/db?pass-word=1", "must be postgresql://USER@HOST/DATABASE"),
        ("postgresql://u:pass-word/db", "its port must be a number from 1 to 65535"),
        ("postgresql://u:pass-word@h:0/db", "its port must be a number from 1 to 65535"),
        ("postgresql://u:pass-word@h,i:65536/db", "its port must be a number from 1 to 65535"),
        ("postgresql://u:pass-word@/db?host=h,i&port=1,2,3", "its ports must be one for all hosts, or one for each"),
        ("postgresql://u:pass-word@h/db?sslmode=pass-word", "its sslmode must be one of disable, allow,"),
        ("postgresql://u:pass-word@h/db?target_session_attrs=primry", "its target_session_attrs must be one of any,"),
        ("postgresql://u:pass-word@h/db?connect_timeout=pass-word", "its connect_timeout must be a whole number"),
        ("mysql://u:pass-word@h/db", "must be sqlite:///FILE"),
        ("sqlite://fulfilld.db", "must be sqlite:///FILE"),
        ("fulfilld.db", "must be sqlite:///FILE"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///folder/", "must name a file"),
        ("sqlite:///a.db?mode=ro", "must name a file, without ? or #"),
    ],
)
def test_a_store_that_we_do_not_have_is_refused_without_repeating_its_url(
    tmp_path: Path, url: str, reason: str
) -> None:
    [line] = errors(tmp_path, {"storage": {"url": url}})
    assert line.startswith(f"storage.url: {reason}")
    assert "pass-word" not in line


def test_a_server_without_its_library_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    [line] = errors(tmp_path, {"storage": {"url": "postgresql://u:pass-word@h/db"}})
    assert line == f"storage.url: needs psycopg, which is not installed: {install('postgres')}"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.com", "::", ""])
def test_the_api_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    [line] = errors(tmp_path, {"api": {"tcp": {"host": host, "port": 1, "token": "x"}}})
    assert line.startswith("api.tcp.host: must be a loopback address")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_every_loopback_address_will_do(tmp_path: Path, host: str) -> None:
    config = loaded(tmp_path, {"api": {"tcp": {"host": host, "port": 1, "token": "x"}}})
    assert config.api.tcp is not None
    assert config.api.tcp.host == host


def test_hosts_are_kept_as_browsers_send_them(tmp_path: Path) -> None:
    given = ["FF.Example.", "localhost", "[2001:DB8:0::7]", "10.0.0.7", "xn--bcher-kva.example", "my_host"]
    kept = ("ff.example", "localhost", "2001:db8::7", "10.0.0.7", "xn--bcher-kva.example", "my_host")
    assert loaded(tmp_path, {"api": {"hosts": given}}).api.hosts == kept


@pytest.mark.parametrize(
    "host",
    ["", "https://ff.example", "ff.example:8440", "ff.example/", "*.example", "bücher.example", "a b", "-a", "."],
)
def test_a_host_that_no_browser_sends_is_refused(tmp_path: Path, host: str) -> None:
    [problem] = errors(tmp_path, {"api": {"hosts": ["good.example", host]}})
    assert problem.startswith("api.hosts[1]: must be a host name or address alone")


def test_a_socket_path_that_the_kernel_would_cut_is_refused(tmp_path: Path) -> None:
    assert errors(tmp_path, {"api": {"socket": "/" + "x" * 106}}) == []
    [line] = errors(tmp_path, {"api": {"socket": "/" + "x" * 107}})
    assert line.startswith("api.socket: is too long for a Unix socket")


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://h",
        "https://",
        "https://h:port",
        "https://h:99999",
        "https://[h",
        "https://u:p@h",
        "https://h/?a=1",
        "https://h#x",
        "https://h/a b",
        "https://ä.example",
        "",
    ],
)
def test_a_base_url_that_is_no_address_is_refused(tmp_path: Path, url: str) -> None:
    [line] = errors(tmp_path, with_shop(base_url=url))
    assert line.startswith("shops.acme.base_url: must ")


@pytest.mark.parametrize("platform", [{}, {"platform": "sell"}, {"platform": 1}])
def test_keys_that_no_platform_has_are_reported_also_while_the_platform_is_not_known(
    tmp_path: Path, platform: dict[str, Any]
) -> None:
    found = errors(
        tmp_path, {"shops": {"acme": {**platform, "platfrom": "selldone", "shop_id": 1, "domian": "", "q": 1}}}
    )
    assert 'shops.acme.platfrom: unknown key - did you mean "platform"?' in found
    assert 'shops.acme.domian: unknown key - did you mean "domain"?' in found
    assert any(line.startswith("shops.acme.q: unknown key - known here: base_url, ") for line in found)
    assert any(line.startswith("shops.acme.platform: ") for line in found)
    assert len(found) == 4


def test_webhooks_on_another_address_than_the_api_may_have_its_port(tmp_path: Path) -> None:
    api = {"tcp": {"host": "127.0.0.1", "port": 8443, "token": "x"}}
    assert errors(tmp_path, {"api": api, "webhooks": {"host": "192.0.2.1", "port": 8443}}) == []


def test_a_base_url_loses_its_last_slash(tmp_path: Path) -> None:
    config = loaded(tmp_path, with_shop(base_url="http://127.0.0.1:8080/selldone/"))
    assert config.shops["acme"].base_url == "http://127.0.0.1:8080/selldone"
    assert config.warnings == ()


def test_credentials_in_the_clear_to_another_machine_are_warned_of(tmp_path: Path) -> None:
    config = loaded(tmp_path, with_shop(base_url="http://shop.example"))
    assert config.warnings == (
        ConfigProblem("shops.acme.base_url", "credentials will cross the network in the clear - use https"),
    )


@pytest.mark.parametrize(
    ("tree", "path", "word"),
    [
        (with_shop(webhook_secret="long-enough"), "shops.acme.webhook_secret", "without the section webhooks"),
        ({**with_shop(), "webhooks": {"port": 8443}}, "webhooks", "no shop has a webhook_secret"),
        (
            {**with_shop(webhook_secret=["long-enough", "s3cret7"]), "webhooks": {"port": 8443}},
            "shops.acme.webhook_secret",
            "easy to guess",
        ),
        (
            {**with_shop(), "delivery": {"orders_url": "https://e", "secret": "s3cret7"}},
            "delivery.secret",
            "easy to guess with fewer than 8 characters - `fulfilld secret new`",
        ),
        (
            {**with_shop(), "delivery": {"orders_url": "https://e", "secret": "whsec_s3cr"}},
            "delivery.secret",
            "easy to guess",
        ),
        ({**with_shop(), "api": {"tcp": {"port": 8443, "token": "s3cret7"}}}, "api.tcp.token", "easy to guess"),
        ({}, "shops", "there are none"),
        ({"shops": {}, "webhooks": {"port": 8443}}, "shops", "there are none"),
        (
            {**with_shop(), "delivery": {"orders_url": "https://e", "secret": "my-s3cret7-of-the-erp"}},
            "delivery.secret",
            "not standard base64",
        ),
    ],
)
def test_what_is_surely_not_meant_is_warned_of_without_showing_a_secret(
    tmp_path: Path, tree: dict[str, Any], path: str, word: str
) -> None:
    [warning] = loaded(tmp_path, tree).warnings
    assert warning.path == path
    assert word in warning.message
    assert "s3cret7" not in warning.message


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_not base64",
        "whsec_ZXJwLXNlY3JldC0xMjM0NTY3OA",  # Python's library reads it, JavaScript's does not
        "whsec_ZXJwLXNlY3JldC0xMjM0NTY3OA=",
        "whsec_ZXJwLXNlY3JldC0xMjM0NTY3OA==\n",
        "whsec__-_-ZXJwLXNlY3JldC0xMjM0NTY3",  # Python's drops - and _, JavaScript's refuses them
        "whsec_=ZXJwLXNlY3JldC0xMjM0NTY3OA=",
        "whsec_ZXJwLXNlY3JldC0xMjM0NTY3O===",
    ],
)
def test_a_signing_secret_that_libraries_read_differently_is_refused_unseen(tmp_path: Path, secret: str) -> None:
    [problem] = errors(tmp_path, {"delivery": {"orders_url": "https://e", "secret": secret}})
    assert problem.startswith("delivery.secret: must be standard base64 behind whsec_")
    assert "`fulfilld secret new`" in problem
    assert "ZXJw" not in problem


@pytest.mark.parametrize(
    "secret", ["whsec_ZXJwLXNlY3JldC0xMjM0NTY3OA==", "ZXJwLXNlY3JldC0xMjM0NTY3OA==", "whsec_" + 8 * "+/+/"]
)
def test_a_signing_secret_that_libraries_read_alike_is_good(tmp_path: Path, secret: str) -> None:
    tree = {**with_shop(), "delivery": {"orders_url": "https://e", "secret": secret}}
    assert loaded(tmp_path, tree).warnings == ()


def test_a_simulated_platform_may_have_a_secret_though_no_webhooks_are_wanted(tmp_path: Path) -> None:
    tree = with_shop(webhook_secret="long-enough", base_url="http://127.0.0.1:8080")
    assert loaded(tmp_path, tree).warnings == ()


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    tree = {
        "shops": {
            "b": shop(poll={"page_size": 0}, token={"env": "UNSET"}, nonsense=1),
            "-": {},
            "a": {"platform": "selldone"},
        },
        "log": {"level": "loud"},
        "drain_seconds": "x",
    }
    assert [line.partition(": ")[0] for line in errors(tmp_path, tree)] == [
        "shops.b.token",
        "shops.b.poll.page_size",
        "shops.b.nonsense",
        "shops.-",
        "shops.a.shop_id",
        "shops.a.token",
        "log.level",
        "drain_seconds",
    ]


@pytest.mark.parametrize("name", ["a", "Shop_1.eu-west", "0", "x" * 63])
def test_a_shop_may_be_called(tmp_path: Path, name: str) -> None:
    assert list(loaded(tmp_path, {"shops": {name: shop()}}).shops) == [name]


@pytest.mark.parametrize("name", ["", ".a", "a/b", "a b", "ä", "a\n", "x" * 64])
def test_a_shop_may_not_be_called(tmp_path: Path, name: str) -> None:
    [line] = errors(tmp_path, {"shops": {name: shop()}})
    assert "is not a valid shop name" in line
    assert "the first is a letter or a digit" in line


def test_odd_keys_are_quoted_in_paths_and_long_ones_cut() -> None:
    assert written(("shops", "a.b", "x\ny", 2, "k" * 200)) == f'shops["a.b"]["x\\ny"][2]["{"k" * 60}…"]'
    assert written(("\u2028\x1b[31m",)) == '["\\u2028\\u001b[31m"]'
    assert written(()) == "config"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["env", "file"]), inner),
    max_leaves=6,
)


@given(place=st.sampled_from(list(places(EXAMPLE))), value=JSON_VALUES, extra=st.text())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_config_it_is_good_or_refused_in_lines(
    tmp_path: Path, place: tuple[str, ...], value: Any, extra: str
) -> None:
    tree = replaced(EXAMPLE, place, value)
    errors(tmp_path, tree)
    errors(tmp_path, tree | {extra: value})


def test_a_reference_may_stand_for_any_text(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b" t0ken \r\n")
    (tmp_path / "unit").write_text("ms\n\n")
    (tmp_path / "mode").write_text("0600")
    tree = {
        "log": {"level": {"env": "LEVEL"}},
        "api": {"socket_mode": {"file": str(tmp_path / "mode")}},
        "shops": {"env": {"platform": {"env": "PLATFORM"}, "shop_id": 1, "token": {"env": "ACME_TOKEN"}}},
    }
    config = loaded(tmp_path, tree, {"LEVEL": "debug", "PLATFORM": "selldone", "ACME_TOKEN": "x"})
    assert config.log.level == "debug"
    assert config.api.socket_permissions == 0o600
    assert list(config.shops) == ["env"]
    # One line break goes, and nothing else: blanks may belong to a secret, so they are refused and not guessed away.
    assert errors(tmp_path, with_shop(token={"file": "token"})) != []
    assert errors(tmp_path, with_shop(updated_at_unit={"file": "unit"})) != []


def test_a_reference_that_leads_nowhere_is_reported_once_and_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x80\xff")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    os.mkfifo(tmp_path / "pipe")
    wrong = {
        "the environment variable UNSET is not set": {"env": "UNSET"},
        '"env" must be the name of an environment variable': {"env": "no name"},
        f'the file "{tmp_path}/missing" cannot be read: No such file or directory': {"file": "missing"},
        f'"{tmp_path}" is not a regular file': {"file": "."},
        f'"{tmp_path}/pipe" is not a regular file': {"file": "pipe"},
        f'the file "{tmp_path}/binary" is not UTF-8': {"file": "binary"},
        f'the file "{tmp_path}/large" is larger than 64 KiB': {"file": "large"},
        f'the file "{tmp_path}/{"t" * 60}…" cannot be read': {"file": "t" * 61},
        '"file" must be the path of a file': {"file": ""},
        'has both "env" and "file" - keep one': {"env": "ACME_TOKEN", "file": "token"},
        "the environment variable BYTES is not UTF-8": {"env": "BYTES"},
    }
    for reason, reference in wrong.items():
        for path, tree in (
            ("shops.acme.token", with_shop(token=reference)),
            ("log.level", {"log": {"level": reference}}),
            ("storage", {"storage": reference}),
        ):
            [line] = errors(tmp_path, tree, {"BYTES": "\udcff"})
            assert line.startswith(f"{path}: {reason}")


def test_a_number_cannot_come_from_a_variable(tmp_path: Path) -> None:
    [line] = errors(tmp_path, {"retention_days": {"env": "DAYS"}}, {"DAYS": "7"})
    assert line == (
        "retention_days: must be a whole number - a variable or a file gives text only, so write the value here"
    )


def test_something_that_only_looks_like_a_reference_is_judged_by_its_key(tmp_path: Path) -> None:
    [line] = errors(tmp_path, with_shop(token={"env": 5}))
    assert line == 'shops.acme.token: must be text in quotes, or {"env": "NAME"} or {"file": "PATH"}'
    [line] = errors(tmp_path, with_shop(token={"env": "A", "default": "b"}), {"A": "x"})
    assert line.startswith("shops.acme.token: must be text in quotes")
    assert errors(tmp_path, {"env": "A"}, {"A": "x"})[0].startswith("env: unknown key")


def test_a_client_finds_the_socket_though_the_rest_of_the_config_is_not_for_it(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"api": {"socket": "f.sock", "tcp": {"token": {"env": "UNSET"}}}, "shops": 5}
    assert socket_of(write(tmp_path, tree)) == tmp_path / "f.sock"
    assert socket_of(write(tmp_path, {})) == default_socket()
    assert socket_of(write(tmp_path, {"api": {"socket": {"env": "S"}}}), {"S": "/run/f"}) == Path("/run/f")
    with pytest.raises(ConfigError, match=r"^api\.socket: the environment variable S is not set"):
        socket_of(write(tmp_path, {"api": {"socket": {"env": "S"}}}), {})


def test_the_config_can_be_a_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps(with_shop()).encode())
    os.close(writing)
    try:
        assert list(load(f"/dev/fd/{reading}").shops) == ["acme"]
    finally:
        os.close(reading)
