"""Commands that need no daemon: config, doctor, backup, auth-url."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.client import Finding
from orchestrator.platforms.platform import Platform
from storage.sqlite.checks import check_version
from storage.sqlite.lock import StoreLock
from storage.sqlite.store import open_sqlite
from tests.cli.fake import FakeDaemon, Run, a_status
from tests.support.certificate import make_certificate


def write_config(directory: Path, name: str = "config.json", **changes: Any) -> Path:
    shop = {"platform": "selldone", "shop_id": 1, "token": "s3cret"}
    config = {"storage": {"url": "sqlite:///store.db"}, "api": {"socket": "d.sock"}, "shops": {"acme": shop}, **changes}
    path = directory / name
    path.write_text(json.dumps(config))
    return path


def test_a_good_config_is_good(run: Run, alone: Path) -> None:
    write_config(alone)
    result = run("config", "check")
    assert (result.exit_code, result.stdout) == (0, "config.json is good: 1 shop\n")


def test_a_config_without_shops_is_good_with_a_warning(run: Run, alone: Path) -> None:
    write_config(alone, shops={})
    result = run("config", "check")
    assert result.exit_code == 0
    assert "warning: shops: there are none" in result.stderr


def test_every_error_of_a_config_is_reported_with_its_path(run: Run, alone: Path) -> None:
    shop = {"platform": "selldone", "shop_id": "one", "token": {"env": "NOBODY_SETS_THIS"}}
    path = write_config(alone, "bad.json", shops={"acme": shop}, retention_days=0)
    result = run("--config", str(path), "config", "check")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0].endswith("bad.json cannot be used, 3 errors")
    assert {line.split(":")[0].strip() for line in lines[1:]} == {
        "retention_days",
        "shops.acme.shop_id",
        "shops.acme.token",
    }


def test_run_and_config_check_say_the_same_of_a_bad_config(run: Run, alone: Path) -> None:
    write_config(alone, retention_days=0)
    checked = run("config", "check")
    assert checked.stderr.startswith("fulfilld: config.json cannot be used, 1 error\n  retention_days: ")
    started = run("run")
    assert (started.exit_code, started.stderr) == (checked.exit_code, checked.stderr)


@pytest.mark.parametrize("text", ["", " \n", "// later\n"])
def test_an_empty_config_is_called_empty(run: Run, alone: Path, text: str) -> None:
    (alone / "config.json").write_text(text)
    result = run("config", "check")
    assert result.exit_code == 2
    assert "config.json: the file is empty" in result.stderr


def test_a_store_in_a_directory_that_is_not_there_is_reported_by_its_path(run: Run, alone: Path) -> None:
    write_config(alone, storage={"url": "sqlite:///nowhere/store.db"})
    result = run("config", "check")
    assert result.exit_code == 2
    assert f"storage.url: there is no directory {alone / 'nowhere'}" in result.stderr
    (alone / "nowhere").mkdir()
    assert run("config", "check").exit_code == 0


def test_a_socket_in_a_directory_that_is_not_there_is_reported_by_its_path(run: Run, alone: Path) -> None:
    write_config(alone, api={"socket": "nowhere/run/d.sock"}, shops={})
    result = run("config", "check")
    assert result.exit_code == 2
    assert f"api.socket: there is no directory {alone / 'nowhere'}" in result.stderr
    assert f"{alone / 'nowhere'} does not exist; make the directory" in run("doctor").stdout
    (alone / "nowhere").mkdir()
    assert run("config", "check").exit_code == 0, "the daemon makes the socket's own directory"


def with_tls(directory: Path, certificate: str = "cert.pem", key: str = "key.pem") -> None:
    tls = {"certificate": certificate, "key": key}
    write_config(directory, webhooks={"port": 8443, "tls": tls})


def test_a_certificate_and_its_key_are_good(run: Run, alone: Path) -> None:
    make_certificate(alone)
    with_tls(alone)
    assert run("config", "check").exit_code == 0


def test_files_of_tls_that_are_not_there_yet_are_warned_of_and_keep_the_daemon_from_starting(
    run: Run, alone: Path
) -> None:
    make_certificate(alone)
    (alone / "key.pem").unlink()
    with_tls(alone)
    reported = f"webhooks.tls.key: there is no file {alone / 'key.pem'} - put the key there"
    checked = run("config", "check")
    assert checked.exit_code == 0
    assert f"warning: {reported}" in checked.stderr
    started = run("run")
    assert started.exit_code == 2
    assert reported in started.stderr
    assert reported in " ".join(run("doctor").stdout.split())


def test_files_of_tls_that_another_user_keeps_to_himself_are_reported_by_config_check(
    run: Run, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a private key in a directory of root's, where even whether it is there is a secret."""
    make_certificate(alone)
    with_tls(alone)

    def refusing(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: Path, **options: Any) -> object:
            if path.name == "key.pem":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, **options)

        return call

    monkeypatch.setattr(Path, "read_bytes", refusing(Path.read_bytes))
    monkeypatch.setattr(Path, "stat", refusing(Path.stat))
    checked = run("config", "check")
    assert checked.exit_code == 2
    assert f"webhooks.tls.key: {alone / 'key.pem'} cannot be read: permission denied" in checked.stderr


