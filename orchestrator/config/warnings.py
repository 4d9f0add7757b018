"""What is usable but surely not meant, or asks for trouble: shown by `config check`, `doctor` and at each start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from orchestrator.config.fields import SIGNING_PREFIX, is_loopback, is_standard_base64
from orchestrator.config.model import StorageSettings
from orchestrator.config.problems import ConfigProblem, Path, written
from orchestrator.config.push import DeliverySettings, WebhookSettings, all_of
from orchestrator.config.resolved import ShopConfig
from orchestrator.registry import PLATFORMS

_SHORTEST_SECRET = 8


def warnings_of(
    shops: Iterable[ShopConfig],
    webhooks: WebhookSettings | None,
    delivery: DeliverySettings | None,
    token: SecretStr | None,
    now_ms: int,
    storage: StorageSettings,
) -> Iterator[ConfigProblem]:
    """The warnings about a config without errors. `token`: what calls over TCP bring; `now_ms`: Unix time in
    milliseconds."""
    has_secret = False
    shops = list(shops)
    yield from _of_tokens(shops, storage)
    if not shops:
        such = f'"shops": {{"acme": {{"platform": "{next(iter(PLATFORMS))}", …}}}}'
        message = f"there are none, so nothing is done - add one, such as {such}"
        yield ConfigProblem("shops", message)
    for shop in shops:
        yield from _of_shop(shop, is_listening=webhooks is not None)
        if shop.import_since is not None and shop.import_since > now_ms:
            message = "lies in the future - until then neither a sync nor a webhook imports an order"
            yield ConfigProblem(written(("shops", shop.name, "import_since")), message)
        has_secret |= bool(shop.webhook_secrets)
    if webhooks is not None and shops and not has_secret:
        message = "no webhook is taken, for no shop has a webhook_secret - give it to those whose platform sends some"
        yield ConfigProblem("webhooks", message)
    if token is not None and is_easy_to_guess(token):  # whoever is on this machine may try, as often as they like
        yield _guessable("api.tcp.token")
    if delivery is not None:
        yield from _of_signing(delivery.secret)
        yield from _of_edges(delivery.secret, ("delivery", "secret"))


def _of_tokens(shops: Iterable[ShopConfig], storage: StorageSettings) -> Iterator[ConfigProblem]:
    """Of shops that only one machine could go on with."""
    keys = all_of(storage.secret_key)
    for key in keys:
        yield from _of_edges(key, ("storage", "secret_key"))
    bound = [shop.name for shop in shops if PLATFORMS[shop.platform].replaces_credentials(shop.options)]
    if bound and not keys and storage.engine.token_rows is not None:
        message = (
            f"is missing: the platform of {', '.join(bound)} replaces the refresh token of the config, and what it "
            "gave last is kept on this machine alone, so no daemon elsewhere can take over - give one "
            "(`fulfilld secret new`)"
        )
        yield ConfigProblem("storage.secret_key", message)


def is_easy_to_guess(secret: SecretStr) -> bool:
    """Whether so few characters can be found by trying."""
    return len(secret.get_secret_value().removeprefix(SIGNING_PREFIX)) < _SHORTEST_SECRET


def _of_signing(secret: SecretStr) -> Iterator[ConfigProblem]:
    if is_easy_to_guess(secret):
        yield _guessable("delivery.secret")
    elif not is_standard_base64(secret.get_secret_value().removeprefix(SIGNING_PREFIX)):
        message = "is not standard base64, as receivers' libraries expect - `fulfilld secret new` prints a good one"
        yield ConfigProblem("delivery.secret", message)


def _of_shop(shop: ShopConfig, *, is_listening: bool) -> Iterator[ConfigProblem]:
    address = urlsplit(shop.base_url)
    is_here = is_loopback(address.hostname or "")
    if address.scheme == "http" and not is_here:
        path = written(("shops", shop.name, "base_url"))
        yield ConfigProblem(path, "credentials will cross the network in the clear - use https")
    yield from _of_limits(shop, is_here=is_here)
    yield from _of_edges(shop.options, ("shops", shop.name))
    if shop.asks_for_webhooks:
        yield from _of_edges(shop.webhook_secrets, ("shops", shop.name, "webhook_secret"))
    for key, message in PLATFORMS[shop.platform].warnings(shop.options):
        yield ConfigProblem(written(("shops", shop.name, key)), message)
    path = written(("shops", shop.name, "webhook_secret"))
    # What stands in for a platform on this machine (the sandbox) has a secret, whether webhooks are tried out or not.
    if shop.asks_for_webhooks and not is_listening and not is_here:
        message = 'no webhook comes in without the section webhooks - add it, such as "webhooks": {"port": 8443}'
        yield ConfigProblem(path, message)
    if shop.asks_for_webhooks and any(map(is_easy_to_guess, shop.webhook_secrets)):
        yield _guessable(path)


def _of_edges(value: Any, path: Path) -> Iterator[ConfigProblem]:
    """Of every secret in a value that which an editor or a copied line leaves behind: no platform will know it."""
    match value:
        case SecretStr():
            text = value.get_secret_value()
            if text != text.strip() or not text.isprintable():
                message = "begins or ends with a blank or line break, or holds what cannot be printed - write it alone"
                yield ConfigProblem(written(path), message)
        case BaseModel():
            for name, inner in value:
                yield from _of_edges(inner, (*path, name))
        case list() | tuple():
            for inner in value:
                yield from _of_edges(inner, path)


def _of_limits(shop: ShopConfig, *, is_here: bool) -> Iterator[ConfigProblem]:
    """A rate that the window will not let through, and a window that is wider than what the platform documents."""
    limits, default = shop.limits, PLATFORMS[shop.platform].default_limits
    window, documented, is_own = limits.window, default.window, limits.rate_per_second != default.rate_per_second
    if window is not None and is_own and limits.rate_per_second * window.seconds > window.calls:
        on_average = window.calls / window.seconds
        message = (
            f"{limits.rate_per_second:g} a second make {limits.rate_per_second * window.seconds:g} calls in"
            f" {window.seconds:g} s, and no more than {window.calls} are made, which is {on_average:.2g} a second"
            " - lower it, or set limits.window if the platform lets your account do more"
        )
        yield ConfigProblem(written(("shops", shop.name, "limits", "rate_per_second")), message)
    if documented is None or is_here:
        return
    if window is None or window.calls * documented.seconds > documented.calls * window.seconds:
        message = (
            f"is more than the {documented.calls} calls in {documented.seconds:g} s that {shop.platform} documents"
            " - leave it out unless the platform lets your account do more"
        )
        yield ConfigProblem(written(("shops", shop.name, "limits", "window")), message)


def _guessable(path: str) -> ConfigProblem:
    message = (
        f"is easy to guess with fewer than {_SHORTEST_SECRET} characters - `fulfilld secret new` prints a good one"
    )
    return ConfigProblem(path, message)
