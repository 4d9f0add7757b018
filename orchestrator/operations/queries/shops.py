"""What is shown of shops: each of them, what could not be read, and the products that webhooks brought."""

from __future__ import annotations

from orchestrator.decisions.refusals import no_shop, shop_elsewhere
from orchestrator.operations import documents
from orchestrator.operations.cluster import Cluster, read_cluster
from orchestrator.operations.order_filter import check_shop, is_known
from orchestrator.operations.queries.services import QueryGroup
from orchestrator.operations.views.events import rejected_view
from orchestrator.operations.views.shops import left_shop_view, shop_view
from storage.counts import count_pending
from storage.products import StoredProduct, list_products
from storage.records import Shop
from storage.rejected import list_rejected
from storage.shops import get_shop, list_shops
from storage.transaction import Transaction


class ShopQueries(QueryGroup):
    """Reads what concerns a shop, or all of them."""

    async def shops(self) -> list[documents.Shop]:
        """Every configured shop, and those that have left the config while targets wait for them."""

        def unit(tx: Transaction) -> tuple[list[Shop], dict[str, int], Cluster]:
            return list_shops(tx), count_pending(tx)[1], read_cluster(tx)

        kept, pending, cluster = await self._store.read(unit)
        rows, configured, now = {shop.name: shop for shop in kept}, self._node.shops(), self._clock.now_ms()
        left = [shop for shop in kept if shop.name not in configured and shop.name in pending]
        views = [shop_view(cluster.completed(facts), rows.get(facts.name), now) for facts in configured.values()]
        return [*views, *map(left_shop_view, left)]

    async def has_left(self, name: str) -> bool:
        """Whether the store knows the name as that of a shop, which is not in the config any more, or in that of
        another node alone."""
        return name.isprintable() and await self._store.read(lambda tx: is_known(tx, name))

    async def shop(self, name: str) -> documents.Shop:
        """One shop, also one that has left the config. Raises Refused `shop-not-found`."""
        facts = self._node.shops().get(name)
        row, cluster = await self._store.read(lambda tx: (get_shop(tx, name), read_cluster(tx)))
        if facts is None and row is None and any(name in node.shops for node in cluster.nodes.values()):
            raise shop_elsewhere(name)
        if facts is not None:
            return shop_view(cluster.completed(facts), row, self._clock.now_ms())
        if row is None:
            raise no_shop(name, self._node.shops())
        return left_shop_view(row)

    async def rejected(
        self, shop: str | None, after: int, limit: int
    ) -> tuple[list[documents.RejectedPayload], int | None]:
        """A page of rejected payloads above the position `after`, and the position of the next page."""
        configured = self._node.shops()

        def unit(tx: Transaction) -> tuple[list[documents.RejectedPayload], int | None]:
            check_shop(tx, configured, shop)
            found = list_rejected(tx, after, limit + 1, shop)
            page = found[:limit]
            return [rejected_view(each) for each in page], page[-1].id if len(found) > limit else None

        return await self._store.read(unit)

    async def products(self, shop: str | None, after: int, limit: int) -> tuple[list[StoredProduct], int | None]:
        """A page of products above the position `after`, and the position of the next page."""

        configured = self._node.shops()

        def unit(tx: Transaction) -> tuple[list[StoredProduct], int | None]:
            check_shop(tx, configured, shop)
            found = list_products(tx, after, limit + 1, shop)
            page = found[:limit]
            return page, page[-1].seq if len(found) > limit else None

        return await self._store.read(unit)
