"""`webhooks`: which of a Shopify shop's webhooks come to us, and asking Shopify for those that do not."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from orchestrator.cli.blocks import Page, grid, line
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.config import Config, ShopConfig
from orchestrator.platforms import ClientSettings
from orchestrator.platforms.failures import PlatformFailure
from orchestrator.platforms.shopify import ShopifyClient, Subscription, open_client
from orchestrator.platforms.shopify_webhooks import PRODUCT_TOPICS, TOPICS


@dataclass(frozen=True, slots=True)
class Registration:
    """The shop's webhooks as Shopify has them now; `made` are the topics that were asked for just now."""

    subscriptions: list[Subscription]
    made: list[str]


def shop_of(config: Config, name: str) -> ShopConfig:
    """The Shopify shop of that name. Raises Failure."""
    shop = config.shops.get(name)
    if shop is None:
        raise Failure(f"the config has no shop {name}", ExitCode.NOT_FOUND)
    if shop.platform != "shopify":
        raise Failure(
            f"{name} is a {shop.platform} shop: webhooks are set up by hand there",
            ExitCode.USAGE,
            remedy=f"send them to /webhooks/{name}/orders/SECRET on the webhook listener (docs/webhooks.md)",
        )
    return shop


async def look(shop: ShopConfig, base_address: str | None) -> Registration:
    """The shop's webhooks; with `base_address` (https, where the listener is reached from outside) those that are
    missing are asked for first. Raises Failure with Shopify's words."""
    settings = ClientSettings(
        shop=shop.name,
        options=shop.options,
        base_url=shop.base_url,
        timeout_seconds=shop.timeout_seconds,
        lookback_seconds=shop.poll.lookback_seconds,
        page_size=shop.poll.page_size,
        concurrency=shop.limits.concurrency,
    )
    client = open_client(settings)
    assert isinstance(client, ShopifyClient)
    try:
        made = [] if base_address is None else await _register(client, shop.name, base_address.rstrip("/"))
        return Registration(await client.list_subscriptions(), made)
    except PlatformFailure as failure:
        raise Failure(f"Shopify refused: {failure.detail}") from None
    finally:
        await client.aclose()


async def _register(client: ShopifyClient, shop: str, base: str) -> list[str]:
    prefix = f"{base}/webhooks/{quote(shop)}"
    others = [topic for topic in TOPICS if topic not in PRODUCT_TOPICS]
    made = await client.register_subscriptions(f"{prefix}/orders", others)
    return made + await client.register_subscriptions(f"{prefix}/products", PRODUCT_TOPICS)


def registration_page(found: Registration) -> Page:
    """The webhooks as a table, and what is missing."""
    rows = [(each.topic, each.address) for each in sorted(found.subscriptions, key=lambda each: each.topic)]
    missing = sorted(set(TOPICS) - {each.topic for each in found.subscriptions})
    page: Page = [grid(("TOPIC", "ADDRESS"), rows)] if rows else [line("Shopify sends no webhooks")]
    if found.made:
        page = [*page, line(), line(f"asked for just now: {', '.join(found.made)}")]
    if missing:
        page = [*page, line(), line(f"not sent: {', '.join(missing)}")]
    return page
