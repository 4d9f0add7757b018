"""The articles of a simulated Selldone shop: products and variants as JSON text (selldone.md §4.2, samples)."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.sandbox.selldone.baskets import Json, encode

_LISTED = (
    # title, sku, mpn, price in cents, variant (colour, sku suffix) or None
    ("Mug Gloria", None, None, 1000, None),
    ("T-Shirt Classic", "6479D9E797F27", "3913148609", 2550, ("#101010", "Black")),
    ("T-Shirt Classic", "6479D9E797F27", "3913148609", 2550, ("#fafafa", "White")),
    ("Espresso beans 1 kg", "ESP-1000", "4006381333931", 1899, None),
    ("Desk lamp Łódź", "LAMP-LDZ", None, 12900, ("#b5651d", "Copper")),
    ("Notebook A5, ruled", "NB-A5-R", "NB5R", 745, None),
    ("Running shoes “Swift”", "SWIFT", "SW-2024", 8999, ("#0044cc", "42")),
    ("Gift card envelope", "ENV", None, 99, None),
)


@dataclass(frozen=True, slots=True)
class Article:
    """Something to buy. `variant_id` is None and `variant` is `null` where there is only one."""

    product_id: int
    variant_id: int | None
    price_cents: int
    product: str
    variant: str


def money(cents: int) -> int | float:
    """Major units as the platform writes them: a JSON integer where there are no cents (selldone.md §4)."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def articles(shop_id: int) -> tuple[Article, ...]:
    """What the shop sells."""
    return tuple(_article(shop_id, number, *listed) for number, listed in enumerate(_LISTED))


def _article(
    shop_id: int,
    number: int,
    title: str,
    sku: str | None,
    mpn: str | None,
    cents: int,
    appearance: tuple[str, str] | None,
) -> Article:
    product_id = 24095 + number
    variant_id = None if appearance is None else 143271 + number
    product: dict[str, Json] = {
        "id": product_id,
        "shop_id": shop_id,
        "connect_id": None,
        "vendor_id": None,
        "type": "PHYSICAL",
        "unit": None,
        "unit_float": False,
        "price_input": "custom",
        "valuation_id": 1,
        "pricing": "FIX",
        "price": money(cents),
        "currency": "USD",
        "commission": 0,
        "discount": 0,
        "dis_start": None,
        "dis_end": None,
        "price_label": None,
        "status": "Open",
        "title": title,
        "title_en": title,
        "sku": sku,
        "mpn": mpn,
        "gtin": None,
        "gpc": None,
        "hsn": None,
        "condition": "new",
        "brand": None,
        "warranty": None,
        "icon": f"shops_{shop_id}_products_{product_id}.jpg",
        "message": None,
        "outputs": [],
        "inputs": [],
        "category_id": None,
        "quantity": 189,
        "limit_min": 0,
        "limit_max": 0,
        "lead": -1,
        "extra": None,
        "style": {"contain": True},
        "rate": 0,
        "rate_count": 0,
        "return_warranty": 0,
        "original": True,
        "slug": f"product-{product_id}",
        "note": [],
        "repository_id": None,
        "reselling": False,
        "guide_id": None,
        "shipping_id": None,
        "tax_id": 9,
        "map_id": None,
        "tags": None,
        "meta": None,
        "parent_id": None,
        "created_at": "2022-07-19T07:46:25.000000Z",
        "updated_at": "2024-08-17T16:29:27.000000Z",
    }
    if appearance is None:
        return Article(product_id, None, cents, encode(product), "null")
    color, suffix = appearance
    variant: dict[str, Json] = {
        "id": variant_id,
        "shop_id": shop_id,
        "product_id": product_id,
        "sku": f"{sku}_{suffix}",
        "mpn": mpn,
        "gtin": None,
        "color": color,
        "style": None,
        "volume": "One Size",
        "weight": None,
        "pack": None,
        "type": None,
        "pricing": True,
        "price": money(cents),
        "currency": "USD",
        "commission": 0,
        "discount": 0,
        "dis_start": None,
        "dis_end": None,
        "price_label": None,
        "quantity": 99997,
        "image": f"https://files.example.com/{variant_id}.png",
        "enable": True,
        "lead": -1,
        "extra": None,
        "deleted_at": None,
        "created_at": "2023-06-11T09:13:16.000000Z",
        "updated_at": "2024-03-10T07:34:55.000000Z",
        "ar": None,
        "parent_id": None,
        "meta": {"printful_variant_id": 10457},
    }
    return Article(product_id, variant_id, cents, encode(product), encode(variant))
