"""One order under the real driver and the real decisions, with everything around them small: a platform in memory that
does what its script says, a store in memory that can die, a clock that a test sets."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from orchestrator.backoff import Growing
from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.decisions.adoption import Adopted, Observation, adopt
from orchestrator.decisions.draft import Context, Draft, Policy
from orchestrator.decisions.recovery import recover
from orchestrator.decisions.submission import Submission, accept
from orchestrator.metrics import Metrics
from orchestrator.platforms.client import OrderSnapshot, PlatformClient, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.runtime.admission import Admission, Limits
from orchestrator.runtime.driver import Driver, ShopServices
from orchestrator.runtime.rules import Rules
from orchestrator.runtime.shop_store import ShopStore
from statemachines.machine import OrderState, PlatformMachine
from statemachines.selldone import MACHINE
from statemachines.target import TargetRequest
from storage.changes import Change, save_change
from storage.leases import acquire
from storage.migrations import migrate
from storage.orders import get_order
from storage.records import Order, Target
from storage.store import Store
from storage.transaction import Published, Transaction
from tests.support.memory import memory_transaction

T = TypeVar("T")

SHOP, ORDER = "acme", "1"
START = 1_760_000_000_000

CALL_OUTCOMES = ("ok", "lost_before", "lost_after", "refused", "out_of_sequence", "throttled", "denied", "cut_off")
"""What a call may come to; `lost_after` and `cut_off` took effect, and no answer arrived."""
READ_OUTCOMES = ("ok", "lost_before", "throttled", "denied", "unreadable")
CRASH_POINTS = ("after_intent", "after_call", "after_outcome", "after_read")


class Died(BaseException):
    """The process is gone: nothing after this may touch the store."""


class CutOff(BaseException):
    """A shutdown cut a call off: what is cleaned up, is."""


@dataclass(slots=True)
class ScriptedPlatform(ABC):
    """A platform with one order. `script` says what the next calls come to, `usual` those after them. `repeats` holds
    steps that were sent although an earlier call of ours had done them."""

    state: str
    changes: int = 0
    done_by_us: dict[str, object] = field(default_factory=dict)
    repeats: list[str] = field(default_factory=list)
    effects_of_us: list[str] = field(default_factory=list)
    calls: int = 0
    most_calls: int = 1_000_000
    is_gone: bool = False
    script: list[str] = field(default_factory=list)
    usual: str = "ok"

    @abstractmethod
    def snapshot(self) -> OrderSnapshot:
        """The order as a read shows it. Raises NotFound."""

    @abstractmethod
    def do(self, step: str, request: TargetRequest) -> None:
        """The effect of a step, whoever asks for it. Raises OutOfSequence."""

    @abstractmethod
    def body(self, step: str, request: TargetRequest) -> object:
        """What a call of the step carries: the same again repeats it."""

    @abstractmethod
    def answer(self, step: str) -> StepAnswer:
        """The answer of a call that took effect."""

    def is_repeatable(self, step: str) -> bool:
        """Whether the platform itself lets a step be done again."""
        del step
        return False

    # -- as a client -----------------------------------------------------------------------------------------------

    def _next(self, known: tuple[str, ...]) -> str:
        self.calls += 1
        assert self.calls < self.most_calls, "it goes round in circles"
        wanted = self.script.pop(0) if self.script else self.usual
        return wanted if wanted in known else "ok"

    async def read(self, order_id: str) -> OrderSnapshot:
        _fail_before(outcome := self._next(READ_OUTCOMES))
        if outcome == "unreadable":
            raise Unreadable("half a page", b"<html>")
        return self.snapshot()

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        outcome = self._next(CALL_OUTCOMES)
        if self.is_gone:
            raise NotFound("no such order")
        body = self.body(step, request)
        if step in self.done_by_us and self.done_by_us[step] == body:
            self.repeats.append(step)
        _fail_before(outcome)
        if outcome == "refused":
            raise Rejected("no")
        if outcome == "out_of_sequence":
            raise OutOfSequence("not now")
        self.do(step, request)
        self.effects_of_us.append(step)
        if not self.is_repeatable(step):
            self.done_by_us[step] = body
        if outcome == "cut_off":
            raise CutOff
        if outcome == "lost_after":
            raise Transient("connection lost", is_ambiguous=True)
        return self.answer(step)


@dataclass(slots=True)
class TinyPlatform(ScriptedPlatform):
    """Selldone with one order."""

    state: str = "CheckQueue"
    status: str = "Payed"
    tracking: tuple[str | None, str | None] = (None, None)

    FROM = {  # noqa: RUF012 - a constant
        "confirm": ("CheckQueue",),
        "prepare": ("OrderConfirm",),
        "set_tracking": ("PreparingOrder", "SentOrder"),
        "send": ("PreparingOrder",),
        "deliver": ("SentOrder",),
        "return_delivery": ("SentOrder",),
    }
    TO = {  # noqa: RUF012
        "confirm": "OrderConfirm",
        "prepare": "PreparingOrder",
        "send": "SentOrder",
        "deliver": "ToCustomer",
        "return_delivery": "PreparingOrder",
    }

    def snapshot(self) -> OrderSnapshot:
        if self.is_gone:
            raise NotFound("no such order")
        code, url = self.tracking
        facts = {"status": self.status, "tracking_code": code, "tracking_url": url}
        return OrderSnapshot(ORDER, None, self.state, "paid", facts, b"{}", "h", START + self.changes)

    def do(self, step: str, request: TargetRequest) -> None:
        if self.status == "Canceled" or self.state not in self.FROM[step]:
            raise OutOfSequence(f"{step} does not fit {self.state}")
        self.changes += 1
        if step == "set_tracking":
            tracking = request.tracking
            assert tracking is not None
            self.tracking = (tracking.code or self.tracking[0], tracking.url or self.tracking[1])
        else:
            self.state = self.TO[step]
        if step == "return_delivery":
            for again in ("send", "deliver", "set_tracking", "return_delivery"):
                self.done_by_us.pop(again, None)

    def body(self, step: str, request: TargetRequest) -> object:
        return request.tracking if step == "set_tracking" else None

    def answer(self, step: str) -> StepAnswer:
        return StepAnswer(self.state if step != "set_tracking" else None)

    def is_repeatable(self, step: str) -> bool:
        return step == "return_delivery"


def _fail_before(outcome: str) -> None:
    failures: dict[str, PlatformFailure] = {
        "lost_before": Transient("connection lost", is_ambiguous=True),
        "throttled": Transient("slow down", retry_after_seconds=2.0),
        "denied": AccessDenied("401"),
    }
    if outcome in failures:
        raise failures[outcome]


class _MemoryStore:
    """A store whose units run at once; dead after the process died."""

    def __init__(self) -> None:
        self.tx = memory_transaction()
        migrate(self.tx, START)
        self.is_dead = False
        self.url = "memory"
        self.on_commit: Callable[[list[Published]], None] = lambda _: None

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.run(unit)

    read = write_bulk = write_first = write

    async def change(self, change: Change) -> bool:
        return self.run(lambda tx: save_change(tx, change))

    def run(self, unit: Callable[[Transaction], T]) -> T:
        if self.is_dead:
            raise Died
        self.tx.execute("BEGIN")
        try:
            result = unit(self.tx)
        except BaseException:
            self.tx.execute("ROLLBACK")
            raise
        self.tx.execute("COMMIT")
        return result

    def close(self) -> None:
        self.tx._connection.close()


class _Checkpoints:
    is_used = True

    def __init__(self) -> None:
        self.armed: str | None = None
        self.store: _MemoryStore | None = None

    async def reach(self, point: str) -> None:
        if point == self.armed and self.store is not None:
            self.store.is_dead = True
            raise Died


P = TypeVar("P", bound=ScriptedPlatform)


class Driven(Generic[P]):
    """The order, its platform, its driver."""

    def __init__(self, platform: P, machine: PlatformMachine, *, chaining: str = "auto", attempts: int = 3) -> None:
        self.now_ms = START
        self.platform, self.machine = platform, machine
        self.store = _MemoryStore()
        self.checkpoints = _Checkpoints()
        self.checkpoints.store = self.store
        self.numbers = 0
        limits = Limits(rate_per_second=1e9, burst=10**9, concurrency=1, failures=4, cooldown_seconds=5.0)
        clock = Clock(lambda: self.now_ms, lambda: self.now_ms / 1000)
        policy = Policy(SHOP, machine.platform, chaining, 300_000, attempts, Growing(100, 1000), 5)  # type: ignore[arg-type]
        self.services = ShopServices(
            rules=Rules(machine, policy),
            client=cast("PlatformClient", self.platform),
            admission=Admission(limits, clock.monotonic),
            store=ShopStore(cast("Store", self.store), SHOP, 1),
            clock=clock,
            chance=Chance(random.Random(1)),
            checkpoints=cast("Checkpoints", self.checkpoints),
            metrics=Metrics(),
        )
        self.driver = Driver(self.services)
        self.store.run(lambda tx: acquire(tx, SHOP, machine.platform, "test"))
        self.adopt(self.platform.snapshot(), START)

    # -- looking ---------------------------------------------------------------------------------------------------

    def context(self) -> Context:
        return Context(self.machine, self.services.policy, self.now_ms)

    def row(self) -> Order:
        found = self.store.run(lambda tx: get_order(tx, SHOP, ORDER))
        assert found is not None
        return found

    def draft(self) -> Draft:
        found = self.store.run(lambda tx: Draft.load(tx, SHOP, ORDER))
        assert found is not None
        return found

    # -- doing -----------------------------------------------------------------------------------------------------

    def change(self, change: Callable[[Draft, Context], None]) -> None:
        """What a person does. Raises Refused."""

        def unit(tx: Transaction) -> None:
            draft = Draft.load(tx, SHOP, ORDER)
            assert draft is not None
            change(draft, self.context())
            draft.save(tx, self.now_ms)

        self.store.run(unit)

    def submit(self, request: TargetRequest) -> Target:
        """What the ERP asks for. Raises Refused."""
        self.numbers += 1
        wanted = Submission(f"t-{self.numbers}", SHOP, ORDER, request, None)

        def unit(tx: Transaction) -> Target:
            draft = Draft.load(tx, SHOP, ORDER)
            assert draft is not None
            return accept(tx, draft, self.context(), wanted)

        return self.store.run(unit)

    async def work(self) -> None:
        """What the worker does: drives the order when it is due and calls are admitted."""
        row = self.row()
        if row.due_at is None or row.due_at > self.now_ms or not self.services.admission.admits_calls:
            return
        await self.driver.drive(ORDER)

    def restart(self) -> None:
        """The process is there again after it died."""
        self.store.is_dead, self.checkpoints.armed = False, None
        self.now_ms += 1
        self.services.admission.reset()
        self.driver = Driver(self.services)
        self.store.run(lambda tx: recover(tx, self.context(), is_process_start=True))

    def adopt(self, snapshot: OrderSnapshot, read_at: int) -> Adopted:
        """A poll that was asked for at `read_at` shows the order."""
        return self.store.run(lambda tx: adopt(tx, self.context(), Observation(snapshot, read_at)))[1]


class DrivenOrder(Driven[TinyPlatform]):
    """An order of Selldone."""

    def __init__(self, *, chaining: str = "auto", attempts: int = 3) -> None:
        super().__init__(TinyPlatform(), MACHINE, chaining=chaining, attempts=attempts)