def test_a_bad_certificate_is_reported_whether_its_key_is_there_or_not(run: Run, alone: Path) -> None:
    (alone / "cert.pem").write_text("no certificate")
    with_tls(alone)
    result = run("config", "check")
    assert result.exit_code == 2
    assert "webhooks.tls.certificate: " in result.stderr
    assert "webhooks.tls.key" not in result.stderr
    assert "no certificate in PEM form" in " ".join(run("doctor").stdout.split())


def test_the_example_is_good_as_it_is(run: Run, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "config.example.json").read_text()
    for name in re.findall(r'"env": "(\w+)"', text):
        monkeypatch.setenv(name, f"value-of-{name}".ljust(32, "_"))
    (alone / "config.json").write_text(text)
    result = run("config", "check")
    assert result.exit_code == 0, result.output
    assert f"is good: {len(json.loads(text)['shops'])} shops" in result.stdout


def test_a_key_of_another_certificate_is_reported(run: Run, alone: Path) -> None:
    make_certificate(alone)
    (alone / "other").mkdir()
    make_certificate(alone / "other")
    with_tls(alone, key="other/key.pem")
    result = run("config", "check")
    assert result.exit_code == 2
    assert f"webhooks.tls.key: {alone / 'other' / 'key.pem'} is not the key of {alone / 'cert.pem'}" in result.stderr


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("no key", "holds no key in PEM form"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n", "needs a passphrase"),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "cannot be used"),
    ],
)
def test_what_is_no_key_is_reported_and_not_shown(run: Run, alone: Path, key: str, words: str) -> None:
    make_certificate(alone)
    (alone / "key.pem").write_text(key)
    with_tls(alone)
    result = run("config", "check")
    assert result.exit_code == 2
    assert "webhooks.tls" in result.stderr
    assert words in result.stderr
    assert "MAA" not in result.output


@pytest.mark.parametrize("command", [["config", "check"], ["doctor"], ["run"]])
def test_without_a_config_the_remedy_is_reported(run: Run, command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert "fulfilld config example" in result.stderr


def test_the_schema_is_json_schema(run: Run) -> None:
    assert json.loads(run("config", "schema").stdout)["$schema"].startswith("https://json-schema.org/")


def test_the_example_is_a_start(run: Run) -> None:
    assert '"shops"' in run("config", "example").stdout


def test_the_link_for_a_token_has_its_scopes_and_language(run: Run) -> None:
    assert run("auth-url", "selldone").stdout.startswith("https://selldone.com/auth/erp?scopes[]=")
    result = run("auth-url", "selldone", "--scope", "backoffice:shop:read", "--locale", "zh")
    assert result.stdout == "https://zh.selldone.com/auth/erp?scopes[]=backoffice:shop:read\n"


@pytest.mark.parametrize("arguments", [["shopify"], ["selldone", "--scope", "a b"], ["selldone", "--locale", "x/"]])
def test_a_link_that_makes_no_sense_is_a_usage_error(run: Run, arguments: list[str]) -> None:
    assert run("auth-url", *arguments).exit_code == 2


async def _make_store(path: Path) -> None:
    async with open_sqlite(path, 1_700_000_000_000):
        pass


def test_a_new_secret_is_read_alike_by_every_library(run: Run, alone: Path) -> None:
    made = [run("secret", "new").stdout for _ in range(5)]
    assert len(set(made)) == len(made)
    for text in made:
        prefix, _, encoded = text.partition("_")
        assert (prefix, text[-1]) == ("whsec", "\n")
        assert len(base64.b64decode(encoded.rstrip("\n"), validate=True)) == 32
        assert not set("+/") & set(encoded), "it may be the last part of a webhook's address"
        (alone / "made").write_text(text)
        write_config(alone, delivery={"orders_url": "https://e", "secret": {"file": "made"}})
        result = run("config", "check")
        assert (result.exit_code, result.stderr) == (0, "")


async def test_a_backup_copies_the_store_of_the_config_without_its_secrets(run: Run, alone: Path) -> None:
    await _make_store(alone / "store.db")
    shop = {"platform": "selldone", "shop_id": 1, "token": {"env": "NOBODY_SETS_THIS"}}
    write_config(alone, shops={"acme": shop})
    result = run("backup", "copy.db")
    assert result.exit_code == 0, result.output
    with sqlite3.connect(alone / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    copy.close()


async def test_a_backup_asks_the_daemon_where_its_store_is(daemon: FakeDaemon, fulfilld: Run, directory: Path) -> None:
    await _make_store(directory / "its.db")
    dump = a_status()
    dump["daemon"]["storage"] = f"sqlite:///{directory}/its.db"
    daemon.answers["GET", "/v1/status"] = dump
    assert fulfilld("backup", str(directory / "copy.db")).exit_code == 0
    assert (directory / "copy.db").is_file()


async def test_a_backup_replaces_nothing(run: Run, alone: Path) -> None:
    await _make_store(alone / "store.db")
    write_config(alone)
    (alone / "copy.db").write_text("precious")
    result = run("backup", "copy.db")
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (alone / "copy.db").read_text() == "precious"


def test_a_config_with_a_store_on_a_server_is_good_though_nothing_of_it_is_here(
    run: Run, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(alone / "not-made-yet"))
    write_config(alone, storage={"url": "postgresql://u:pass-word@db.example/fulfilld"})
    result = run("config", "check")
    assert result.exit_code == 0, result.stderr
    assert "pass-word" not in result.stdout + result.stderr


def test_a_store_that_is_wrong_in_the_config_is_a_usage_error(run: Run, alone: Path) -> None:
    write_config(alone, storage={"url": "postgresql://x"})
    assert run("backup", "copy.db").exit_code == 2


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ((3, 40, 1), "warning"),
        ((3, 44, 5), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 50, 6), "warning"),
        ((3, 50, 7), "ok"),
        ((3, 51, 2), "warning"),
        ((3, 51, 3), "ok"),
        ((3, 53, 0), "ok"),
        ((4, 0, 0), "ok"),
    ],
)
def test_doctor_knows_the_versions_with_the_wal_bug(version: tuple[int, ...], status: str) -> None:
    assert check_version(version).status == status


