"""Traces for OpenTelemetry: one for each target, made of its events once it has ended, with a span for each call.

The events are there anyway, durable and in order, so nothing is noted while an order is driven: a trace outlives kills
and restarts, and where nobody collects traces they cost nothing. Its id follows from the target's, so that whoever has
the one finds the other.

The SDK's tracer would have spans open while a target waits for days. So spans are made when all is known, and handed to
the exporter as the SDK would.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from orchestrator import __version__
from storage.extras import install
from storage.records import Event, Json

log = structlog.get_logger()

Export = Callable[[Sequence["Span"]], bool]
"""Sends spans; False when they did not arrive. Blocks on the network."""

ENDS: Final = frozenset({"target.reached", "target.failed", "target.cancelled"})
_STEP_ENDS: Final = ("step.done", "step.failed")
_NS_IN_MS: Final = 1_000_000
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OF_STEPS: Final = ("step", "from", "to", "how", "attempt", "kind")
"""What a span has of its step's events; the platform's own words stay here, for they may name people."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was done between two instants, in Unix milliseconds. `parent` is None for the target itself; `error` says in
    one word why it failed; `events` are what happened meanwhile, with their instants."""

    trace_id: int
    id: int
    parent: int | None
    name: str
    began_at: int
    ended_at: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    error: str | None = None
    events: tuple[tuple[str, int], ...] = ()


def trace_id_of(target: str) -> str:
    """The id of a target's trace: 32 hexadecimal digits."""
    return hashlib.sha256(target.encode()).hexdigest()[:32]


def spans_of(events: Sequence[Event]) -> list[Span]:
    """The trace of a target of which these are all events, oldest first: the target itself first, then its steps."""
    first, last = events[0], events[-1]
    assert first.target is not None
    trace, root = int(trace_id_of(first.target), 16), _span_id(first.target)
    who = {"shop": first.shop or "", "order": first.order or "", "target": first.target}
    steps: list[Span] = []
    started: Event | None = None

    def end(begun: Event, ended: Event, error: str | None) -> None:
        facts = {name: ended.data.get(name, begun.data.get(name)) for name in _OF_STEPS}
        name, id_ = f"step {facts['step']}", _span_id(first.target or "", begun.cursor)
        steps.append(Span(trace, id_, root, name, begun.at, ended.at, _attributes({**who, **facts}), error))

    for event in events:
        if event.type == "step.started":
            if started is not None:  # a kill cut the call off, and it went out again
                end(started, event, "unanswered")
            started = event
        elif event.type in _STEP_ENDS:
            failed = str(event.data.get("kind")) if event.type == "step.failed" else None
            end(started or event, event, failed)  # done by hand, or found done: nothing of ours began it
            started = None
    if started is not None:
        end(started, last, "unanswered")
    status = last.type.removeprefix("target.")
    state = str(first.data.get("state", last.data.get("state", "")))
    facts = {"state": state, "milestone": last.data.get("milestone"), "status": status}
    meanwhile = tuple((event.type, event.at) for event in events if event.type.startswith("order."))
    error = status if status == "failed" else None
    name = f"target {state}"
    return [Span(trace, root, None, name, first.at, last.at, _attributes({**who, **facts}), error, meanwhile), *steps]


def _attributes(facts: Mapping[str, Json]) -> dict[str, str | int]:
    return {f"fulfilld.{name}": value for name, value in facts.items() if isinstance(value, str | int)}


def _span_id(target: str, cursor: int = 0) -> int:
    return int(hashlib.sha256(f"{target} {cursor}".encode()).hexdigest()[:16], 16) or 1


def exporter_of(environ: Mapping[str, str], node: str) -> tuple[Export, Callable[[], None]] | None:
    """What sends spans to where OpenTelemetry's own variables say, and what ends it; None where they name no place.

    What is wrong with them is logged and keeps nothing from running.
    """
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    if is_off or not any(environ.get(name) for name in _ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
    except ImportError:
        log.error("tracing.unavailable", remedy=f"{install('otel')}, or unset OTEL_EXPORTER_OTLP_ENDPOINT")
        return None
    try:
        exporter = OTLPSpanExporter()
    except Exception as error:  # noqa: BLE001 - a variable of another program's making must not stop orders
        log.error(
            "tracing.unavailable", detail=type(error).__name__, remedy="look at the variables OTEL_EXPORTER_OTLP_*"
        )
        return None
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # else each try of a call that fails is a line
    usual = {"service.name": environ.get("OTEL_SERVICE_NAME") or "fulfilld"}
    resource = Resource.create({**usual, "service.version": __version__, "service.instance.id": node})

    def export(spans: Sequence[Span]) -> bool:
        return exporter.export([_readable(span, resource) for span in spans]).name == "SUCCESS"

    return export, exporter.shutdown


def _readable(span: Span, resource: Any) -> Any:
    from opentelemetry.sdk.trace import Event as SpanEvent
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(id_: int) -> SpanContext:
        return SpanContext(span.trace_id, id_, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.id),
        parent=None if span.parent is None else context(span.parent),
        resource=resource,
        attributes={**span.attributes, **({} if span.error is None else {"error.type": span.error})},
        events=[SpanEvent(name, timestamp=at * _NS_IN_MS) for name, at in span.events],
        kind=SpanKind.INTERNAL if span.parent is None else SpanKind.CLIENT,
        status=Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR),
        start_time=span.began_at * _NS_IN_MS,
        end_time=span.ended_at * _NS_IN_MS,
    )
