"""xSale's config keys: what a merchant may shorten and rename, and what is a mistake, with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.registry import PLATFORMS
from tests.support.config_files import errors, loaded

ACCOUNT = {"client_id": "id-1", "client_secret": "s3cret-of-xs", "username": "u", "password": "passw0rd-of-xs"}


def tree(**keys: Any) -> dict[str, Any]:
    return {"shops": {"xs": {"platform": "xsale", "organization": "myorg_1234", "credentials": ACCOUNT, **keys}}}


def options(folder: Path, **keys: Any) -> XsaleOptions:
    found = loaded(folder, tree(**keys)).shops["xs"].options
    assert isinstance(found, XsaleOptions)
    return found


def milestones(folder: Path, **keys: Any) -> dict[str, str]:
    described = PLATFORMS["xsale"].machine(options(folder, **keys).model_dump()).describe()
    return dict(described["milestones"])


def test_a_shop_needs_its_organization_and_account_only(tmp_path: Path) -> None:
    shop = loaded(tmp_path, tree()).shops["xs"]
    assert shop.base_url == "https://api.xsale.ai"
    assert (shop.limits.rate_per_second, shop.limits.concurrency) == (1, 2)


def test_a_shortened_flow_keeps_the_usual_milestones_that_it_has(tmp_path: Path) -> None:
    assert milestones(tmp_path, flow=["Nowe", "Wysłane", "Zrealizowane"]) == {
        "new": "Nowe",
        "shipped": "Wysłane",
        "delivered": "Zrealizowane",
        "attention": "Do obsługi ręcznej",
        "cancelled": "Anulowane",
    }


def test_milestones_are_taken_as_a_whole(tmp_path: Path) -> None:
    assert milestones(tmp_path, milestones={"shipped": "Wysłane"}) == {
        "new": "Nowe",
        "shipped": "Wysłane",
        "attention": "attention",
    }


def test_an_accent_that_is_written_apart_is_the_same_letter(tmp_path: Path) -> None:
    apart = "Przygotowywane do wysyłki".replace("ó", "o\u0301")
    flow = ["Nowe", "Do wysla\u0301nia", apart]
    assert options(tmp_path, flow=flow, milestones={}).flow == ("Nowe", "Do wyslánia", apart)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {"flow": ["Nowe"]},
            "shops.xs.flow: the flow needs two statuses at least, where orders begin and where they end",
        ),
        ({"flow": ["Nowe", "Wysłane", "wysłane"]}, "shops.xs.flow: the flow has a status twice; names are matched"),
        ({"flow": ["Nowe", " "]}, "shops.xs.flow[1]: must not be blank"),
        ({"milestones": {"shipped": "Wyslane"}}, "shops.xs.milestones: shipped names a status that is not in the flow"),
        (
            {"milestones": {"shiped": "Wysłane"}},
            'shops.xs.milestones.shiped: unknown key - did you mean "shipped"?',
        ),
        ({"milestones": {"attention": "Nowe"}}, "shops.xs.milestones: attention stands beside the flow"),
        ({"array_style": "csv"}, 'shops.xs.array_style: must be one of "repeat", "comma"'),
        ({"organization": "a/b"}, "shops.xs.organization: an organization's name is one piece of an address"),
        ({"payments": {"Opłacone": "yes"}}, "shops.xs.payments"),
        ({"credentials": {}}, "shops.xs.credentials.client_id: is missing - add it, best as"),
        ({"credentials": {**ACCOUNT, "password": " "}}, "shops.xs.credentials.password: must not be empty"),
        (
            {"credentials": {**ACCOUNT, "login_url": "http://login.example/oauth/token"}},
            "shops.xs.credentials.login_url: must be https",
        ),
        ({"credentials": {**ACCOUNT, "login_url": "login"}}, "shops.xs.credentials.login_url: must be an address such"),
    ],
)
def test_a_mistake_is_reported_with_its_path(tmp_path: Path, keys: dict[str, Any], line: str) -> None:
    found = errors(tmp_path, tree(**keys))
    assert found
    assert found[0].startswith(line)
    assert not any(secret in "\n".join(found) for secret in (ACCOUNT["client_secret"], ACCOUNT["password"]))


def test_usual_milestones_that_do_not_fit_a_flow_are_asked_for(tmp_path: Path) -> None:
    (line,) = errors(tmp_path, tree(flow=["Nowe", "Wysłane", "Przygotowywane do wysyłki"]))
    assert line.startswith("shops.xs: milestones must come one after another")


def test_secrets_do_not_show_in_the_options(tmp_path: Path) -> None:
    found = options(tmp_path)
    assert "s3cret-of-xs" not in repr(found) + str(found.model_dump())
