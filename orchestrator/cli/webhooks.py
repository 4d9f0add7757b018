"""`webhooks`: which of a shop's webhooks come to us, and asking the platform for those that do not."""

from __future__ import annotations

from orchestrator.cli.blocks import Cell, Page, grid, line
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.group import REGISTER_HERE
from orchestrator.config import Config, ShopConfig
from orchestrator.config.fields import public_url_of
from orchestrator.intake.subscriptions import Inspection, address_of, inspect
from orchestrator.platforms import PLATFORMS, ClientSettings
from orchestrator.platforms.failures import PlatformFailure
from orchestrator.platforms.push import PushingClient


def shop_of(config: Config, name: str) -> ShopConfig:
    """The shop of that name. Raises Failure."""
    shop = config.shops.get(name)
    if shop is None:
        raise Failure(f"the config has no shop {name}", ExitCode.NOT_FOUND)
    return shop


def address_for(config: Config, shop: str, told: str) -> str:
    """Where a shop's webhooks are to go: below the address that was told, or the config's. Raises Failure."""
    if told != REGISTER_HERE:
        try:
            return address_of(public_url_of(told), shop)
        except ValueError as error:
            raise Failure(f"--register {told}: {error}", ExitCode.USAGE) from None
    if config.webhooks is None or config.webhooks.public_url is None:
        raise Failure(
            "the config does not say where platforms reach the webhook listener",
            ExitCode.USAGE,
            remedy="set webhooks.public_url, or name the address: --register https://hooks.example",
        )
    return address_of(config.webhooks.public_url, shop)


async def look(shop: ShopConfig, address: str | None) -> Inspection:
    """The shop's webhooks; with an `address` those that are missing are asked for. Raises Failure."""
    settings = ClientSettings(
        shop=shop.name,
        options=shop.options,
        base_url=shop.base_url,
        timeout_seconds=shop.timeout_seconds,
        lookback_seconds=shop.poll.lookback_seconds,
        page_size=shop.poll.page_size,
        concurrency=shop.limits.concurrency,
    )
    client = PLATFORMS[shop.platform].open(settings)
    try:
        if not isinstance(client, PushingClient):
            raise Failure(
                f"{shop.name} is a {shop.platform} shop: webhooks are set up by hand there",
                ExitCode.USAGE,
                remedy=f"send them to /webhooks/{shop.name}/orders/SECRET on the webhook listener (docs/webhooks.md)",
            )
        return await inspect(client, address)
    except PlatformFailure as failure:
        raise Failure(f"{shop.name}'s platform refused: {failure.detail}") from None
    finally:
        await client.aclose()


def registration_page(found: Inspection) -> Page:
    """The webhooks as a table, and what is missing."""
    rows = [(each.topic, each.address) for each in sorted(found.subscriptions, key=lambda each: each.topic)]
    page: Page = [grid(("TOPIC", "ADDRESS"), rows)] if rows else [line("the platform sends no webhooks")]
    if found.made:
        page = [*page, line(), line(f"asked for just now: {', '.join(found.made)}")]
    if found.missing:
        lost = list(found.missing.items())
        page = [*page, line(), line(Cell("not sent:", "bad")), grid(("TOPIC", "WHY"), lost)]
    return page
