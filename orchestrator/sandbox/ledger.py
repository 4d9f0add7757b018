"""The ledger: every call that reached a simulated platform, and what it changed there.

This is the judge of the promise that nothing happens twice or out of turn, so it is kept by the platform's side and
believes nothing that a client says. A call is recorded when it has arrived whole, and again when it took effect and
when it was answered; the order of effects is the order in which they happened, not that of arrival.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from orchestrator.clock import Clock

Json: TypeAlias = Any

READS = frozenset({"read", "list"})
"""Step names of calls that change nothing."""

_ANY_BODY = object()
_OrderKey = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class Call:
    """One request to a platform. Grows while it is served, so it is not frozen.

    `n` counts from 1 in order of arrival, `at_ms` is Unix time in milliseconds. `step` is the machine's name, `read`
    or `list` for reads, `unknown` for what no platform knows. `status` is the HTTP status answered: None while the call
    is served and for ever when its connection was dropped. `took_effect`: it changed something. `in_sequence`: False
    when the platform refused it because the order was not where the step begins. `is_repeat`: the same step of the same
    order had already taken effect when this call arrived. `is_overlapping`: another step of the same order was being
    served then. `sent` is the parsed body, `agent` who says that it sent it (`User-Agent`).
    """

    n: int
    at_ms: int
    platform: str
    shop: str
    order: str | None
    step: str
    method: str
    path: str
    sent: Json = None
    status: int | None = None
    fault: str | None = None
    took_effect: bool = False
    in_sequence: bool = True
    is_repeat: bool = False
    is_overlapping: bool = False
    ended_at_ms: int | None = None
    agent: str = ""

    def to_json(self) -> dict[str, Json]:
        """The call as a JSON object (`GET /_sandbox/ledger`)."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Ledger:
    """Records calls and answers the questions that tests, the benchmark and people ask about them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: list[Call] = []
        self._by_order: dict[str, list[Call]] = {}
        self._effects: dict[str, list[Call]] = {}
        # What has taken effect and not been reopened since. The value is the body that did it where another body would
        # be no repeat (a new tracking code), else _ANY_BODY.
        self._done: dict[_OrderKey, dict[str, Json]] = {}
        self._serving: Counter[_OrderKey] = Counter()
        self._in_flight: Counter[str] = Counter()
        self._in_flight_total = 0
        self._max_by_shop: Counter[str] = Counter()
        self.max_concurrency = 0
        """Most calls that were served at the same time, over all shops."""

    # -- recording -------------------------------------------------------------------------------------------------

    def begin(
        self,
        platform: str,
        shop: str,
        order: str | None,
        step: str,
        method: str,
        path: str,
        sent: Json = None,
        agent: str = "",
    ) -> Call:
        """Records that a call has arrived."""
        n, now_ms = len(self._calls) + 1, self._clock.now_ms()
        call = Call(n, now_ms, platform, shop, order, step, method, path, sent, agent=agent)
        self._calls.append(call)
        if order is not None:
            self._by_order.setdefault(order, []).append(call)
            if step not in READS:
                key = (platform, shop, order)
                done = self._done.get(key)
                call.is_repeat = done is not None and step in done and done[step] in (_ANY_BODY, sent)
                call.is_overlapping = self._serving[key] > 0
                self._serving[key] += 1
        self._in_flight_total += 1
        self.max_concurrency = max(self.max_concurrency, self._in_flight_total)
        self._in_flight[shop] += 1
        self._max_by_shop[shop] = max(self._max_by_shop[shop], self._in_flight[shop])
        return call

    def effect(self, call: Call, *, reopens: Iterable[str] = (), is_overwrite: bool = False) -> None:
        """Records that the call has just changed something.

        `reopens`: steps that may now take effect once more (a returned order can be sent again). `is_overwrite`: the
        step with another body would be no repeat.
        """
        call.took_effect = True
        if call.order is None:
            return
        self._effects.setdefault(call.order, []).append(call)
        self.reopen(call.platform, call.shop, call.order, reopens)
        self._done.setdefault((call.platform, call.shop, call.order), {})[call.step] = (
            call.sent if is_overwrite else _ANY_BODY
        )

    def reopen(self, platform: str, shop: str, order: str, steps: Iterable[str]) -> None:
        """Makes sending `steps` of this order again legal, after a return or when a person moved the order back."""
        done = self._done.get((platform, shop, order), {})
        for step in steps:
            done.pop(step, None)

    def end(self, call: Call, status: int | None) -> None:
        """Records the answer; `status` None means that the connection was dropped without one."""
        call.status = status
        call.ended_at_ms = self._clock.now_ms()
        self._in_flight_total -= 1
        self._in_flight[call.shop] -= 1
        if call.order is not None and call.step not in READS:
            self._serving[(call.platform, call.shop, call.order)] -= 1

    # -- questions -------------------------------------------------------------------------------------------------

    def calls(self, order: str | None = None, step: str | None = None, shop: str | None = None) -> list[Call]:
        """The calls in order of arrival, narrowed by what is given."""
        found = self._calls if order is None else self._by_order.get(order, [])
        return [c for c in found if (step is None or c.step == step) and (shop is None or c.shop == shop)]

    def effects(self, order: str, shop: str | None = None) -> list[str]:
        """Names of the steps of this order that took effect, in the order in which they did."""
        return [call.step for call in self._effects.get(order, []) if shop is None or call.shop == shop]

    def repeats_after_effect(self) -> list[Call]:
        """Step calls that were sent although the same step of that order had taken effect already.

        Counted per cycle: after a return `send`, `deliver` and `set_tracking` may come once more. Only calls that
        arrived after the effect count, and `set_tracking` only with the same body.
        """
        return [call for call in self._calls if call.is_repeat]

    def out_of_sequence(self) -> list[Call]:
        """Step calls that the platform refused because the order was not where the step begins."""
        return [call for call in self._calls if not call.in_sequence]

    def overlapping(self) -> list[Call]:
        """Step calls that came while another step of the same order was still being served (reads may always come)."""
        return [call for call in self._calls if call.is_overlapping]

    def max_concurrency_of(self, shop: str) -> int:
        """Most calls of one shop (the platform's id of it) that were served at the same time."""
        return self._max_by_shop[shop]

    def summary(self) -> dict[str, Json]:
        """Counts for people and for `GET /_sandbox/summary`."""
        return {
            "calls": len(self._calls),
            "by_step": dict(Counter(call.step for call in self._calls)),
            "by_status": dict(Counter(_status_name(call) for call in self._calls)),
            "by_fault": dict(Counter(call.fault for call in self._calls if call.fault is not None)),
            "effects": sum(len(effects) for effects in self._effects.values()),
            "repeats_after_effect": len(self.repeats_after_effect()),
            "repeated_effects": sum(call.took_effect for call in self.repeats_after_effect()),
            "out_of_sequence": len(self.out_of_sequence()),
            "overlapping": len(self.overlapping()),
            "max_concurrency": self.max_concurrency,
            "max_concurrency_by_shop": dict(self._max_by_shop),
        }


def _status_name(call: Call) -> str:
    if call.status is not None:
        return str(call.status)
    return "in_flight" if call.ended_at_ms is None else "dropped"
