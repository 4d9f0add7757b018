"""What the runtime needs of a platform: list, read, perform. One implementation a platform, all used alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from orchestrator.platforms.completion import payment_status_of
from orchestrator.platforms.content import NOTHING_APART, Apart
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

Throttle = Callable[[], Awaitable[None]]
"""Waits for the shop's rate limit. The runtime has acquired the permit for the first HTTP call of `read`, `list_page`
and `perform`; a client awaits this before each further call that it makes by itself (never for token calls)."""


@dataclass(frozen=True, slots=True)
class Age:
    """What distinguishes an order from before a shop was followed from a new one.

    `ordered_at`: when the order was made on the platform, Unix milliseconds; None where it is unknown. `is_over`: the
    platform shows that nothing is left to be done about it (archived, cancelled, delivered for good).
    """

    ordered_at: int | None = None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """One order as the platform showed it.

    `state` is the platform's own state (composite where the platform has several fields), `facts` what the machine
    reads, `payload` the order's bytes as received (for lists: its own JSON text). `content`: what the ERP is given of
    it (`content`), `apart`: what of that is not a change by itself, `content_hash`: a digest of the rest, so that most
    observations are distinguished without comparing. `platform_updated_at`: the platform's own change time in Unix
    milliseconds, None if it has none.
    `is_released` False: not for the ERP (not paid for, no goods to ship). Such an order is imported only when somebody
    asks for it by its id. `age`: whether it is history (`decisions.history`). `is_provisional`: from a webhook and
    a read has yet to confirm.
    """

    id: str
    reference: str | None
    state: str
    payment: str
    facts: dict[str, Json]
    payload: bytes
    content_hash: str
    platform_updated_at: int | None
    is_released: bool = True
    content: dict[str, Json] = field(default_factory=dict)
    apart: Apart = NOTHING_APART
    age: Age = Age()
    is_provisional: bool = False

    def order_state(self) -> OrderState:
        """As the machine sees it."""
        return OrderState(self.state, self.state, self.payment, self.facts)

    @property
    def payment_status(self) -> str:
        """Where the payment stands, by the content; where that does not say, in the coarser words of `payment`."""
        return payment_status_of(self.content) or self.payment


@dataclass(frozen=True, slots=True)
class UnreadableItem:
    """An element of a list that could not be understood; the rest of the list goes on."""

    id: str | None
    error: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a sync over the platform's changed orders.

    `must_read`: ids whose rows are too thin and have to be read one by one. `next`: opaque JSON to ask for the next
    page, None when the sync is complete; then `position` (JSON) is what the next sync starts from.
    `skip_if_new`: ids that are only of interest when we know the order already (cancelled before we saw them).
    `ages`: what thin rows say of their orders' age, by id, so that history is not read one by one.

    A sync never moves, ends or goes on by the platform's word alone. The runtime watches that the pages of a list lead
    on (`platforms/progress`): `shown` names every row of the page, also those that are left out; `cursor` is what the
    platform itself calls the next page, None where the client counts; `part` distinguishes the lists that one sync goes
    through, each of which is judged by itself. `flaw`: in words, why the list cannot be believed to be whole (it ends
    before its own count, or says that there is more and not where): the page's rows are taken in, the sync then fails
    and its position stays. `position` must not lie in the future (`platforms/horizon`).
    """

    orders: tuple[OrderSnapshot, ...]
    unreadable: tuple[UnreadableItem, ...] = ()
    must_read: tuple[str, ...] = ()
    skip_if_new: frozenset[str] = frozenset()
    ages: Mapping[str, Age] = field(default_factory=dict)
    next: Json = None
    position: Json = None
    shown: tuple[str, ...] | None = None
    cursor: str | None = None
    part: int = 0
    flaw: str | None = None

    def rows(self) -> tuple[str, ...]:
        """A name for each row that the platform showed."""
        if self.shown is not None:
            return self.shown
        orders = (*(snapshot.id for snapshot in self.orders), *self.must_read)
        return (*orders, *(item.id or repr(item.payload) for item in self.unreadable))


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a successful call returned: the platform's state afterwards where it says so, and facts that changed.

    `is_found`: a read showed that the step had taken effect before, as after a call whose answer was lost. What only
    *looks* done raises OutOfSequence instead: the read that follows decides what is adopted as drift.

    `unused`: fields of the target that the step carries and this shop's platform has no use for (a plug-in that is not
    installed), `reason` why, for people. A step that leaves the state and carries nothing else was not taken. The
    target goes on without these fields, and names them.
    """

    state: str | None
    facts: dict[str, Json] = field(default_factory=dict)
    is_found: bool = False
    unused: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`."""

    check: str
    status: Literal["ok", "warning", "failed"]
    detail: str


class PlatformClient(Protocol):
    """Calls of one shop. Every method may raise any PlatformFailure; nothing else escapes but programming errors.

    `rereads_open`: the platform has no change time to ask by, so each sync also re-reads known open orders one by one.

    Each HTTP request is sent at most once (aiohttp's silent resend is off, docs/pitfalls.md H1).
    """

    @property
    def rereads_open(self) -> bool:
        """Whether changes of known open orders can only be found by reading them again."""
        ...

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """One page of what changed since `position` (None: everything). `cursor`: None for the first page, then
        `Page.next` of the page before."""
        ...

    async def read(self, order_id: str) -> OrderSnapshot:
        """One order. Raises NotFound if the platform has none, Unreadable if the answer is invalid."""
        ...

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Makes the call of `step`. Returning means that the platform confirmed it.

        Where a read does not show a step's effect, `current` shows by its facts whether an earlier call of the step
        may have gone out (`PlatformMachine.after_lost_answer`).
        """
        ...

    async def check(self) -> list[Finding]:
        """Reachable, credentials accepted, clock skew, names resolvable: for `doctor`. Raises nothing."""
        ...

    async def aclose(self) -> None:
        """Closes connections."""
        ...


@runtime_checkable
class RemembersRefusal(Protocol):
    """A client that does not repeat a refused login at once, for calls that are on their way share its answer."""

    def forget_refusal(self) -> None:
        """A person says that the account is fixed: the next call asks anew. Raises nothing."""
        ...


@runtime_checkable
class RenewsAccess(Protocol):
    """A client that can look by itself whether it was given other credentials."""

    async def renew(self) -> bool:
        """Takes over other credentials if there are any; whether there were. Raises StoreError."""
        ...
