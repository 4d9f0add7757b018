"""`webhooks`: which of a shop's webhooks come to us, and asking the platform for those that do not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from orchestrator.cli.beside import open_beside
from orchestrator.cli.blocks import Cell, Grid, Line, Page, line
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.group import REGISTER_HERE
from orchestrator.config import Config, ShopConfig
from orchestrator.config.fields import public_url_of
from orchestrator.intake.subscriptions import Inspection, address_of, inspect
from orchestrator.platforms.failures import PlatformFailure
from orchestrator.platforms.subscriptions import PushingClient
from statemachines.suggestion import hint

_INDENT = 2
_WIDTH = 80 - _INDENT


def shop_of(config: Config, name: str) -> ShopConfig:
    """The shop of that name. Raises Failure."""
    shop = config.shops.get(name)
    if shop is None:
        known = f"it has {', '.join(config.shops) or 'none'}"
        raise Failure(f"the config has no shop {name}{hint(name, config.shops)}", ExitCode.NOT_FOUND, remedy=known)
    return shop


def address_for(config: Config, shop: str, given: str) -> str:
    """Where a shop's webhooks are to go: below the given address, or the config's. Raises Failure."""
    if given != REGISTER_HERE:
        try:
            return address_of(public_url_of(given), shop)
        except ValueError as error:
            raise Failure(f"--register {given}: {error}", ExitCode.USAGE) from None
    if config.webhooks is None or config.webhooks.public_url is None:
        raise Failure(
            "the config does not say where platforms reach the webhook listener",
            ExitCode.USAGE,
            remedy="set webhooks.public_url, or name the address: --register https://hooks.example",
        )
    return address_of(config.webhooks.public_url, shop)


async def inspect_shop(shop: ShopConfig, address: str | None, config: Config) -> Inspection:
    """The shop's webhooks; with an `address` those that are missing are asked for. Raises Failure."""
    client, meter = open_beside(shop, config)
    try:
        if not isinstance(client, PushingClient):
            raise Failure(
                f"{shop.name} is a {shop.platform} shop: webhooks are set up by hand there",
                ExitCode.USAGE,
                remedy=f"send them to /webhooks/{shop.name}/orders/SECRET on the webhook listener (docs/webhooks.md)",
            )
        return await inspect(client, address, shop.signing_secret)
    except PlatformFailure as failure:
        raise Failure(f"{shop.name}'s platform refused: {failure.detail}") from None
    finally:
        meter.close()
        await client.aclose()


def registration_page(found: Inspection, shop: str, public_url: str | None) -> Page:
    """The webhooks by address, and those that are missing by reason, with what helps.

    `public_url`: where the config says that the listener is reached, None where it does not.
    """
    sent = _by_place((each.address, each.topic) for each in found.subscriptions)
    page: list[Line | Grid] = [] if sent else [line("the platform sends no webhooks")]
    for address, topics in sent.items():
        page += [line("sent to ", Cell(address, "strong")), *_topics(topics)]
    if found.made:
        page += [line(), line("asked for just now"), *_topics(found.made)]
    if found.missing:
        page.append(line())
    for reason, topics in _by_place((why, topic) for topic, why in found.missing.items()).items():
        page += [line(Cell("not sent: ", "bad"), reason), *_topics(topics)]
    if found.missing:
        page += [line(), line(_remedy(shop, public_url))]
    return page


def _by_place(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Topics in order, below what they have in common."""
    found: dict[str, list[str]] = {}
    for place, topic in sorted(pairs):
        found.setdefault(place, []).append(topic)
    return found


def _topics(topics: Iterable[str]) -> list[Line]:
    """As many topics in a line as fit into 80 columns."""
    text = textwrap.wrap(", ".join(topics), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line(part, indent=_INDENT) for part in text]


def _remedy(shop: str, public_url: str | None) -> str:
    if public_url is not None:
        return f"`fulfilld webhooks {shop} --register` asks for them"
    return f"set webhooks.public_url, or `fulfilld webhooks {shop} --register ADDRESS`"
