"""Plain records of what the store keeps. Times are integers: Unix milliseconds, UTC.

Records are values: nobody changes one in place. `Order` and `Target`, which every step of every order replaces several
times, are not frozen all the same, and are replaced with `changed`: a frozen record of 28 fields costs `replace` 15 µs,
which was a third of a step's whole work in the writer; this costs 2 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal, TypeAlias, TypeVar

from storage.moves import Place

Json: TypeAlias = Any

PausedBy: TypeAlias = Literal["person", "access_denied", "restore", "another_account"]
"""Who pauses a shop."""
Circuit: TypeAlias = Literal["closed", "open", "half_open"]
"""Whether a shop's platform is asked: half open, one call tries it."""
ShopWaitReason: TypeAlias = Literal["retry_after", "circuit"]
"""Why a shop waits for a while."""
WaitReason: TypeAlias = Literal[
    "retry_after",
    "circuit",
    "paused",
    "payment",
    "platform",
    "access_denied",
    "not_configured",
    "restore",
    "another_account",
]
"""Why an order waits."""


class Situation(StrEnum):
    """What an order is doing right now (docs/api.md). `waiting` may also be shown for an order that would go
    on (`HELD_UP`) while its shop is paused or waits for its platform: that is derived when it is read, never written
    to ten thousand rows."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    BLOCKED = "blocked"
    HELD = "held"


HELD_UP = frozenset({Situation.QUEUED, Situation.RETRYING})
"""Situations of orders that go on by themselves, unless their shop stands still."""


HAVE_PROBLEMS = (Situation.BLOCKED, Situation.HELD)
"""The situations of orders that may have a problem."""


class TargetStatus(StrEnum):
    """The life of a target: the last three are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    BLOCKED = "blocked"
    REACHED = "reached"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether the target will not change any more."""
        return self in _ENDS


_ENDS = (TargetStatus.REACHED, TargetStatus.FAILED, TargetStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something stands still (docs/api.md). `detail` carries the platform's own message."""

    type: str
    title: str
    detail: str
    step: str | None
    since: int


@dataclass(frozen=True, slots=True)
class Wait:
    """What an order waits for; `until` is None where nobody knows."""

    reason: WaitReason
    until: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A step whose call may be out: on disk before the call, gone with its outcome.

    `is_uncertain`: what the call did is unknown, so the order is read before anything is sent again.
    `is_unanswered`: that is so because no answer arrived, so the call may have taken effect; False after an answer that
    only leads to a read.
    """

    target: str
    step: str
    source: str
    to: str
    started_at: int
    is_uncertain: bool = False
    is_unanswered: bool = False

    def cut_off(self) -> Intent:
        """The intent of a call whose answer will never arrive; an intent that was uncertain before stays as it is."""
        return self if self.is_uncertain else replace(self, is_uncertain=True, is_unanswered=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an order's last observation beside its row.

    `content`: what the ERP was given of it, `read_at`: when that observation began; both None for an order that an
    older version kept. `received_at`: when its payload was kept. `is_exact`: a member that the platform does not give
    is left out of the content; an older version kept it as null.
    """

    content: dict[str, Json] | None
    read_at: int | None
    received_at: int
    is_exact: bool = True


