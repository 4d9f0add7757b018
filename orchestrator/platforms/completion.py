"""Completes what a platform gives of an order to the whole of `content_document`. Pure.

A platform's content has what it gives (`content`). Here every other member is added as null and named in `gaps`, what
follows from the rest is computed and named in `derived`, the parts are held against the total, and all of it is hashed.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from orchestrator.platforms import amounts, balance
from orchestrator.platforms.content import decimal
from orchestrator.platforms.content_document import CompleteContent, PaymentStatus, Price, Shape
from statemachines.target import Json

_MISSING: Final = object()
_ANY: Final = "*"
_STATUSES: Final = frozenset(get_args(PaymentStatus))


@dataclass(frozen=True, slots=True)
class Member:
    """A place of the shape: an object with `members`, a list of `element`, or a value of a `kind`, one of the `words`
    where those are listed. `is_nullable`: it may be null as a whole. `is_price`: its members exclude each other."""

    members: Mapping[str, Member] | None = None
    element: Member | None = None
    kind: type = str
    words: frozenset[str] | None = None
    is_nullable: bool = True
    is_price: bool = False


@cache
def shape() -> Member:
    """The shape, from its definition."""
    return _member_of(Shape)


def _member_of(annotation: Any) -> Member:
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    (kind,) = (each for each in options if each is not type(None))
    is_nullable = len(options) > 1
    if is_typeddict(kind):
        members = {name: _member_of(inner) for name, inner in get_type_hints(kind).items()}
        return Member(members, is_nullable=is_nullable, is_price=kind is Price)
    if get_origin(kind) is list:
        return Member(element=_member_of(get_args(kind)[0]), is_nullable=is_nullable)
    if get_origin(kind) is Literal:
        return Member(words=frozenset(get_args(kind)), is_nullable=is_nullable)
    return Member(kind=get_origin(kind) or kind, is_nullable=is_nullable)


def leaves(member: Member | None = None, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every single value of the shape, `*` for any index."""
    found = shape() if member is None else member
    if found.members is not None:
        for name, inner in found.members.items():
            yield from leaves(inner, (*at, name))
    elif found.element is not None and found.element.members is not None:
        yield from leaves(found.element, (*at, _ANY))
    else:
        yield at


def completed(content: Mapping[str, Json]) -> CompleteContent:
    """The whole of it."""
    gaps = _Gaps()
    found = cast("dict[str, Json]", _completed(shape(), content, (), gaps))
    stated = content.get("derived")
    derived = {each for each in stated if _is_there(found, each)} if isinstance(stated, list) else set()
    derived |= _derive(found, gaps)
    has_own_total = found["totals"]["total"] is not None and "/totals/total" not in derived
    whole: dict[str, Json] = {
        **{name: value for name, value in found.items() if name != "derived"},
        "balanced": balance.is_balanced(found) if has_own_total else None,
        "gaps": gaps.pointers(),
        "derived": sorted(derived),
    }
    whole["hash"] = _hash(whole)
    return cast("CompleteContent", whole)


def payment_status_of(content: Mapping[str, Json]) -> PaymentStatus | None:
    """Where the payment stands; None where the content does not say."""
    payment = content.get("payment")
    status = payment.get("status") if isinstance(payment, dict) else None
    return cast("PaymentStatus", status) if isinstance(status, str) and status in _STATUSES else None


# -- gaps --------------------------------------------------------------------------------------------------------------


class _Gaps:
    """Where something is missing, by pattern, and the patterns of which some element has a value, or is empty."""

    def __init__(self) -> None:
        self._missing: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        self._others: set[tuple[str, ...]] = set()

    def note(self, path: tuple[str, ...], pattern: tuple[str, ...], *, is_missing: bool) -> None:
        """There is a value, one that is null or empty included; or it is missing."""
        if is_missing:
            self._missing.setdefault(pattern, []).append(path)
        else:
            self._others.add(pattern)

    def close(self, *path: str) -> None:
        """What stands there was computed meanwhile. `path`: with the index of an element."""
        pattern = tuple(_ANY if each.isdigit() else each for each in path)
        left = [each for each in self._missing.pop(pattern, ()) if each != path]
        if left:
            self._missing[pattern] = left
        self._others.add(pattern)

    def pointers(self) -> list[str]:
        """A pattern where it holds for all elements, else each element's own pointer."""
        found: list[str] = []
        for pattern, paths in self._missing.items():
            found += map(_pointer, paths if pattern in self._others else [pattern])
        return sorted(found)


