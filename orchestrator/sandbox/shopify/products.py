"""Products of a simulated Shopify shop, as its webhooks show them (samples webhook_products_create, …_update)."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.sandbox.shopify.orders import Json, gid, rest_time

FIRST_PRODUCT_ID = 788_032_119_674_292_901
"""Ids of more digits than a float has, as those of orders."""
_FIRST_VARIANT_ID = 642_667_041_472_713_901
_SIZES = ("Small", "Medium")


@dataclass(slots=True, eq=False)
class Product:
    """A product with a variant for each size. Times are Unix milliseconds."""

    id: int
    title: str
    created: int
    updated: int
    variants: tuple[int, ...]

    def body(self) -> dict[str, Json]:
        """The whole REST object."""
        return {
            "admin_graphql_api_id": gid("Product", self.id),
            "body_html": f"<p>{self.title}</p>",
            "created_at": rest_time(self.created),
            "handle": "-".join(self.title.lower().split()),
            "id": self.id,
            "product_type": "Shirts",
            "published_at": rest_time(self.created),
            "template_suffix": None,
            "title": self.title,
            "updated_at": rest_time(self.updated),
            "vendor": "Acme",
            "status": "active",
            "published_scope": "web",
            "tags": "example, mens, t-shirt",
            "variants": [self._variant(n, number) for n, number in enumerate(self.variants)],
            "options": [],
            "images": [],
            "image": None,
            "media": [],
            "variant_gids": [
                {"admin_graphql_api_id": gid("ProductVariant", number), "updated_at": rest_time(self.updated)}
                for number in self.variants
            ],
            "has_variants_that_requires_components": False,
            "category": None,
        }

    def _variant(self, at: int, number: int) -> dict[str, Json]:
        return {
            "admin_graphql_api_id": gid("ProductVariant", number),
            "barcode": None,
            "compare_at_price": "24.99",
            "created_at": rest_time(self.created),
            "id": number,
            "inventory_policy": "deny",
            "position": at + 1,
            "price": "19.99",
            "product_id": self.id,
            "sku": f"SHIRT-{self.id % 1000}-{_SIZES[at][0]}",
            "taxable": True,
            "title": _SIZES[at],
            "updated_at": rest_time(self.updated),
            "option1": _SIZES[at],
            "option2": None,
            "option3": None,
            "image_id": None,
            "inventory_item_id": None,
            "inventory_quantity": 75,
            "old_inventory_quantity": 75,
        }


@dataclass(slots=True, eq=False)
class Shelf:
    """The products of the shop `number`, by id."""

    number: int
    products: dict[int, Product] = field(default_factory=dict)
    _made: int = 0

    def add(self, now: int, title: str | None = None) -> Product:
        """A new product; without a title one of the shop's making."""
        at, self._made = self.number * 1_000_000 + self._made, self._made + 1
        variants = tuple(_FIRST_VARIANT_ID + at * len(_SIZES) + n for n in range(len(_SIZES)))
        made = Product(FIRST_PRODUCT_ID + at, title or f"Example T-Shirt {self._made}", now, now, variants)
        self.products[made.id] = made
        return made
