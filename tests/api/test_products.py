"""Products that webhooks brought, over the API."""

from __future__ import annotations

from storage.products import save_product
from storage.transaction import Transaction
from tests.api.bench import bench


async def test_products_come_page_by_page_with_the_platforms_own_payload() -> None:
    def unit(tx: Transaction) -> None:
        for number in range(3):
            save_product(tx, "acme", str(number), f"Mug {number}", 1_000, b'{"price": 10.10, "id": 1}', 5)
        save_product(tx, "acme", "1", "Old mug", 999, b"{}", 6)
        save_product(tx, "acme", "2", None, 2_000, b"{}", 6)

    async with bench() as it:
        await it.store.write(unit)
        first = await it.get("/v1/products?shop=acme&limit=2")
        assert first.status == 200
        assert b'"payload":{"price": 10.10, "id": 1}' in first.body
        assert first.json()["products"][1] == {
            "shop": "acme",
            "id": "1",
            "title": "Mug 1",
            "updated_at": "1970-01-01T00:00:01.000Z",
            "payload": {"price": 10.1, "id": 1},
        }
        second = await it.get(f"/v1/products?limit=2&after={first.json()['next']}")
        assert [(each["id"], each["title"]) for each in second.json()["products"]] == [("2", None)]
        assert second.json()["next"] is None
        assert (await it.get("/v1/products?shop=nobody")).slug == "shop-not-found"