@dataclass(slots=True)
class Order:
    """One order of one shop.

    `state` is ours, `platform_state` what the platform showed last. `observed_at`: when the platform last showed it to
    us, in a list or by itself, 0 when it is to be read before anything else; `moved_at`: when our last call on it ended
    (an observation that began before is stale). `due_at`: when a driver takes it up next, None at rest. `version` grows
    with every change and fences lost updates. `attempts` counts calls of the current step, `read_attempts` failed reads
    in a row, `crashes` daemon deaths in it. `gone_at`: since when the platform has no such order, with its message in
    `gone_detail`; it has no pending targets then. `is_provisional`: imported from a webhook and not yet confirmed by a
    read. `parcels`: those that were reported and are kept with the order, first reported first; None for none.
    `payment_status`: what content calls it, None for an order that an older version kept.
    `attention_at`: since when the ERP asks for a person, `attention_reason` why. `returned`: how much of each line was
    reported as returned, None while nothing was. `counted`: how the row that this was read from is counted, which
    moves with the next change; None for an order that is not kept yet.
    """

    seq: int
    shop: str
    platform: str
    id: str
    reference: str | None
    state: str
    platform_state: str
    milestone: str | None
    payment: str
    situation: Situation
    facts: dict[str, Json]
    content_hash: str
    platform_updated_at: int | None
    observed_at: int
    moved_at: int
    due_at: int | None
    intent: Intent | None
    attempts: int
    read_attempts: int
    crashes: int
    next_attempt_at: int | None
    wait: Wait | None
    problem: Problem | None
    held_at: int | None
    held_reason: str | None
    imported_at: int
    updated_at: int
    version: int
    gone_at: int | None = None
    gone_detail: str | None = None
    is_provisional: bool = False
    parcels: list[dict[str, Json]] | None = None
    payment_status: str | None = None
    attention_at: int | None = None
    attention_reason: str | None = None
    returned: dict[str, Json] | None = None
    counted: Place | None = field(default=None, compare=False, repr=False, metadata={"is_column": False})

    @property
    def place(self) -> Place:
        """What the order is counted by once it is written as it is."""
        return (self.situation._value_, self.state, self.milestone or "")

    @classmethod
    def first_seen(
        cls,
        *,
        shop: str,
        platform: str,
        id: str,  # noqa: A002 - the API's name
        reference: str | None,
        state: str,
        platform_state: str,
        milestone: str | None,
        payment: str,
        facts: dict[str, Json],
        content_hash: str,
        platform_updated_at: int | None,
        observed_at: int,
        now: int,
        is_provisional: bool = False,
        payment_status: str | None = None,
    ) -> Order:
        """An order that is not kept yet: at rest, and without any target. `now`: when it is imported."""
        return cls(
            seq=0,
            shop=shop,
            platform=platform,
            id=id,
            reference=reference,
            state=state,
            platform_state=platform_state,
            milestone=milestone,
            payment=payment,
            situation=Situation.IDLE,
            facts=facts,
            content_hash=content_hash,
            platform_updated_at=platform_updated_at,
            observed_at=observed_at,
            moved_at=0,
            due_at=None,
            intent=None,
            attempts=0,
            read_attempts=0,
            crashes=0,
            next_attempt_at=None,
            wait=None,
            problem=None,
            held_at=None,
            held_reason=None,
            imported_at=now,
            updated_at=now,
            version=1,
            is_provisional=is_provisional,
            payment_status=payment_status,
        )


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A step of a stored plan, with the states before and after it.

    `unused`: fields of the target that the platform turned out to have no use for when the step was asked for;
    `is_taken` False: they were all that it carries, so it was passed over.
    """

    step: str
    source: str
    to: str
    unused: tuple[str, ...] = ()
    is_taken: bool = True


@dataclass(slots=True)
class Target:
    """One submitted target. The first `steps_done` entries of `plan` are done. `seq` orders the queue of an order."""

    seq: int
    id: str
    shop: str
    order: str
    state: str
    milestone: str | None
    status: TargetStatus
    request: dict[str, Json]
    plan: tuple[PlanEntry, ...]
    steps_done: int
    unused: tuple[str, ...]
    submitted_at: int
    finished_at: int | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the feed. `cursor` grows by commit order."""

    cursor: int
    at: int
    type: str
    shop: str | None
    order: str | None
    target: str | None
    data: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shop:
    """What is kept of a shop beside its config: pause, sync position, lease.

    `wait_*` is a shop-wide wait that ends by itself. `credentials` is a fingerprint, never the secret: a changed one
    ends an access_denied pause.
    `followed_since`: when the daemon first worked for the shop; `synced_since`: the `import_since` of the last complete
    sync; `skipped`: how many orders are left out as history; `rejected`: how many payloads are set aside.
    """

    name: str
    platform: str
    paused_at: int | None
    paused_by: PausedBy | None
    paused_reason: str | None
    wait_reason: ShopWaitReason | None
    wait_until: int | None
    wait_detail: str | None
    circuit: Circuit
    credentials: str | None
    sync_position: Json
    last_sync_at: int | None
    last_sync_error: str | None
    lease_holder: str | None
    lease_epoch: int
    followed_since: int | None = None
    synced_since: int | None = None
    skipped: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """A payload that could not be read, kept byte for byte."""

    id: int
    shop: str
    source: str
    at: int
    error: str
    payload: bytes


_Record = TypeVar("_Record", Order, Target)
_VALUES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*(each.name for each in fields(kind))) for kind in (Order, Target)
}


def changed(record: _Record, **changes: Json) -> _Record:
    """A copy of an order or target with some fields changed. Raises AttributeError for a field that it has not."""
    kind = type(record)
    copy = kind(*_VALUES[kind](record))
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy
