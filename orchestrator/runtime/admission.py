"""The shop's admission: may a call go out to the platform now? Rate, Retry-After, circuit, pause, drain in one place.

One admission serves all calls of a shop: steps, reads, lists. It is plain synchronous state owned by the event loop;
the only waiting is for the token bucket and for the meter, which counts as the platform does. While no call is admitted
nobody queues: drivers leave their order due and rest, so ten thousand orders can wait for a dead platform without a
task.

The circuit opens after `failures` consecutive transient failures. Once `cooldown_seconds` are over one call is let
through as a probe; it closes the circuit or opens it again. While the circuit is not closed failures cost no order an
attempt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from orchestrator.clock import Clock
from orchestrator.platforms.meter import Meter
from storage.records import Circuit, ShopWaitReason

_NAP_SECONDS = 0.25
_UNSURE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """A shop's limits: calls a second with a burst, calls at once, when the circuit opens and for how long."""

    rate_per_second: float
    burst: int
    concurrency: int
    failures: int
    cooldown_seconds: float


class Admission:
    """Owned by a shop worker. `on_change` is called when calls are admitted, refused or refused for another reason."""

    def __init__(
        self,
        limits: Limits,
        monotonic: Callable[[], float],
        meter: Meter | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.limits = limits
        self.meter = meter or Meter(Clock(monotonic=monotonic))
        self.meter.follow(self.throttled)
        self.circuit: Circuit = "closed"
        self.is_paused = False
        self.is_draining = False
        self._monotonic = monotonic
        self._on_change = on_change
        self._tokens = float(limits.burst)
        self._refilled_at = monotonic()
        self._failures = 0
        self._probing = False
        self._throttled_until = 0.0
        self._unsure_until = 0.0
        self._open_until = 0.0
        self._detail: str | None = None
        self._line = anyio.Lock()

    def __repr__(self) -> str:
        reason = self.reason()
        state = "open" if self.admits_calls else "closed"
        state = "paused" if self.is_paused else "draining" if self.is_draining else state
        why = "" if reason is None else f" by {reason[0]} for {reason[1]:.1f} s"
        waiting = self._line.statistics().tasks_waiting
        return f"<Admission {state}{why}: circuit {self.circuit}, {self.available:.1f} permits, {waiting} waiting>"

    # -- permits ---------------------------------------------------------------------------------------------------

    def try_acquire(self) -> bool:
        """Takes a permit if one is free at once."""
        if not self.admits_calls or self._line.locked():
            return False
        return self._seconds_to_permit() <= 0 and self._pass()

    async def acquire(self) -> bool:
        """Waits for a permit; False when no call is admitted (a caller then rests instead of waiting)."""
        if self.try_acquire():
            return True
        async with self._line:
            while self.admits_calls:
                wait = self._seconds_to_permit()
                if wait <= 0:
                    return self._pass()
                # in short naps, so that a pause or drain is noticed however low the rate is
                await anyio.sleep(min(_NAP_SECONDS, wait))
        return False

    async def throttle(self) -> None:
        """A permit for a call that a client makes inside its own: waits for the rate alone, even while none is
        admitted."""
        async with self._line:
            while (wait := self._seconds_to_permit()) > 0:
                # A long wait that the platform asks for is a failure of that call, as a 429 is.
                if self.meter.is_used_up:
                    break
                await anyio.sleep(wait)
            self._tokens -= 1
            self.meter.reserve()

    def release_unused(self) -> None:
        """Returns a permit that was not used."""
        self._tokens += 1
        self.meter.release_unused()
        self.abandoned()

    def _pass(self) -> bool:
        if self.circuit == "open":
            self._set_circuit("half_open")
        if self.circuit == "half_open":
            self._probing = True
        self._tokens -= 1
        self.meter.reserve()
        return True

    def _seconds_to_permit(self) -> float:
        """How long until there is a permit, as far as can be foretold; 0 when there is one."""
        self._refill()
        wait = (1 - self._tokens) / self.limits.rate_per_second if self._tokens < 1 else 0.0
        return max(wait, self.meter.seconds_until_free())

    def _refill(self) -> None:
        now = self._monotonic()
        self._tokens, self._refilled_at = self._tokens_at(now), now

    def _tokens_at(self, now: float) -> float:
        gained = (now - self._refilled_at) * self.limits.rate_per_second
        return min(float(self.limits.burst), self._tokens + gained)

    # -- results of calls ------------------------------------------------------------------------------------------

    def succeeded(self) -> None:
        """The platform answered, with success or a refusal."""
        self._failures = 0
        self._probing = False
        if self.circuit != "closed":
            self._detail = None
            self._set_circuit("closed")

    def failed(self, detail: str) -> bool:
        """The platform gave no usable answer; returns whether the call counts as an attempt of its order."""
        self._failures += 1
        was_closed = self.circuit == "closed"
        if self.circuit == "half_open" or (was_closed and self._failures >= self.limits.failures):
            self._probing = False
            self._open_until = self._monotonic() + self.limits.cooldown_seconds
            self._detail = detail
            self._set_circuit("open")
        return was_closed

    def throttled(self, seconds: float, detail: str) -> None:
        """The platform asked the shop to wait."""
        self._probing = False
        self._throttled_until = max(self._throttled_until, self._monotonic() + seconds)
        self._detail = detail
        self._on_change()

    def not_sent(self) -> None:
        """A call did not leave, for another node may have the shop by now: none is admitted for a moment, after which
        that is known or the next one says the same."""
        self._probing = False
        self._unsure_until = self._monotonic() + _UNSURE_SECONDS
        self._on_change()

    def abandoned(self) -> None:
        """A call was not made or was cut off: its end means nothing for the circuit."""
        if self._probing:
            self._probing = False
            self._on_change()

    def reset(self) -> None:
        """A person resumed the shop: forget the circuit and what the platform asked for."""
        self._failures = 0
        self._probing = False
        self._throttled_until = self._unsure_until = 0.0
        self._detail = None
        self.meter.forget()
        self.circuit = "closed"
        self._on_change()

    def set_paused(self, is_paused: bool) -> None:
        """Follows the shop's row."""
        if self.is_paused != is_paused:
            self.is_paused = is_paused
            self._on_change()

    def drain(self) -> None:
        """No new call goes out any more."""
        self.is_draining = True
        self._on_change()

    def restore(self, reason: str | None, seconds: float, detail: str | None, *, is_paused: bool = False) -> None:
        """After a restart: goes on waiting for the rest of a Retry-After or an open circuit. `on_change` is not
        called."""
        self.is_paused = is_paused
        if seconds <= 0 or reason is None:
            return
        self._detail = detail
        if reason == "circuit":
            self.circuit = "open"
            self._open_until = self._monotonic() + seconds
        else:
            self._throttled_until = self._monotonic() + seconds

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def admits_calls(self) -> bool:
        """Whether a call may go out, rate aside."""
        if self.is_paused or self.is_draining or self._probing:
            return False
        if self.circuit == "closed" and self._throttled_until == self._unsure_until == 0.0:
            return True  # the common case asks no clock
        return self.seconds_closed() <= 0

    @property
    def is_unsure(self) -> bool:
        """Whether a call did not leave just now, for another node may have the shop."""
        return self._unsure_until > self._monotonic()

    @property
    def is_contended(self) -> bool:
        """Whether a task waits for a permit."""
        return self._line.locked()

    @property
    def has_spare(self) -> bool:
        """Whether a call that can wait may go out: none waits for a permit, and half of what may begin at once stays
        for those that cannot."""
        if not self.admits_calls or self.circuit != "closed" or self.is_contended:
            return False
        size = self.meter.size()
        most = self.limits.burst if size is None else min(self.limits.burst, size)
        return self.available >= 1 + most // 2

    def seconds_without_spare(self) -> float:
        """How long `has_spare` certainly stays False, unless `on_change` is called: inf where nothing else ends that; 0
        where it depends on the rate alone."""
        if self.is_paused or self.is_draining or self._probing or self.circuit != "closed":
            return math.inf
        return self.seconds_closed()

    @property
    def available(self) -> float:
        """Permits at hand. Changes nothing: pages are made in other threads, which must not write over a permit that
        is taken meanwhile."""
        tokens, room = self._tokens_at(self._monotonic()), self.meter.room()
        return tokens if room is None else min(tokens, room)

    def seconds_closed(self) -> float:
        """How long a Retry-After, an open circuit or a lease in doubt still keep calls from being admitted."""
        until = max(self._throttled_until, self._unsure_until)
        if self.circuit == "open":
            until = max(until, self._open_until)
        return max(0.0, until - self._monotonic()) if until else 0.0

    def reason(self) -> tuple[ShopWaitReason, float, str] | None:
        """Why no call is admitted for a while: `retry_after` or `circuit`, the seconds left, the platform's message."""
        now = self._monotonic()
        if self._throttled_until > now:
            return "retry_after", self._throttled_until - now, self._detail or ""
        if self.circuit == "open" and self._open_until > now:
            return "circuit", self._open_until - now, self._detail or ""
        return None

    def _set_circuit(self, circuit: Circuit) -> None:
        if self.circuit != circuit:
            self.circuit = circuit
            self._on_change()
