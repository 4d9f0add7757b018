"""The articles of a simulated Selldone shop: products and variants as JSON text (selldone.md §4.2, samples)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from orchestrator.sandbox.cart import Good, number
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
    price: Decimal
    product: str
    variant: str


def articles(shop_id: int) -> tuple[Article, ...]:
    """What the shop sells."""
    return tuple(
        _article(shop_id, place, title, sku, mpn, Decimal(cents).scaleb(-2), "USD", appearance)
        for place, (title, sku, mpn, cents, appearance) in enumerate(_LISTED)
    )


def article_of(shop_id: int, good: Good, price: Decimal, currency: str) -> Article:
    """A good that simulated shops of all platforms sell."""
    return _article(shop_id, good.product, good.name, good.sku, None, price, currency, None)


def _article(
    shop_id: int,
    place: int,
    title: str,
    sku: str | None,
    mpn: str | None,
    price: Decimal,
    currency: str,
    appearance: tuple[str, str] | None,
) -> Article:
    product_id = 24095 + place
    variant_id = None if appearance is None else 143271 + place
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
        "price": number(price),
        "currency": currency,
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
        return Article(product_id, None, price, encode(product), "null")
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
        "price": number(price),
        "currency": currency,
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
    return Article(product_id, variant_id, price, encode(product), encode(variant))
