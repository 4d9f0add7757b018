"""One page of Shopify's list of orders: its rows, and where it says that it goes on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.platforms.client import UnreadableItem
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.fields import InvalidOrder, member_or_none, shown
from orchestrator.platforms.json_text import decoded, encoded, member_text, members
from orchestrator.platforms.shopify.webhooks import id_of_gid
from orchestrator.platforms.shopify.wire import Row, read_row
from statemachines.target import Json


@dataclass(frozen=True, slots=True)
class Listing:
    """What a page shows. `names`: every row's id, or its text where that cannot be read. `after`: the next page's
    cursor, None where there is none; `flaw`: why there is none although more follows."""

    rows: list[Row]
    unreadable: tuple[UnreadableItem, ...]
    names: tuple[str, ...]
    after: str | None
    flaw: str | None = None


def read_listing(body: bytes) -> Listing:
    """The page that an answer is. Raises Unreadable."""
    rows: list[Row] = []
    unreadable: list[UnreadableItem] = []
    names: list[str] = []
    try:
        connection, nodes = members(member_text(member_text(decoded(body), "data"), "orders"), "nodes")
        has_more, end = connection["pageInfo"]["hasNextPage"], connection["pageInfo"].get("endCursor")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"unexpected answer to the list of orders: {error}", body) from None
    if nodes is None:
        raise Unreadable("the list of orders has no nodes", body)
    if not isinstance(has_more, bool):
        raise Unreadable(f"unexpected answer to the list of orders: hasNextPage is {has_more!r}", body)
    for node, text in nodes:
        named = id_of_gid(member_or_none(node, text, "id"), "Order")
        names.append(named or text)
        try:
            rows.append(read_row(node))
        except InvalidOrder as error:
            unreadable.append(UnreadableItem(named, str(error), encoded(text)))
    return Listing(rows, tuple(unreadable), tuple(names), *_onward(has_more=has_more, end=end))


def _onward(*, has_more: bool, end: Json) -> tuple[str | None, str | None]:
    if not has_more:
        return None, None
    if isinstance(end, str) and end:
        return end, None
    return None, f"it says that more follows, and its cursor is {shown(end)}"
