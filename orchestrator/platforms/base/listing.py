"""One answer of a list whose rows are whole orders: what could be read and what not, in sequence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from orchestrator.platforms.client import OrderSnapshot, UnreadableItem
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.fields import InvalidOrder, id_or_none, member_or_none, payload_of
from orchestrator.platforms.json_text import decoded, elements, encoded, read_value
from statemachines.target import Json


@dataclass(frozen=True, slots=True)
class Listing:
    """`ids` holds the ids of all rows that have one, `rows` counts every row, `total` is the platform's count over
    all pages (None where it gives none). `refusal`: the members of an answer that refuses at a good status, else None.
    `must_read`: ids whose rows are too thin (`client.Page`), `changed_ms`: the largest change time of those.
    """

    orders: tuple[OrderSnapshot, ...]
    unreadable: tuple[UnreadableItem, ...] = ()
    ids: tuple[str, ...] = ()
    rows: int = 0
    total: int | None = None
    refusal: dict[str, Json] | None = None
    must_read: tuple[str, ...] = ()
    changed_ms: int | None = None


def listing_of(
    rows: Sequence[tuple[Json, str]],
    read: Callable[[Json, bytes], OrderSnapshot],
    total: Json = None,
    *,
    id_name: str = "id",
    read_id: Callable[[Json], str | None] = id_or_none,
) -> Listing:
    """The orders of a list's rows (`json_text.members`, `json_text.elements`), each read by itself.

    `read` makes an order of its JSON and its bytes and raises InvalidOrder for an invalid one: that row alone is
    unreadable. `total`: the platform's count, whatever stands there. `id_name`: the member that holds an order's id,
    `read_id`: what reads it where the order cannot be read (None: it is no id), `text_id_or_none` where ids are texts.
    """
    orders: list[OrderSnapshot] = []
    unreadable: list[UnreadableItem] = []
    ids: list[str] = []
    for value, raw in rows:
        try:
            snapshot = read(value, payload_of(raw))
        except InvalidOrder as error:
            order_id = read_id(member_or_none(value, raw, id_name))
            unreadable.append(UnreadableItem(order_id, str(error), encoded(raw)))
            ids += [order_id] if order_id is not None else []
        else:
            orders.append(snapshot)
            ids.append(snapshot.id)
    return Listing(tuple(orders), tuple(unreadable), tuple(ids), len(rows), count_of(total))


def thin_listing(
    ids: Sequence[str], total: Json = None, *, left_out: Collection[str] = (), changed_ms: int | None = None
) -> Listing:
    """The ids of a list's rows, each of which has to be read by itself, as where one row spoils a list for all others.
    `left_out`: those that are not for us; `changed_ms`: the largest of their change times, in Unix milliseconds."""
    wanted = tuple(each for each in ids if each not in left_out)
    return Listing((), ids=tuple(ids), rows=len(ids), total=count_of(total), must_read=wanted, changed_ms=changed_ms)


def array_listing(body: bytes, read: Callable[[Json, bytes], OrderSnapshot], total: Json = None) -> Listing:
    """The orders of a list that is an array and nothing around it; as `listing_of`. Raises Unreadable."""
    try:
        found, _ = elements(decoded(body).strip(), 0)
    except ValueError as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    return listing_of(found, read, total)


def with_count(listing: Listing, value: Json, offset: int, limit: int) -> Listing:
    """A page of a list whose count has rows in it that its pages leave out. Where a page was asked for all that the
    count has left, what it shows is all of it."""
    total = count_of(value)
    if total is not None and total <= offset + limit:
        total = offset + listing.rows
    return replace(listing, total=total)


def single_of(body: bytes, read: Callable[[Json, bytes], OrderSnapshot]) -> OrderSnapshot:
    """The order that an answer is, by itself. Raises Unreadable if it is invalid."""
    whole = decoded(body)
    try:
        return read(read_value(whole), payload_of(whole.strip()))
    except ValueError as error:
        raise Unreadable(f"the order cannot be read: {error}", body) from error


def count_of(value: Json) -> int | None:
    """A count, also as a text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
