"""Faults: how calls to a simulated platform go wrong, by rate, by script, or held still until a test lets them go; and
what becomes of its webhooks, by rate.

A rate is decided by a hash of (seed, shop, order, step, how many such calls there were), not by a shared stream of
random numbers: the same call of the same order fails in every run, however the calls of different orders interleave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, TypeVar

import anyio

from orchestrator.clock import Clock
from statemachines.suggestion import hint

T = TypeVar("T")

_LONGEST_SECONDS = 600

Moment = Literal["before", "after"]
"""Before the call's effect, or after it and before its answer."""
Kind = Literal["error", "drop", "stall", "throttle", "garbage", "html", "cut_off", "empty", "answer"]

FAULTS: dict[str, tuple[Kind, Moment]] = {
    "error_before": ("error", "before"),
    "error_after": ("error", "after"),
    "drop_before": ("drop", "before"),
    "drop_after": ("drop", "after"),
    "stall_before": ("stall", "before"),
    "stall_after": ("stall", "after"),
    "throttle": ("throttle", "before"),
    "garbage": ("garbage", "after"),
    "html": ("html", "after"),
    "cut_off": ("cut_off", "after"),
    "empty": ("empty", "after"),
}
"""Every single fault: what it does and when."""

MIXED = ("error_before", "error_after", "drop_before", "drop_after", "throttle", "garbage")
"""What `mixed` spreads its rate over: all but the stalls, which would cost a client its whole time-out each."""

WEBHOOK_FAULTS = ("webhook_twice", "webhook_shuffled", "webhook_lost")
"""What may become of a webhook: it is sent twice, late (others overtake it), or never. Each is drawn for itself."""

TIMING = ("latency_seconds", "stall_seconds", "throttle_seconds")
"""What can be changed of how long things take."""

RATE_NAMES = (*FAULTS, "stall", "mixed", *WEBHOOK_FAULTS)
"""Names that a rate may be given for; `stall` is shared by stall_before and stall_after."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call. `variant` chooses among forms (500 or 502, garbage that is HTML or cut off), 0 or 1.

    `status` and `body` replace the answer of an `answer` fault, `status` also that of an `error`.
    """

    name: str
    kind: Kind
    moment: Moment
    variant: int = 0
    status: int | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Violation:
    """A call that came although its shop had to wait after a 429.

    `after_seconds`: how long after the 429 was given, `early_seconds`: how long before the wait was over.
    """

    call: int
    shop: str
    after_seconds: float
    early_seconds: float


@dataclass(slots=True, eq=False)
class HeldCall:
    """Holds the next matching call at one moment until it is released. Made by `FaultPlan.hold`."""

    moment: Moment
    step: str | None
    order: str | None
    _arrived: anyio.Event = field(default_factory=anyio.Event)
    _released: anyio.Event = field(default_factory=anyio.Event)

    async def arrived(self) -> None:
        """Waits until a matching call is held."""
        await self._arrived.wait()

    def release(self) -> None:
        """Lets the call go on; a later call passes without stopping."""
        self._released.set()

    async def wait(self) -> None:
        """The call's side: says that it is here and waits."""
        self._arrived.set()
        await self._released.wait()


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    step: str | None
    order: str | None
    times: int


@dataclass(slots=True)
class _Window:
    opened: float
    until: float