class _Patient:
    """A platform client that is only ever examined."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        self.is_closed = False

    async def check(self) -> list[Finding]:
        return [self.finding]

    async def aclose(self) -> None:
        self.is_closed = True


def _examined(folder: Path, monkeypatch: pytest.MonkeyPatch, finding: Finding) -> _Patient:
    """A shop in the config of this folder, of which that is found."""
    write_config(folder)
    patient = _Patient(finding)
    monkeypatch.setattr(Platform, "open", lambda platform, settings: patient)
    return patient


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warning", 0), ("failed", 1)])
def test_doctor_asks_every_shop_and_fails_when_one_does(
    run: Run, alone: Path, monkeypatch: pytest.MonkeyPatch, status: Any, code: int
) -> None:
    patient = _examined(alone, monkeypatch, Finding("credentials", status, "the token's own words"))
    result = run("doctor")
    assert result.exit_code == code, result.output
    assert "the token's own words" in result.stdout
    remedy = (
        "the token's own words - check its credentials and address in the config and send SIGHUP,"
        " or `fulfilld resume acme`"
    )
    assert (remedy in result.stdout) == (status == "failed")
    assert "s3cret" not in result.output
    assert patient.is_closed


@pytest.mark.parametrize(("status", "is_helped"), [("ok", False), ("failed", True)])
def test_doctor_says_what_to_look_at_where_a_shop_cannot_be_reached(
    run: Run, alone: Path, monkeypatch: pytest.MonkeyPatch, status: Any, is_helped: bool
) -> None:
    _examined(alone, monkeypatch, Finding("reachable", status, "no connection to shop.example"))
    reported = " ".join(run("doctor").stdout.split())
    assert ("no connection to shop.example - check the address of acme in the config" in reported) == is_helped


def test_doctor_finds_a_store_and_a_socket_that_cannot_be(run: Run, alone: Path) -> None:
    (alone / "d.sock").write_text("no socket")
    write_config(alone, storage={"url": "sqlite:///nowhere/store.db"}, shops={})
    result = run("doctor")
    assert result.exit_code == 1
    assert "2 checks failed" in result.stderr
    assert "make the directory" in result.stdout
    assert "not a socket; move it away" in result.stdout


def test_doctor_distinguishes_a_daemon_that_listens_from_a_socket_that_was_left(
    daemon: FakeDaemon, run: Run, alone: Path
) -> None:
    write_config(alone, shops={})
    assert "a daemon listens" in run("doctor").stdout


def test_doctor_reports_a_daemon_whose_socket_is_gone(run: Run, alone: Path) -> None:
    write_config(alone, shops={})
    with StoreLock(alone / "store.db", lambda: 0):
        reported = " ".join(run("doctor").stdout.split())
        assert f"is gone, though a daemon runs (process {os.getpid()}" in reported
        assert "SIGHUP" in reported
    assert "though a daemon runs" not in run("doctor").stdout
