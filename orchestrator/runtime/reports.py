"""Reports of a shop's worker: the records that views, status and answers are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.config import Limits
from orchestrator.platforms.meter import ReportedLimit
from statemachines.machine import Chaining, PlatformMachine
from storage.takeovers import Takeover


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one sync of a shop found. `skipped`: orders that it left out as history for the first time."""

    imported: int = 0
    updated: int = 0
    drifted: int = 0
    rejected: int = 0
    seen: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class WebhookHealth:
    """What the last check of a platform's webhooks showed, at `checked_at` (Unix milliseconds).

    `missing`: topics that are not sent to us, each with the reason. `error`: why the check failed; `missing` is then
    that of the check before it.
    """

    checked_at: int
    missing: Mapping[str, str]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RateLimitFacts:
    """What a shop may ask of its platform: `limits` as configured, `available` calls at hand now (None while the shop
    starts), `reported` what the platform last said of the rest (None: nothing yet)."""

    limits: Limits
    available: float | None = None
    reported: ReportedLimit | None = None


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """A configured shop as the outside may see it. `is_leased`: this node works for it.
    `holder`: the node that does, None while there is none. `webhooks`: None where they are
    not checked. `next_sync_at`: when the next sync begins, Unix milliseconds; None while one runs, and where none will.
    `import_since`: as the config says, Unix milliseconds. `identity`: which shop of its platform it is, in words.
    `as_of`: when another node said what it alone knows, Unix milliseconds; None where that is this node.
    `is_holder_silent`: its node has missed heartbeats. `takeover`: how it came to that node, None where not known."""

    name: str
    platform: str
    chaining: Chaining
    machine: PlatformMachine
    is_leased: bool
    running: int
    rate_limit: RateLimitFacts
    webhooks: WebhookHealth | None = None
    next_sync_at: int | None = None
    import_since: int | None = None
    identity: str = ""
    holder: str | None = None
    as_of: int | None = None
    is_holder_silent: bool = False
    takeover: Takeover | None = None


class ShopsFacts(Mapping[str, ShopFacts]):
    """The facts of shops by name, in the order of names. Those of a shop are gathered when they are asked for: most
    calls ask about one shop, or only whether there is one of that name."""

    def __init__(self, names: Collection[str], facts_of: Callable[[str], ShopFacts]) -> None:
        self._names, self._facts_of = names, facts_of

    def __getitem__(self, name: str) -> ShopFacts:
        if name not in self._names:
            raise KeyError(name)
        return self._facts_of(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)
