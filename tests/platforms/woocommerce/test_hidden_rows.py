"""Orders that the key's user may not read: WooCommerce counts them and shows others (docs/facts/woocommerce.md)."""

from __future__ import annotations

import pytest

from orchestrator.sandbox.woocommerce import SandboxOptions
from orchestrator.testing.stage import staged


@pytest.mark.parametrize("page_size", [4, 10, 100])
@pytest.mark.parametrize("hidden", [{0}, {39}, {3, 4}, {38, 39}, set(range(1, 40, 2))])
async def test_a_list_with_hidden_rows_is_whole(hidden: set[int], page_size: int) -> None:
    simulated = {"woocommerce": SandboxOptions(hidden=frozenset(hidden))}
    async with staged("woocommerce", orders=40, page_size=page_size, simulated=simulated) as stage:
        pages, position = await stage.list_pages()
        assert [page.flaw for page in pages if page.flaw is not None] == []
        assert position is not None
        ids = stage.sandbox.platforms["woocommerce"].order_ids()
        wanted = {order for n, order in enumerate(ids) if n not in hidden}
        assert {order.id for page in pages for order in page.orders} == wanted
