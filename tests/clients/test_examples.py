"""The clients of `clients/`, each by its example: a small ERP, against the real daemon and one that misbehaves."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.clients import EXAMPLES, ROOT, ScriptedDaemon, run_example
from tests.support.ports import free_port
from tests.support.process import DaemonProcess, daemon_process

TOKEN = "token-of-the-erp"
SUBMIT, READ, ACK = (
    "POST /v1/shops/acme/orders/A%2F1/targets",
    "GET /v1/consumers/erp/events",
    "POST /v1/consumers/erp/ack",
)
OVERLOADED = (503, {"type": "overloaded", "title": "Overloaded", "status": 503, "detail": "the store fails"})
BEHIND = (409, {"type": "cursor-ahead", "title": "Ahead", "status": 409, "detail": "another feed", "newest": 9})
TARGET = {"id": "t-1", "milestone": "shipped", "status": "reached"}
IMPORTED = {"cursor": 7, "type": "order.imported", "shop": "acme", "order": "A/1", "target": None, "data": {}}
REACHED = {**IMPORTED, "cursor": 9, "type": "target.reached", "target": "t-1"}


def page(*events: Any, next_cursor: int) -> tuple[int, Any]:
    return 200, {"events": list(events), "next": next_cursor, "feed": "f-1"}


def scripted(**changes: Any) -> ScriptedDaemon:
    """A daemon with one new order that is shipped at once."""
    usual = {
        READ: [page(IMPORTED, next_cursor=8), page(REACHED, next_cursor=9)],
        SUBMIT: [(202, TARGET)],
        ACK: [(200, {"cursor": 8, "feed": "f-1"})],
        "GET /v1/targets/t-1": [(200, TARGET)],
    }
    return ScriptedDaemon({**usual, **{globals()[name.upper()]: answers for name, answers in changes.items()}})


def with_tcp(daemon: DaemonProcess) -> str:
    """Has the daemon listen on TCP as well; the URL."""
    path = daemon.folder / "config.json"
    config = json.loads(path.read_text())
    port = free_port()
    config["api"] = {**config.get("api", {}), "tcp": {"host": "127.0.0.1", "port": port, "token": TOKEN}}
    path.write_text(json.dumps(config))
    return f"http://127.0.0.1:{port}"


async def restarted(daemon: DaemonProcess) -> None:
    """Starts the daemon again when it died."""
    assert await daemon.exited() == -9
    daemon.start()


@pytest.mark.e2e
@pytest.mark.crash
@pytest.mark.parametrize("name", EXAMPLES)
async def test_orders_are_shipped_once_though_the_daemon_dies_and_all_is_sent_again(tmp_path: Path, name: str) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        url = with_tcp(daemon)
        daemon.start("after_submit:3")  # a target is durable, its answer is lost
        with anyio.fail_after(240):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(restarted, daemon)
                first = await run_example(name, 3, FULFILLD_SOCKET=str(daemon.socket))
            assert first.returncode == 0, first.stderr
            orders = sandbox.selldone.order_ids()
            assert sorted(first.stdout.decode().splitlines()) == [f"{shop} {order} reached" for order in sorted(orders)]
            await daemon.call("POST", "/v1/consumers/erp/seek", {"cursor": 0})
            again = await run_example(name, 3, FULFILLD_URL=url, FULFILLD_TOKEN=TOKEN)
            assert (again.returncode, sorted(again.stdout.splitlines())) == (0, sorted(first.stdout.splitlines()))
            _, submitted = await daemon.call("GET", "/v1/events?type=target.submitted")
            stranger = await run_example(name, 1, FULFILLD_URL=url, FULFILLD_TOKEN="wrong")
        assert len(submitted["events"]) == 2 * len(orders)
        assert [sandbox.ledger.effects(order) for order in orders] == [
            ["confirm", "prepare", "set_tracking", "send"]
        ] * 3
        assert sandbox.ledger.repeats_after_effect() == []
        assert stranger.returncode != 0
        assert b"unauthorized" in stranger.stderr + stranger.stdout
        assert TOKEN.encode() not in first.stderr + again.stderr


@pytest.mark.parametrize(
    "trouble", [OVERLOADED, "lost", "cut", (502, "a proxy's page")], ids=lambda each: str(each)[1:4]
)
@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_submission_without_an_answer_is_sent_again_with_its_key(
    tmp_path: Path, name: str, trouble: Any
) -> None:
    daemon = scripted(submit=[trouble, (202, TARGET)])
    async with daemon.listening(tmp_path / "s"):
        done = await run_example(name, 1, FULFILLD_SOCKET=str(tmp_path / "s"))
    assert (done.returncode, done.stdout) == (0, b"acme A/1 reached\n"), done.stderr
    assert daemon.sent(SUBMIT) == ["sale-acme-A/1", "sale-acme-A/1", "box-acme-A/1"]
    assert b"again in" in done.stderr, "it says so"


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_refusal_has_its_code_and_is_not_sent_again(tmp_path: Path, name: str) -> None:
    refusal = {"type": "unreachable", "title": "Unreachable", "status": 409, "detail": "it was cancelled"}
    daemon = scripted(submit=[(409, refusal)])
    async with daemon.listening(tmp_path / "s"):
        done = await run_example(name, 1, FULFILLD_SOCKET=str(tmp_path / "s"))
    assert (done.returncode, done.stdout) == (0, b"acme A/1 refused unreachable\n"), done.stderr
    assert daemon.sent(SUBMIT) == ["sale-acme-A/1"]


@pytest.mark.parametrize("name", EXAMPLES)
async def test_what_is_handled_is_acknowledged_whatever_filters_leave_out(tmp_path: Path, name: str) -> None:
    daemon = scripted(
        read=["lost", page(IMPORTED, next_cursor=8), page(REACHED, next_cursor=9)], ack=["lost", (200, {})]
    )
    async with daemon.listening(tmp_path / "s"):
        done = await run_example(name, 1, FULFILLD_SOCKET=str(tmp_path / "s"))
    assert done.returncode == 0, done.stderr
    assert [body["cursor"] for body in daemon.sent(ACK)] == [7, 7, 8], "the last event was not left for the next one"
    assert {body["feed"] for body in daemon.sent(ACK)} == {"f-1"}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_program_that_does_not_stay_ends_when_nothing_is_left(tmp_path: Path, name: str) -> None:
    daemon = scripted(read=[page(IMPORTED, next_cursor=7), page(REACHED, next_cursor=9), page(next_cursor=9)])
    async with daemon.listening(tmp_path / "s"):
        done = await run_example(name, 0, FULFILLD_SOCKET=str(tmp_path / "s"))
    assert (done.returncode, done.stdout) == (0, b"acme A/1 reached\n"), done.stderr
    assert [body["cursor"] for body in daemon.sent(ACK)] == [7, 9]


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_store_that_was_restored_meanwhile_is_read_from_where_its_cursor_is(tmp_path: Path, name: str) -> None:
    daemon = scripted(ack=[BEHIND, (200, {})])
    async with daemon.listening(tmp_path / "s"):
        done = await run_example(name, 1, FULFILLD_SOCKET=str(tmp_path / "s"))
    assert (done.returncode, done.stdout) == (0, b"acme A/1 reached\n"), done.stderr
    assert len(daemon.sent(READ)) == 2


def test_both_python_clients_have_the_same_methods() -> None:
    sys.path.insert(0, str(ROOT / "clients" / "python"))
    try:
        from fulfilld import Client
        from fulfilld_async import AsyncClient
    finally:
        sys.path.pop(0)

    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in found if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)
