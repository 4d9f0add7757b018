import traceback
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from orchestrator.config import Config, ConfigError, json_schema, load, reread_delivery
from orchestrator.config.example import EXAMPLE, example
from orchestrator.config.explain import explain
from tests.support.config_files import ENVIRON, loaded, places, replaced, shop, with_shop, write

SENTINEL = "S3NT1NEL-that-nobody-may-ever-see"
SHORT = "S3NT1NEL"
XSALE_SECRETS = ("client_id", "client_secret", "username", "password")


PLACES = list(places(EXAMPLE))
WRONG: dict[str, Any] = {
    "as text": SENTINEL,
    "as a variable": {"env": "SENTINEL"},
    "as a short variable": {"env": "SHORT"},
    "as a file": {"file": "sentinel"},
    "as the name of a variable": {"env": f"{SENTINEL} "},
    "in a list": [SENTINEL],
    "in an object": {"inner": SENTINEL},
    "beside a reference": {"env": SENTINEL, "default": SENTINEL},
    "in a list in an object": {"token": [SENTINEL]},
    "with a blank": f"{SENTINEL} {SENTINEL}",
    "as a URL": f"postgresql://user:{SENTINEL}@host/db",
    "in an address": f"https://user:{SENTINEL}@host",
    "as a port": f"https://host:{SENTINEL}",
}


def whole(place: tuple[str | int, ...]) -> dict[str, Any]:
    """The example with the one shop that has this place, or the first one: the others would only be read again."""
    shops = EXAMPLE["shops"]
    name = place[1] if place[0] == "shops" and len(place) > 1 else next(iter(shops))
    return {**EXAMPLE, "shops": {name: shops[name]}}


def everything_it_says(error: BaseException) -> str:
    return "\n".join([str(error), repr(error), *traceback.format_exception(error)])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_no_error_ever_shows_a_value_that_may_be_secret(tmp_path: Path, place: tuple[str | int, ...]) -> None:
    (tmp_path / "sentinel").write_text(SENTINEL)
    environ = ENVIRON | {"SENTINEL": SENTINEL, "SHORT": SHORT}
    refusals = []
    for value in WRONG.values():
        try:
            loaded(tmp_path, replaced(whole(place), place, value), environ)
        except ConfigError as error:
            refusals.append(error)
    assert refusals, "no wrong value was wrong here: the test does not reach the error paths"
    for refusal in refusals:
        assert SHORT not in everything_it_says(refusal)


def at(place: tuple[str, ...]) -> Any:
    node: Any = EXAMPLE
    for part in place:
        node = node[part]
    return node


BORROWED = [place for place in PLACES if isinstance(at(place), dict) and at(place).keys() in ({"env"}, {"file"})]


@pytest.mark.parametrize("empty", ["", {"env": "EMPTY"}], ids=["written", "borrowed"])
@pytest.mark.parametrize("place", BORROWED, ids=lambda place: ".".join(map(str, place)))
def test_any_secret_that_is_empty_is_reported_as_such(tmp_path: Path, place: tuple[str, ...], empty: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, replaced(whole(place), place, empty), ENVIRON | {"EMPTY": ""})
    assert str(refused.value) == f"{'.'.join(place)}: must not be empty"


def test_broken_json_is_not_repeated(tmp_path: Path) -> None:
    for text in (
        f'{{"shops": {{"acme": {{"token": "{SENTINEL}"',
        f'{{"token": {SENTINEL}}}',
        f'{{"token": "{SENTINEL}", "token": "{SENTINEL}"}}',
        f'["{SENTINEL}"]',
        f'{{"token": "{SENTINEL}\\ud800"}}',
        f'{{"token": "{SENTINEL}\n"}}',
    ):
        with pytest.raises(ConfigError) as refused:
            load(write(tmp_path, text))
        assert SENTINEL not in everything_it_says(refused.value)


def config_with_secrets(tmp_path: Path) -> Config:
    tree = with_shop(token=SENTINEL) | {"api": {"socket": "s", "tcp": {"port": 1, "token": f"{SENTINEL}-tcp"}}}
    return loaded(tmp_path, tree)


def test_a_config_shows_no_secret_but_knows_them_for_the_mask_of_the_log(tmp_path: Path) -> None:
    config = config_with_secrets(tmp_path)
    for shown in (repr(config), str(config), repr(config.shops["acme"]), str(config.api), str(config.api.tcp)):
        assert SENTINEL not in shown
    assert config.secret_values() == {SENTINEL, f"{SENTINEL}-tcp"}


def test_schema_and_example_come_from_no_config() -> None:
    for text in (str(json_schema()), example()):
        assert "SecretStr(" not in text
        assert SENTINEL not in text