class FaultPlan:
    """Which call gets which fault. Rates may change at any time; scripted faults come before rates, and those of one
    platform in place of those of all.

    `stall_seconds`: how long a stalled answer is delayed; `throttle_seconds`: what a 429 asks a shop to wait (whole
    seconds, as Retry-After has them); `latency_seconds`: how long every answer takes. They may change at any time too.
    Raises ValueError for unknown names and rates outside 0..1.
    """

    def __init__(
        self,
        clock: Clock,
        rates: Mapping[str, float] | None = None,
        *,
        seed: int = 1,
        stall_seconds: float = 60,
        throttle_seconds: int = 1,
        latency_seconds: float = 0,
    ) -> None:
        self.stall_seconds = stall_seconds
        self.throttle_seconds = throttle_seconds
        self.latency_seconds = latency_seconds
        self._clock = clock
        self._seed = seed
        self._script: list[_Scripted] = []
        self._to_hold: list[HeldCall] = []
        self._held: list[HeldCall] = []
        self._seen: dict[tuple[str, str | None, str], int] = {}
        self._windows: dict[str, _Window] = {}
        self._violations: list[Violation] = []
        self._closing = anyio.Event()
        self._ladders: dict[str | None, list[tuple[float, str]]] = {}
        self._rates: dict[str | None, dict[str, float]] = {}
        self.set_rates(rates or {})

    # -- by rate ---------------------------------------------------------------------------------------------------

    @property
    def rates(self) -> dict[str, float]:
        """The rates in force, as they were given."""
        return self.rates_of(None)

    def rates_of(self, platform: str | None) -> dict[str, float]:
        """Those of one platform, or of all that have none of their own."""
        return dict(self._rates.get(platform, self._rates[None]))

    def set_rates(self, rates: Mapping[str, float], platform: str | None = None) -> None:
        """Replaces all rates; `{}` ends every fault by rate. `platform`: for this one alone, in place of those of all;
        None takes these back as well. Raises ValueError and changes nothing for a bad one."""
        ladder = _ladder(rates)
        if platform is None:
            self._ladders, self._rates = {}, {}
        self._ladders[platform], self._rates[platform] = ladder, dict(rates)

    def set_timing(self, timing: Mapping[str, float]) -> None:
        """Changes some of `TIMING`. Raises ValueError and changes nothing for a bad one."""
        for name, seconds in timing.items():
            if name not in TIMING:
                raise ValueError(f"unknown time {name!r}; known are {', '.join(TIMING)}")
            if (
                isinstance(seconds, bool)
                or not isinstance(seconds, int | float)
                or not 0 <= seconds <= _LONGEST_SECONDS
            ):
                raise ValueError(f"{name} must be a number of seconds from 0 to {_LONGEST_SECONDS}, not {seconds!r}")
        for name, seconds in timing.items():
            setattr(self, name, math.ceil(seconds) if name == "throttle_seconds" else seconds)

    def draw(self, shop: str, order: str | None, step: str) -> Fault | None:
        """The fault of this call, or None: scripted ones first, then by rate."""
        for scripted in self._script:
            if _fits(scripted.step, step) and _fits(scripted.order, order):
                scripted.times -= 1
                if scripted.times == 0:
                    self._script.remove(scripted)
                return scripted.fault
        if not (ladder := self._of(shop, self._ladders)):
            return None
        chance, variant = self._chance(shop, order, step)
        for threshold, name in ladder:
            if chance < threshold:
                kind, moment = FAULTS[name]
                return Fault(name, kind, moment, variant)
        return None

    def draw_webhook(self, name: str, shop: str, subject: str, topic: str) -> float | None:
        """Whether the webhook fault `name` befalls this webhook: None, or how badly, from 0 to 1."""
        rate = self._of(shop, self._rates).get(name, 0)
        if not rate:
            return None
        chance, _ = self._chance(shop, subject, f"{name} {topic}")
        return chance / rate if chance < rate else None

    def _of(self, shop: str, by_platform: Mapping[str | None, T]) -> T:
        """What is in force for a shop, which is called `platform/key`."""
        return by_platform.get(shop.partition("/")[0], by_platform[None])

    def _chance(self, shop: str, order: str | None, step: str) -> tuple[float, int]:
        """A number from 0 to 1, and 0 or 1, for this call: the same in every run."""
        key = (shop, order, step)
        count = self._seen[key] = self._seen.get(key, 0) + 1
        digest = blake2b(f"{self._seed}/{shop}/{order}/{step}/{count}".encode(), digest_size=9).digest()
        return int.from_bytes(digest[:8]) / 2**64, digest[8] & 1

    # -- by script -------------------------------------------------------------------------------------------------

    def script(
        self,
        name: str,
        *,
        step: str | None = None,
        order: str | None = None,
        times: int = 1,
        status: int | None = None,
    ) -> None:
        """The next `times` calls of `step` on `order` get the fault `name` (None: any step, any order).

        `status` overrides the HTTP status of an error. Raises ValueError for an unknown name.
        """
        if name not in FAULTS:
            raise ValueError(_unknown(name, tuple(FAULTS)))
        kind, moment = FAULTS[name]
        self._script.append(_Scripted(Fault(name, kind, moment, status=status), step, order, times))

    def script_answer(
        self,
        status: int,
        body: bytes,
        *,
        step: str | None = None,
        order: str | None = None,
        moment: Moment = "before",
        times: int = 1,
    ) -> None:
        """As `script`, with an answer of the test's own in place of the platform's, before or after the effect."""
        fault = Fault(f"answer_{moment}", "answer", moment, status=status, body=body)
        self._script.append(_Scripted(fault, step, order, times))

    def forget(self) -> None:
        """Takes back what was scripted and has not struck yet."""
        self._script.clear()

    def hold(self, *, step: str | None = None, order: str | None = None, moment: Moment = "before") -> HeldCall:
        """Stops the next matching call just before its effect, or between its effect and its answer."""
        held = HeldCall(moment, step, order)
        self._to_hold.append(held)
        return held

    # -- used by the exchange --------------------------------------------------------------------------------------

    async def wait_if_held(self, moment: Moment, order: str | None, step: str) -> None:
        """Holds this call where a test asked for that."""
        for held in self._to_hold:
            if held.moment == moment and _fits(held.step, step) and _fits(held.order, order):
                self._to_hold.remove(held)
                self._held.append(held)
                try:
                    await held.wait()
                finally:
                    self._held.remove(held)
                return

    async def stall(self) -> None:
        """Delays by `stall_seconds`, or until the sandbox closes."""
        with anyio.move_on_after(self.stall_seconds):
            await self._closing.wait()

    def open_throttle(self, shop: str) -> float:
        """Begins a wait for the whole shop; returns its seconds."""
        now = self._clock.monotonic()
        self._windows[shop] = _Window(now, now + self.throttle_seconds)
        return float(self.throttle_seconds)

    def check_throttle(self, shop: str, call: int) -> float | None:
        """Seconds that the shop still has to wait, or None. Notes the call as a violation when it has to."""
        window = self._windows.get(shop)
        if window is None:
            return None
        now = self._clock.monotonic()
        if now >= window.until:
            del self._windows[shop]
            return None
        self._violations.append(Violation(call, shop, now - window.opened, window.until - now))
        return window.until - now

    def violations(self, slack_seconds: float = 0.0) -> list[Violation]:
        """Calls that came before a shop's wait was over.

        `slack_seconds` leaves out those that came so shortly after the 429 that they were on their way already.
        """
        return [violation for violation in self._violations if violation.after_seconds > slack_seconds]

    @property
    def is_closing(self) -> bool:
        """Whether the sandbox is being stopped."""
        return self._closing.is_set()

    def open(self) -> None:
        """Serves again, after `close`."""
        self._closing = anyio.Event()

    def close(self) -> None:
        """Lets everything go that is stalled or held, so that the server can stop at once."""
        self._closing.set()
        for held in (*self._to_hold, *self._held):
            held.release()


def _fits(wanted: str | None, value: str | None) -> bool:
    return wanted is None or wanted == value


def _unknown(name: str, known: tuple[str, ...]) -> str:
    return f"unknown fault {name!r}{hint(name, known)}; known are {', '.join(known)}"


def _ladder(rates: Mapping[str, float]) -> list[tuple[float, str]]:
    """Thresholds from 0 to 1 with the fault of a call below each, after spreading `stall` and `mixed`."""
    single: dict[str, float] = dict.fromkeys(FAULTS, 0.0)
    for name, rate in rates.items():
        if name not in RATE_NAMES:
            raise ValueError(_unknown(name, RATE_NAMES))
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"the rate of fault {name!r} must be a number from 0 to 1, not {rate!r}")
        if name in WEBHOOK_FAULTS:
            continue
        parts = {"mixed": MIXED, "stall": ("stall_before", "stall_after")}.get(name, (name,))
        for part in parts:
            single[part] += rate / len(parts)
    ladder: list[tuple[float, str]] = []
    reached = 0.0
    for name, rate in single.items():
        if rate:
            reached += rate
            ladder.append((reached, name))
    if reached > 1 + 1e-9:
        raise ValueError(f"the fault rates add up to {reached:g}, more than 1")
    return ladder
