"""What differs between two snapshots of an order, as JSON pointers (RFC 6901) into the newer content. Pure.

Scalars are named where they stand (`/totals/total`, `/lines/0/quantity`), while an address, the buyer, a cancellation
or a price is one thing and is named as a whole (`/ship_to`, `/lines/0/unit_price`). Elements of a list that have an id
are matched by it: a new element is named by its place, a missing one by the list (`/lines`), a moved one not at all. A
list whose elements have no ids is named as a whole.

A member that only one of the two has is not a change: the platform, or an older version of ours, did not send it that
time (`content`). Empty members are null, so emptying or filling one is a change. Attributes are the exception, their
names being the platform's: there a name that comes or goes is a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.content import AMOUNTS, is_same_amount
from statemachines.target import Json
from storage.records import Kept, Order

MOST_POINTERS = 100
"""How many pointers an event carries; more are replaced by their parents."""

_WHOLE = frozenset({"/buyer", "/ship_to", "/bill_to", "/cancelled"})
_PRICE = frozenset({"net", "gross", "stated"})
_ATTRIBUTES = "/attributes"
_ABOUT_CONTENT = "/derived"
"""Says of the rest what is computed: no change by itself."""
_OF_ANOTHER_MEANING = (
    "/numbers/order",
    "/totals/lines",
    "/totals/discount",
    "/lines/*/unit_price",
    "/lines/*/discount",
)
"""What an older version kept in another meaning (`Kept.is_exact`): no change can be seen by it."""


def changes_of(order: Order, kept: Kept | None, snapshot: OrderSnapshot, *, is_cancelled: bool) -> list[str]:
    """What a snapshot of an order changes for the ERP: without the changes of our own steps, bounded.

    `kept`: the snapshot before; `is_cancelled`: the order was cancelled before this snapshot, as far as we knew. An
    order that an older version stored has no content to compare with: then `""`, the whole, where the platform's own
    change time moved and no step of ours can have moved it; else nothing, and the next snapshot is compared with this.
    """
    if kept is None or kept.content is None or kept.read_at is None:
        return [""] if kept is not None and _is_touched(order, kept, snapshot) else []
    found = shown_changes(kept, snapshot)
    if order.moved_at > kept.read_at:
        found = less(found, snapshot.apart.steps)
    if is_cancelled and kept.content.get("cancelled") is None and snapshot.content.get("cancelled") is not None:
        found = less(found, snapshot.apart.cancel)  # a person's cancellation finds the order in another state
    if not found and order.is_provisional and not snapshot.is_provisional and _is_newer(order, snapshot):
        return [""]  # the first read: it shows fields that the webhook did not have, some of which may have changed
    return bounded(found)


def shown_changes(kept: Kept | None, snapshot: OrderSnapshot) -> list[str]:
    """Where a snapshot's content differs from the one before, whoever changed it; nothing where none is kept."""
    if kept is None or kept.content is None:
        return []
    before = kept.content if kept.is_exact else _without_nulls(kept.content)
    found = less(changed_pointers(before, snapshot.content), (*snapshot.apart.beside, _ABOUT_CONTENT))
    return found if kept.is_exact else less(found, _OF_ANOTHER_MEANING)


def _without_nulls(value: Json) -> Json:
    """What an older version kept, without members that may have been null because they were not given."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _is_touched(order: Order, kept: Kept, snapshot: OrderSnapshot) -> bool:
    return _is_newer(order, snapshot) and order.moved_at <= kept.received_at


def _is_newer(order: Order, snapshot: OrderSnapshot) -> bool:
    known, shown = order.platform_updated_at, snapshot.platform_updated_at
    return known is not None and shown is not None and shown > known


def changed_pointers(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """Where two contents differ, sorted. Not yet bounded: see `bounded`."""
    return sorted(_members("", before, after))


def bounded(pointers: list[str]) -> list[str]:
    """At most MOST_POINTERS of them: too many are replaced by common parents."""
    for depth in (3, 2, 1):
        if len(pointers) <= MOST_POINTERS:
            break
        pointers = sorted({"/".join(each.split("/")[: depth + 1]) for each in pointers})
    return pointers


def less(pointers: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The pointers without those that a pattern names, or a parent of theirs; `*` stands for any index."""
    paths = [pattern.split("/") for pattern in patterns]
    return [each for each in pointers if not any(_is_in(each.split("/"), path) for path in paths)]


def _is_in(pointer: list[str], path: list[str]) -> bool:
    return len(pointer) >= len(path) and all(mine in ("*", its) for mine, its in zip(path, pointer, strict=False))


def _members(at: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[str]:
    names = before.keys() | after.keys() if at == _ATTRIBUTES else before.keys() & after.keys()
    for name in names:
        yield from _value(f"{at}/{_escaped(name)}", name, before.get(name), after.get(name))


def _value(at: str, name: str, before: Json, after: Json) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        inner = _members(at, before, after)
        is_one_thing = at in _WHOLE or before.keys() <= _PRICE
        yield from ([at] if any(True for _ in inner) else []) if is_one_thing else inner
    elif isinstance(before, list) and isinstance(after, list):
        yield from _elements(at, name, before, after)
    elif not _is_same(name, before, after):
        yield at


def _elements(at: str, name: str, before: list[Json], after: list[Json]) -> Iterator[str]:
    known, shown = _by_id(before), _by_id(after)
    if known is None or shown is None:
        is_same = len(before) == len(after) and not any(
            True for old, new in zip(before, after, strict=True) for _ in _value("", name, old, new)
        )
        if not is_same:
            yield at
        return
    if known.keys() - shown.keys():
        yield at
    for index, (id_, element) in enumerate(shown.items()):
        place = f"{at}/{index}"
        if id_ in known:
            yield from _members(place, known[id_], element)
        else:
            yield place


def _by_id(elements: list[Json]) -> dict[str, Mapping[str, Json]] | None:
    """Objects by their ids, in sequence; None where one has none, or two have the same."""
    found = {each["id"]: each for each in elements if isinstance(each, Mapping) and isinstance(each.get("id"), str)}
    return found if len(found) == len(elements) else None


def _is_same(name: str, before: Json, after: Json) -> bool:
    if name in AMOUNTS and isinstance(before, str) and isinstance(after, str):
        return is_same_amount(before, after)
    return type(before) is type(after) and before == after


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