def _completed(member: Member, value: Any, path: tuple[str, ...], gaps: _Gaps, pattern: tuple[str, ...] = ()) -> Json:
    """A value as the shape has it. One of another kind than the shape's counts as not given."""
    if member.members is not None:
        return _completed_object(member, value, path, gaps, pattern)
    if member.element is not None and isinstance(value, list):
        gaps.note(path, pattern, is_missing=False)
        if member.element.members is None:
            return [each for each in value if isinstance(each, member.element.kind)]
        return [
            _completed(member.element, each, (*path, str(n)), gaps, (*pattern, _ANY)) for n, each in enumerate(value)
        ]
    if member.element is not None:
        gaps.note(path, pattern, is_missing=value is not None)
        return [] if value is None else None
    is_valid = isinstance(value, member.kind) and (member.words is None or value in member.words)
    gaps.note(path, pattern, is_missing=not is_valid and value is not None)
    return value if is_valid else None


def _completed_object(member: Member, value: Any, path: tuple[str, ...], gaps: _Gaps, pattern: tuple[str, ...]) -> Json:
    assert member.members is not None
    is_given = value is None or isinstance(value, Mapping)
    if member.is_nullable and not isinstance(value, Mapping):
        gaps.note(path, pattern, is_missing=not is_given)
        return None
    given: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    if member.is_price and any(each is not None for each in given.values()):
        given = {name: each for name, each in given.items() if each is not None}  # a price has no other basis
    missing = None if value is None else _MISSING
    found = {
        name: _completed(inner, given.get(name, missing), (*path, name), gaps, (*pattern, name))
        for name, inner in member.members.items()
    }
    return found | {name: each for name, each in given.items() if name not in found}


def _pointer(path: tuple[str, ...]) -> str:
    return "".join(f"/{each}" for each in path)


def _is_there(content: Json, pointer: Json) -> bool:
    """Whether a pointer leads to anything but null."""
    if not isinstance(pointer, str):
        return False
    found: list[Json] = [content]
    for name in pointer.split("/")[1:]:
        if name == _ANY:
            found = [each for value in found if isinstance(value, list) for each in value]
        else:
            found = [value[name] for value in found if isinstance(value, Mapping) and name in value]
    return any(_has_value(each) for each in found)


def _has_value(value: Json) -> bool:
    return any(map(_has_value, value.values())) if isinstance(value, Mapping) else value is not None


# -- what follows from the rest ----------------------------------------------------------------------------------------


def _derive(content: dict[str, Json], gaps: _Gaps) -> set[str]:
    """Computes, where the platform does not give them, what each line comes to, their sum, the tax of the delivery and
    what that costs on the other basis; returns what was computed."""
    derived: set[str] = set()
    for index, line in enumerate(content["lines"] or ()):
        is_given = any(line["amount"].values())
        for basis, amount in amounts.amounts_of(line).items():
            if line["amount"][basis] is None:
                line["amount"][basis] = amount
                gaps.close("lines", str(index), "amount", basis)
                derived.add(f"/lines/*/amount/{basis}" if is_given else "/lines/*/amount")
    goods, delivery = decimal(balance.goods_of(content)), content["delivery"]
    if content["totals"]["lines"] is None and goods is not None:
        content["totals"]["lines"] = goods
        gaps.close("totals", "lines")
        derived.add("/totals/lines")
    if delivery["tax"] is None and (taxes := amounts.delivery_tax_of(content)) is not None:
        delivery["tax"] = taxes
        gaps.close("delivery", "tax")
        derived.add("/delivery/tax")
    for basis, cost in amounts.costs_of(delivery).items():
        if delivery["cost"][basis] is None:
            delivery["cost"][basis] = cost
            gaps.close("delivery", "cost", basis)
            derived.add(f"/delivery/cost/{basis}")
    return derived


def _hash(content: Mapping[str, Json]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
