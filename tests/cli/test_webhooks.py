"""`webhooks` and `doctor` against the simulated Shopify, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from orchestrator.platforms.shopify.webhooks import TOPICS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.engines import engine_of
from tests.cli.fake import FakeDaemon, Run, a_status

LISTENER: dict[str, object] = {"port": 8443}
PUBLIC = "https://hooks.example"
ON_A_SERVER = "postgresql://u:pass-word@127.0.0.1:1/fulfilld"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox."""
    made = Sandbox(SandboxSettings(orders=1))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(made.running()):
        yield made


def configure(directory: Path, sandbox: Sandbox, webhooks: dict[str, object]) -> None:
    (directory / "config.json").write_text(json.dumps({**sandbox.config(), "webhooks": webhooks}))


def test_what_is_missing_is_shown_then_asked_for_where_the_config_says(run: Run, alone: Path, sandbox: Sandbox) -> None:
    configure(alone, sandbox, {**LISTENER, "public_url": PUBLIC})
    before = run("webhooks", "shopy")
    assert (before.exit_code, before.stdout.splitlines()[0]) == (0, "the platform sends no webhooks")
    assert "orders/paid" in before.stdout
    made = run("webhooks", "--register", "shopy", "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout)["registered"] == list(TOPICS)
    after = json.loads(run("webhooks", "shopy", "--json").stdout)
    assert (after["registered"], after["missing"]) == ([], {})
    assert {each["address"] for each in after["webhooks"]} == {
        f"{PUBLIC}/webhooks/shopy/orders",
        f"{PUBLIC}/webhooks/shopy/products",
    }


def test_the_page_has_each_address_and_each_reason_once_and_fits(run: Run, alone: Path, sandbox: Sandbox) -> None:
    configure(alone, sandbox, LISTENER)
    bare = run("webhooks", "shopy").stdout
    assert bare.count("not sent: not subscribed") == bare.count("not sent: ") == 1
    assert "set webhooks.public_url, or `fulfilld webhooks shopy --register ADDRESS`" in bare
    refusal = b'{"data":null,"errors":[{"message":"no read_products","extensions":{"code":"ACCESS_DENIED"}}]}'
    sandbox.faults.script_answer(200, refusal, step="webhookSubscriptionCreate", times=2)  # with a fresh token, too
    run("webhooks", "shopy", "--register", PUBLIC)
    configure(alone, sandbox, {**LISTENER, "public_url": PUBLIC})
    most = run("webhooks", "shopy").stdout
    for shown in (bare, most):
        assert [topic for topic in TOPICS if topic not in shown] == []
        assert max(map(len, shown.splitlines())) <= 80
    for place in ("orders", "products"):
        assert most.count(f"sent to {PUBLIC}/webhooks/shopy/{place}\n") == 1
    assert "\n`fulfilld webhooks shopy --register` asks for them\n" in most


def test_an_address_that_is_given_goes_before_the_configs(run: Run, alone: Path, sandbox: Sandbox) -> None:
    configure(alone, sandbox, {**LISTENER, "public_url": PUBLIC})
    made = json.loads(run("webhooks", "shopy", "--register", "https://other.example/", "--json").stdout)
    assert {each["address"].partition("/webhooks")[0] for each in made["webhooks"]} == {"https://other.example"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["shopy", "--register"], 2, "webhooks.public_url"),
        (["shopy", "--register", "http://hooks.example"], 2, "must be https"),
        (["xs"], 2, "set up by hand"),
        (["nobody"], 4, "no shop nobody"),
    ],
)
def test_what_cannot_be_asked_for_is_said_with_the_remedy(
    run: Run, alone: Path, sandbox: Sandbox, arguments: list[str], code: int, words: str
) -> None:
    configure(alone, sandbox, LISTENER)
    result = run("webhooks", *arguments)
    assert (result.exit_code, words in result.stderr) == (code, True), result.stderr


def test_a_topic_that_shopify_refuses_is_a_failure_with_its_words(run: Run, alone: Path, sandbox: Sandbox) -> None:
    configure(alone, sandbox, LISTENER)
    refusal = b'{"data":null,"errors":[{"message":"no read_products","extensions":{"code":"ACCESS_DENIED"}}]}'
    sandbox.faults.script_answer(200, refusal, step="webhookSubscriptionCreate", times=2)  # with a fresh token, too
    result = run("webhooks", "shopy", "--register", PUBLIC)
    assert result.exit_code == 1
    assert "no read_products" in result.stdout


def test_doctor_says_which_webhooks_do_not_come(run: Run, alone: Path, sandbox: Sandbox) -> None:
    configure(alone, sandbox, LISTENER)
    assert "fulfilld webhooks shopy --register" in run("doctor").stdout
    assert run("webhooks", "shopy", "--register", PUBLIC).exit_code == 0
    assert "the platform sends all that we take" in run("doctor").stdout


@pytest.fixture
def on_a_server(alone: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config with a store on a server that is away; answers the state directory, which nobody has made yet."""
    config = {**sandbox.config(), "storage": {"url": ON_A_SERVER}}
    (alone / "config.json").write_text(json.dumps({**config, "webhooks": LISTENER}))
    monkeypatch.setenv("STATE_DIRECTORY", str(alone / "state"))
    return alone / "state"


def test_doctor_says_once_in_its_table_that_the_state_directory_is_made_later(run: Run, on_a_server: Path) -> None:
    said = run("doctor").stdout
    assert said.startswith("WHERE")
    assert "not_kept" not in said
    assert "not_locked" not in said
    assert " ".join(said.split()).count("is made at the daemon's start; until then no token is kept") == 1
    assert not on_a_server.exists()


def test_doctor_says_that_the_state_directory_cannot_be_made(run: Run, on_a_server: Path) -> None:
    on_a_server.write_text("a file")
    said = run("doctor").stdout
    assert said.startswith("WHERE")
    assert f"cannot be made: {on_a_server} may not be written by this user" in " ".join(said.split())


def test_doctor_says_where_tokens_are_kept_for_a_store_on_a_server(run: Run, on_a_server: Path) -> None:
    (folder := engine_of(ON_A_SERVER).state_directory).mkdir(parents=True)
    assert f"calls are counted and access tokens kept in {folder}" in " ".join(run("doctor").stdout.split())


def test_what_cannot_be_kept_is_a_warning_beside_json(run: Run, on_a_server: Path) -> None:
    (kept := engine_of(ON_A_SERVER).state_directory / "shopify-shopy.tokens").parent.mkdir(parents=True)
    kept.write_text("{}")
    kept.chmod(0o644)
    result = run("webhooks", "shopy", "--json")
    assert json.loads(result.stdout)["webhooks"] == []
    assert f"warning: {kept} is not used: others may read or write it" in result.stderr


def test_the_status_page_shows_what_is_not_sent(daemon: FakeDaemon, fulfilld: Run) -> None:
    missing = dict.fromkeys(TOPICS, "not subscribed")
    dump = a_status()
    dump["shops"][0]["webhooks"] = {"checked_at": "2026-01-01T00:00:00Z", "missing": missing, "error": None}
    daemon.answers["GET", "/v1/status"] = dump
    reported = fulfilld("status").stdout
    assert "Webhooks that are not sent:" in reported
    assert f"and {len(TOPICS) - 3} more" in reported
