"""The statuses of one organization: ids by name and names by id (xsale.md §2 row 3, §5). Ids are never written down
anywhere: every organization has its own."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.platforms.failures import AccessDenied
from statemachines.suggestion import hint
from statemachines.target import Json

_MOST_NAMES = 60  # as many as a sentence may list


class StatusMissing(AccessDenied):
    """The shop's config names a status that its organization does not have, or has twice.

    No order could go that way and only a changed config (or a new status) helps, so it stops the shop, with one alarm.
    """


@dataclass(frozen=True, slots=True)
class StatusRef:
    """What an order shows of its status: an id, a name, mostly both."""

    id: int | None
    name: str | None


@dataclass(frozen=True, slots=True)
class StatusTable:
    """An organization's statuses, in its own sequence, as id and name."""

    rows: tuple[tuple[int, str], ...]
    names: Mapping[int, str]
    ids: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, rows: Iterable[Json]) -> StatusTable:
        """From the elements of the answer. Raises ValueError where one has no id or no name."""
        found: list[tuple[int, str]] = []
        for row in rows:
            status_id = whole(row.get("Id")) if isinstance(row, dict) else None
            name = row.get("Name") if isinstance(row, dict) else None
            if status_id is None or not isinstance(name, str):
                raise ValueError("a status has no Id or no Name")
            found.append((status_id, unified(name)))
        ids: dict[str, tuple[int, ...]] = {}
        for status_id, name in found:
            ids[name] = (*ids.get(name, ()), status_id)
        return cls(tuple(found), dict(found), ids)

    def id_of(self, name: str) -> int:
        """The id of a configured name. Raises StatusMissing."""
        self.require((name,))
        return self.ids[name][0]

    def require(self, names: Iterable[str]) -> None:
        """Raises StatusMissing with a sentence that names what is wrong and what there is."""
        complaints = [complaint for name in names if (complaint := self._complaint(name)) is not None]
        if complaints:
            known = ", ".join(f'"{name}"' for name in list(self.ids)[:_MOST_NAMES]) or "none"
            raise StatusMissing(f"{'; '.join(complaints)}. The organization's statuses are: {known}")

    def name_of(self, ref: StatusRef) -> str:
        """What an order's status is called; one that is unknown keeps what the order says of it."""
        if ref.id is not None and ref.id in self.names:
            return self.names[ref.id]
        return ref.name if ref.name is not None else f"status {ref.id}"

    def explains(self, ref: StatusRef) -> bool:
        """Whether the table says the same as the order; else it may have grown old."""
        if ref.id is None:
            return ref.name in self.ids
        return self.names.get(ref.id) is not None and ref.name in (None, self.names[ref.id])

    def of_machine(self, names: Iterable[str]) -> dict[str, str]:
        """Names by id, as a machine reads them in an order's facts."""
        return {str(status_id): name for name in names for status_id in self.ids.get(name, ())}

    def _complaint(self, name: str) -> str | None:
        ids = self.ids.get(name, ())
        if len(ids) == 1:
            return None
        if ids:
            return f'"{name}" is the name of {len(ids)} statuses (ids {", ".join(map(str, ids))})'
        return f'the config names a status "{name}" that there is not{hint(name, self.ids)}'


def unified(text: str) -> str:
    """A name in the one spelling of its accents that the config is read in."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def whole(value: Json) -> int | None:
    """A positive whole number, also as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