def test_the_fingerprint_changes_with_the_credentials_alone_and_is_the_same_in_the_next_process(tmp_path: Path) -> None:
    def fingerprint(**keys: Any) -> str:
        return loaded(tmp_path, {"shops": {"acme": shop(**keys)}}).shops["acme"].credentials_fingerprint()

    first = fingerprint(token=SENTINEL)
    assert first == fingerprint(token=SENTINEL, updated_at_unit="ms", timeout_seconds=5)
    assert first != fingerprint(token=f"{SENTINEL}.")
    assert first == "a39322dd42fb4ffb"


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    client_id: str
    client_secret: SecretStr
    numbers: list[int] = Field(default_factory=list)


class Options(BaseModel):
    """What another platform might bring: groups, unions, a validator that breaks its promise."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    credentials: Credentials | None = None
    secrets: SecretStr | list[SecretStr] | None = None
    pattern: Annotated[SecretStr, Field(max_length=3)] | None = None
    careless: SecretStr | None = None

    @field_validator("careless")
    @classmethod
    def _mask(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            raise ValueError(f"wrong: {value.get_secret_value()}")
        return value


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"credentials": SENTINEL}, ("credentials",)),
        ({"credentials": {"client_id": [SENTINEL], "client_secret": "x"}}, ("credentials", "client_id")),
        ({"credentials": {"client_id": "x", "client_secret": {"a": SENTINEL}}}, ("credentials", "client_secret")),
        ({"credentials": {"client_id": "x", "client_secret": "y", SENTINEL[:8]: SENTINEL}}, None),
        (
            {"credentials": {"client_id": "x", "client_secret": "y", "numbers": [1, SENTINEL]}},
            ("credentials", "numbers", 1),
        ),
        ({"secrets": {"a": SENTINEL}}, ("secrets",)),
        ({"secrets": ["x", {"a": SENTINEL}]}, None),
        ({"pattern": SENTINEL}, ("pattern",)),
        ({"careless": SENTINEL}, ("careless",)),
    ],
)
def test_the_options_of_any_platform_are_explained_without_their_values(
    tree: dict[str, Any], path: tuple[str | int, ...] | None
) -> None:
    with pytest.raises(ValidationError) as refused:
        Options.model_validate(tree)
    explained = list(explain(refused.value, Options, tree, set()))
    assert explained
    assert all(SENTINEL not in message for _, message, _ in explained)
    if path is not None:
        assert {found for found, _, _ in explained} == {path}


def test_the_secret_of_deliveries_is_read_again_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_b25lLXNlY3JldC0xMjM0NTY3OA==")
    tree = {"delivery": {"orders_url": "https://erp.example/orders", "secret": {"file": "secret"}}}
    config = load(write(tmp_path, tree))
    assert config.delivery is not None
    assert reread_delivery(config.delivery, config.delivery_source) is None
    (tmp_path / "secret").write_text("whsec_dHdvLXNlY3JldC0xMjM0NTY3OA==")
    fresh = reread_delivery(config.delivery, config.delivery_source)
    assert fresh is not None
    assert fresh.secret.get_secret_value() == "whsec_dHdvLXNlY3JldC0xMjM0NTY3OA=="
    (tmp_path / "secret").write_text("")
    assert reread_delivery(config.delivery, config.delivery_source) is None


@pytest.mark.parametrize("left", ["\n\n", " \n", "\r\n\r\n", "\t", "\0", "\u200b"])
def test_what_an_editor_leaves_behind_a_secret_is_reported_without_the_secret(tmp_path: Path, left: str) -> None:
    (tmp_path / "secret").write_bytes(f"{SENTINEL}{left}".encode())
    here = {"file": "secret"}
    xsale = {"platform": "xsale", "organization": "o_1", "credentials": dict.fromkeys(XSALE_SECRETS, here)}
    hints = shop(token="good-token", webhook_secret=[here])
    tree = {
        "webhooks": {"port": 1},
        "delivery": {"orders_url": "https://erp.example/orders", "secret": here},
        "shops": {"xs": xsale, "acme": hints},
    }
    warnings = [str(warning) for warning in loaded(tmp_path, tree).warnings]
    reported = {warning.partition(":")[0] for warning in warnings if "write it alone" in warning}
    assert reported == {
        *(f"shops.xs.credentials.{name}" for name in XSALE_SECRETS),
        "shops.acme.webhook_secret",
        "delivery.secret",
    }
    assert SENTINEL not in "".join(warnings)


def test_a_secret_that_stands_alone_in_its_file_is_not_warned_of(tmp_path: Path) -> None:
    for end in ("", "\n", "\r\n"):
        (tmp_path / "secret").write_bytes(f"{SENTINEL}{end}".encode())
        config = loaded(tmp_path, {"shops": {"acme": shop(token={"file": "secret"})}})
        assert not [warning for warning in config.warnings if "write it alone" in str(warning)]
