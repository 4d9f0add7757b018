"""Where an order says what, on platforms that do not document all names: paths, which a merchant may change (`fields`).

A name is a member of the content with dots (`buyer.email`, `lines.sku`, `totals.total`), a path leads into objects
(`Buyer.Email`). What belongs to a line is looked for in the line, what belongs to a part in the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field

from orchestrator.platforms.completion import leaves
from orchestrator.platforms.content import AMOUNTS, boolean, decimal, instant, is_empty, text
from statemachines.target import Json

_LISTS: Final = ("lines.parts", "lines")
_YES_OR_NO: Final = frozenset({"test", "guest", "on_delivery"})
_NOT_BY_PATH: Final = frozenset({"payment.status", "delivery.method", "lines.kind", "lines.tax", "attributes"})
"""What is one of our words, or is no single value."""


def _names() -> frozenset[str]:
    found = {".".join(each for each in path if each != "*") for path in leaves()}
    others = {name for name in found if name.split(".")[0] in ("discounts", "parcels", "returns")}
    return frozenset(
        {name for name in found - others if not any(f"{name}.".startswith(f"{each}.") for each in _NOT_BY_PATH)}
    )


NAMES: Final = _names()
"""Every name that a path may be given for."""


def known_names(more: frozenset[str] = frozenset(), *, fixed: frozenset[str] = frozenset()) -> Callable[[str], str]:
    """The check of a name in a config. `more`: names that a platform has beside the content's; `fixed`: those whose
    place is documented and that steps read there, so that content must not show another."""

    def check(name: str) -> str:
        if name in fixed:
            raise ValueError("must not be given a path: the platform documents where it stands, and steps name it so")
        if name not in NAMES | more:
            raise ValueError('must be a member of an order\'s content such as "currency", "buyer.email" or "lines.sku"')
        return name

    return check


FieldName = Annotated[str, AfterValidator(known_names())]
Path = Annotated[str, Field(min_length=1)]


class _Place(NamedTuple):
    """Where one member of the content comes from, and where it goes."""

    path: tuple[str, ...]
    parents: tuple[str, ...]
    member: str
    read: Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Paths by name. `zone`: of instants that name none."""

    paths: Mapping[str, str]
    zone: tzinfo = field(default=UTC)
    _places: Mapping[str, tuple[_Place, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places: dict[str, list[_Place]] = {}
        for name, path in self.paths.items():
            if name in NAMES:
                scope = _scope_of(name)
                *parents, member = name.removeprefix(f"{scope}.").split(".")
                places.setdefault(scope, []).append(
                    _Place(tuple(path.split(".")), tuple(parents), member, self._reader(member))
                )
        object.__setattr__(self, "_places", {scope: tuple(found) for scope, found in places.items()})

    def has(self, order: Mapping[str, Json], name: str) -> bool:
        """Whether anything stands at the path of a name, null included."""
        return _leads_somewhere(order, self.paths[name])

    def get(self, order: Mapping[str, Json], name: str) -> Json:
        """What stands at the path of a name; None where nothing does."""
        return _at(order, self.paths[name]) if self.has(order, name) else None

    def of(self, owner: Mapping[str, Json], scope: str = "") -> dict[str, Json]:
        """What the object says at the paths of a scope (`""`: the order, `lines`, `lines.parts`), nested as content is.
        Where nothing stands, or nothing that can be read, the member is left out."""
        found: dict[str, Json] = {}
        for path, parents, member, read in self._places.get(scope, ()):
            value: Json = owner
            for name in path:
                if not isinstance(value, dict) or name not in value:
                    break
                value = value[name]
            else:
                mapped = read(value)
                if mapped is None and not is_empty(value):
                    continue
                place = found
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[member] = mapped
        return found

    def _reader(self, member: str) -> Callable[[Json], Json]:
        if member in AMOUNTS:
            return decimal
        if member in _YES_OR_NO:
            return boolean
        return self.instant if member.endswith("_at") else text

    def instant(self, value: Json) -> str | None:
        """An instant; one that names no zone is in the map's."""
        try:
            at = datetime.fromisoformat(value) if isinstance(value, str) else None
            return instant(value if at is None or at.tzinfo is not None else at.replace(tzinfo=self.zone).isoformat())
        except ValueError:
            return None


def merged(one: Mapping[str, Json], other: Mapping[str, Json]) -> dict[str, Json]:
    """Both contents, the second winning where both say something; objects are merged."""
    found = dict(one)
    for name, value in other.items():
        mine = found.get(name)
        found[name] = merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return found


def _scope_of(name: str) -> str:
    return next((each for each in _LISTS if name.startswith(f"{each}.")), "")


def _leads_somewhere(value: Json, path: str) -> bool:
    *way, last = path.split(".")
    for name in way:
        value = value.get(name) if isinstance(value, dict) else None
    return isinstance(value, dict) and last in value


def _at(value: Json, path: str) -> Json:
    for name in path.split("."):
        value = value[name]
    return value
