"""One trace a target, made of its events: what the spans are, that steps of a past life are in it, and what it costs
when nobody collects: nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
import structlog.testing

from orchestrator.process import traces
from orchestrator.process.traces import Traces
from orchestrator.tracing import Span, exporter_of, spans_of, trace_id_of
from storage.extras import install
from storage.records import Event
from storage.transaction import Published
from tests.api.bench import Bench, an_order, bench

TARGET = "tgt_1"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
STEP = {"step": "confirm", "from": "a", "to": "b"}


def story(*told: tuple[int, str, dict[str, Any]]) -> list[Event]:
    """The events of a target: instant, type and data of each."""
    return [Event(n, at, type_, "acme", "7", TARGET, data) for n, (at, type_, data) in enumerate(told, 1)]


def submitted(at: int = 1000) -> tuple[int, str, dict[str, Any]]:
    return at, "target.submitted", {"state": "b", "milestone": "shipped"}


def reached(at: int) -> tuple[int, str, dict[str, Any]]:
    return at, "target.reached", {"state": "b", "milestone": "shipped", "order_state": "b"}


def test_a_target_is_a_trace_and_each_call_of_a_step_a_span_in_it() -> None:
    root, failed, done = spans_of(
        story(
            submitted(),
            (1100, "step.started", {**STEP, "attempt": 1}),
            (1150, "step.failed", {**STEP, "kind": "transient", "attempt": 1, "detail": "Ms Example is not at home"}),
            (2000, "step.started", {**STEP, "attempt": 2}),
            (2020, "step.done", {**STEP, "how": "called"}),
            reached(2020),
        )
    )
    assert f"{root.trace_id:032x}" == trace_id_of(TARGET)
    assert (root.parent, root.name, root.began_at, root.ended_at, root.error) == (None, "target b", 1000, 2020, None)
    assert root.attributes["fulfilld.status"] == "reached"
    assert {failed.trace_id, done.trace_id} == {root.trace_id}
    assert {failed.parent, done.parent} == {root.id}
    assert len({root.id, failed.id, done.id}) == 3
    assert (failed.name, failed.began_at, failed.ended_at, failed.error) == ("step confirm", 1100, 1150, "transient")
    assert (done.began_at, done.ended_at, done.error) == (2000, 2020, None)
    assert done.attributes["fulfilld.how"] == "called"
    assert done.attributes["fulfilld.attempt"] == 2
    assert "Example" not in repr((root, failed, done))


def test_a_call_that_a_kill_cut_off_is_a_span_without_an_answer() -> None:
    _, cut_off, done = spans_of(
        story(
            submitted(),
            (1100, "step.started", STEP),
            (5000, "step.started", STEP),
            (5010, "step.done", {**STEP, "how": "called"}),
            reached(5010),
        )
    )
    assert (cut_off.began_at, cut_off.ended_at, cut_off.error) == (1100, 5000, "unanswered")
    assert (done.began_at, done.error) == (5000, None)


def test_a_step_that_nobody_began_is_a_span_of_one_instant() -> None:
    _, by_hand = spans_of(story(submitted(), (1500, "step.done", {**STEP, "how": "by_hand"}), reached(1500)))
    assert (by_hand.began_at, by_hand.ended_at) == (1500, 1500)


def test_what_happened_to_the_order_meanwhile_is_on_the_target() -> None:
    (root,) = spans_of(
        story(submitted(), (1100, "order.blocked", {}), (1900, "order.released", {}), (2000, "target.failed", {}))
    )
    assert root.events == (("order.blocked", 1100), ("order.released", 1900))
    assert root.error == "failed"


@pytest.mark.parametrize(
    "environ", [{}, ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}]
)
def test_where_nobody_collects_there_is_no_exporter(environ: dict[str, str]) -> None:
    assert exporter_of(environ, "node") is None


def test_the_daemon_loads_nothing_of_it_then() -> None:
    code = (
        "import sys, orchestrator.daemon.start; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_the_log_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with structlog.testing.capture_logs() as lines:
        assert exporter_of(ENDPOINT, "node") is None
    (line,) = lines
    assert (line["event"], install("otel") in line["remedy"]) == ("tracing.unavailable", True)


async def ended(b: Bench, target: str) -> Published:
    await b.emit("target.submitted", shop="acme", order="67890", target=target, data={"state": "b"})
    cursor = await b.emit("target.reached", shop="acme", order="67890", target=target, data={"state": "b"})
    return Published(cursor, "acme", "67890", target, "target.reached")


async def test_each_target_that_ends_is_sent_with_its_own_events_alone() -> None:
    sent: list[Span] = []
    arrived = anyio.Event()

    def export(spans: Sequence[Span]) -> bool:
        sent.extend(spans)
        anyio.from_thread.run_sync(arrived.set, token=token)
        return True

    token = anyio.lowlevel.current_token()

    async with bench(an_order()) as b, anyio.create_task_group() as group:
        it = Traces(b.store, export, lambda: None)
        both = [await ended(b, "tgt_1"), await ended(b, "tgt_2")]
        group.start_soon(it.run)
        it.note(both)
        with anyio.fail_after(120):
            await arrived.wait()
        group.cancel_scope.cancel()
    by_target = {span.id: span.attributes["fulfilld.target"] for span in sent}
    assert list(by_target.values()) == ["tgt_1", "tgt_2"]


async def test_a_collector_that_takes_nothing_costs_traces_and_a_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traces, "_MOST_WAITING", 2)
    shut: list[bool] = []
    async with bench(an_order()) as b:
        it = Traces(b.store, lambda _: False, lambda: shut.append(True))
        it.note([await ended(b, f"tgt_{n}") for n in range(3)])
        with structlog.testing.capture_logs() as lines:
            async with anyio.create_task_group() as group:
                group.start_soon(it.run)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
    assert [(line["event"], line["targets"]) for line in lines] == [("tracing.lost", 3)]
    assert shut == [True]


async def test_a_collector_that_hangs_holds_up_no_end() -> None:
    """The thread that waits for it is none that the process waits for, and what it may have had is not sent again."""
    may_go_on = threading.Event()
    offered: list[bool] = []
    has_begun, has_ended, token = anyio.Event(), anyio.Event(), anyio.lowlevel.current_token()

    def hang(_: Sequence[Span]) -> bool:
        offered.append(threading.current_thread().daemon)
        anyio.from_thread.run_sync(has_begun.set, token=token)
        return may_go_on.wait(60)

    async with bench(an_order()) as b:
        it = Traces(b.store, hang, has_ended.set)
        it.note([await ended(b, "tgt_1")])
        async with anyio.create_task_group() as group:
            group.start_soon(it.run)
            with anyio.fail_after(120):
                await has_begun.wait()
            with structlog.testing.capture_logs() as lines:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await has_ended.wait()
    may_go_on.set()
    assert [(line["event"], line["targets"]) for line in lines] == [("tracing.lost", 1)]
    assert offered == [True]


async def test_what_is_under_way_at_the_end_arrives_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_LAST_SECONDS", 300.0)
    may_answer = threading.Event()
    taken: list[Span] = []
    has_taken, token = anyio.Event(), anyio.lowlevel.current_token()

    def take(spans: Sequence[Span]) -> bool:
        taken.extend(spans)
        anyio.from_thread.run_sync(has_taken.set, token=token)
        return may_answer.wait(60)

    async with bench(an_order()) as b:
        it = Traces(b.store, take, lambda: None)
        it.note([await ended(b, "tgt_1")])
        with structlog.testing.capture_logs() as lines:
            async with anyio.create_task_group() as group:
                group.start_soon(it.run)
                with anyio.fail_after(120):
                    await has_taken.wait()
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()
                may_answer.set()
    assert [span.attributes["fulfilld.target"] for span in taken] == ["tgt_1"]
    assert lines == []


async def test_a_fault_in_one_trace_is_said_and_costs_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Span] = []

    def choosy(events: list[Event]) -> list[Span]:
        if events[0].target == "tgt_1":
            raise KeyError("a trace that cannot be made")
        return spans_of(events)

    monkeypatch.setattr(traces, "spans_of", choosy)
    async with bench(an_order()) as b:
        it = Traces(b.store, _into(sent), lambda: None)
        it.note([await ended(b, f"tgt_{n}") for n in (1, 2)])
        with structlog.testing.capture_logs() as lines:
            await _run_until(it, lambda: bool(sent))
    assert {span.attributes["fulfilld.target"] for span in sent} == {"tgt_2"}
    assert [(line["event"], line["targets"], line["log_level"]) for line in lines] == [("tracing.lost", 1, "error")]


async def test_a_fault_in_sending_traces_is_said_and_the_next_ones_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Span] = []
    thread = threading.Thread

    def without_threads(**_: Any) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    async with bench(an_order()) as b:
        it = Traces(b.store, _into(sent), lambda: None)
        with structlog.testing.capture_logs() as lines:
            monkeypatch.setattr(traces, "Thread", without_threads)
            it.note([await ended(b, "tgt_1")])
            async with anyio.create_task_group() as group:
                group.start_soon(it.run)
                while not lines:  # noqa: ASYNC110 - nothing announces a line of the log
                    await anyio.sleep(0.001)
                monkeypatch.setattr(traces, "Thread", thread)
                it.note([await ended(b, "tgt_2")])
                while not sent:  # noqa: ASYNC110 - nothing announces it
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()
    assert {span.attributes["fulfilld.target"] for span in sent} == {"tgt_2"}
    assert [(line["event"], line["targets"], line["log_level"]) for line in lines] == [("tracing.lost", 1, "error")]


def _into(sent: list[Span]) -> Callable[[Sequence[Span]], bool]:
    def export(spans: Sequence[Span]) -> bool:
        sent.extend(spans)
        return True

    return export


async def _run_until(it: Traces, is_done: Callable[[], bool]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(it.run)
        while not is_done():  # noqa: ASYNC110 - nothing announces it
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
