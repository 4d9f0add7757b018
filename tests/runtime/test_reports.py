"""The facts of shops: a call about one shop costs no more where there are hundreds."""

from __future__ import annotations

import pytest

from orchestrator.runtime.reports import ShopsFacts
from tests.api.bench import shop_facts


def test_facts_are_gathered_of_the_shop_alone_that_is_asked_for() -> None:
    gathered: list[str] = []

    def facts_of(name: str) -> object:
        gathered.append(name)
        return shop_facts(name)

    shops = ShopsFacts({f"shop{n}" for n in range(200)}, facts_of)  # type: ignore[arg-type]
    assert "shop7" in shops
    assert "shop200" not in shops
    assert shops.get("shop200") is None
    assert len(shops) == 200
    assert gathered == []
    assert shops["shop7"] == shop_facts("shop7")
    assert gathered == ["shop7"]
    with pytest.raises(KeyError):
        shops["shop200"]
    assert list(shops) == sorted(f"shop{n}" for n in range(200))
