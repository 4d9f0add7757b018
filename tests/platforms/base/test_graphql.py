"""A client over GraphQL: what its answers refuse, by HTTP, by `errors`, and by saying nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from orchestrator.platforms.base.graphql import GraphQlClient, codes_of, messages_of
from orchestrator.platforms.base.options import Section
from orchestrator.platforms.base.rest import Probe
from orchestrator.platforms.client import OrderSnapshot, Page, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    PlatformFailure,
    Rejected,
    Transient,
)
from orchestrator.platforms.http import Answer
from orchestrator.platforms.platform import ClientSettings
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

Serve = Callable[[web.Request], web.Response]


class Shop(GraphQlClient):
    """The smallest client; its errors have one code that denies access."""

    async def list_page(self, position: Json, cursor: Json) -> Page:
        raise NotImplementedError

    async def read(self, order_id: str) -> OrderSnapshot:
        return await self._one(order_id, "query", {}, _snapshot)

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        made = await self._change("mutation", "ship", {"id": order_id})
        return StepAnswer(made["state"])

    async def probe(self) -> Probe:
        answer = await self._ask("list", {})
        if (failure := self.list_refusal(answer)) is not None:
            raise failure
        return Probe(answer, "all is well")

    def failure(self, codes: frozenset[str], words: str, *, is_effect: bool) -> PlatformFailure:
        if "DENIED" in codes:
            return AccessDenied(words)
        return Rejected(words) if is_effect else Transient(words, is_refused_read=True)


def _snapshot(answer: Answer) -> OrderSnapshot:
    state = json.loads(answer.body)["data"]["order"]["state"]
    return OrderSnapshot("7", None, state, "paid", {}, answer.body, "", None)


@asynccontextmanager
async def asking(serve: Serve) -> AsyncIterator[Shop]:
    """A client in front of a server that answers each document so."""

    async def handler(request: web.Request) -> web.Response:
        return serve(request)

    app = web.Application()
    app.router.add_post("/graphql", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    client = Shop(
        ClientSettings("acme", Section(), f"http://127.0.0.1:{port}"),
        URL(f"http://127.0.0.1:{port}/graphql"),
        secrets=("s3cret",),
    )
    try:
        yield client
    finally:
        await client.aclose()
        await runner.cleanup()


def saying(body: Json, status: int = 200) -> Serve:
    return lambda _: web.json_response(body, status=status)


def error(code: str | None, message: str = "no s3cret") -> dict[str, Any]:
    return {"message": message, **({"extensions": {"code": code}} if code else {})}


async def ship(client: Shop) -> StepAnswer:
    return await client.perform("ship", "7", OrderState("new", "new"), TargetRequest("shipped"))


async def test_a_query_reads_and_a_mutation_answers() -> None:
    async with asking(saying({"data": {"order": {"state": "new"}, "ship": {"state": "sent"}}})) as client:
        assert (await client.read("7")).state == "new"
        assert (await ship(client)).state == "sent"


@pytest.mark.parametrize("status", [200, 400, 403, 404])
async def test_errors_are_judged_by_their_codes_at_any_status(status: int) -> None:
    async with asking(saying({"errors": [error("WRONG")], "data": None}, status)) as client:
        with pytest.raises(Transient) as read:
            await client.read("7")
        assert (read.value.is_refused_read, read.value.detail) == (True, "no ***")
        with pytest.raises(Rejected):
            await ship(client)


@pytest.mark.parametrize("status", [200, 403])
async def test_a_code_may_deny_the_access(status: int) -> None:
    async with asking(saying({"errors": [error("DENIED")], "data": None}, status)) as client:
        for call in (client.read("7"), ship(client), client.probe()):
            with pytest.raises(AccessDenied):
                await call


async def test_a_change_that_comes_with_data_beside_its_errors_is_ambiguous() -> None:
    async with asking(saying({"errors": [error("WRONG")], "data": {"ship": {"state": "sent"}}})) as client:
        with pytest.raises(Transient) as caught:
            await ship(client)
        assert caught.value.is_ambiguous


@pytest.mark.parametrize("body", [{"data": None}, {"data": {"ship": None}}, {"data": {}}, {}, [], "fine"])
async def test_a_change_that_is_answered_by_nothing_is_ambiguous(body: Json) -> None:
    async with asking(saying(body)) as client:
        with pytest.raises(Transient) as caught:
            await ship(client)
        assert caught.value.is_ambiguous


async def test_what_another_server_refuses_of_one_order_is_no_word_of_the_platform() -> None:
    """Its JSON has no `errors`: the list is asked, and where that is served the order alone is refused."""

    def serve(_: web.Request) -> web.Response:
        return next(answers)

    page = web.json_response({"statusCode": 404, "message": "Cannot POST"}, status=404)
    answers = iter([page, web.json_response({"data": {"orders": []}})])
    async with asking(serve) as client:
        with pytest.raises(Transient) as caught:
            await client.read("7")
        assert caught.value.is_refused_read
    async with asking(saying({"statusCode": 404, "message": "Cannot POST"}, 404)) as client:
        with pytest.raises(Transient) as lost:
            await client.read("7")
        assert not lost.value.is_refused_read, "the list is refused as well: nobody knows whether the order is there"


def test_codes_and_messages_of_strange_errors() -> None:
    assert codes_of([{"extensions": {"code": "A"}}, {"extensions": 3}, "x", {}]) == {"A", ""}
    assert codes_of("x") == codes_of([]) == {""}
    assert messages_of([{"message": "a"}, 7, {"message": "b"}]) == "a; b"


async def test_a_change_that_came_with_data_is_not_denied() -> None:
    """Something of its result may not be shown; sent again with other access, it would be made again."""
    error = {"message": "not for you", "extensions": {"code": "DENIED"}}
    async with asking(saying({"data": {"ship": {"state": "sent"}}, "errors": [error]})) as client:
        with pytest.raises(Transient) as unclear:
            await client.perform("ship", "7", OrderState("new", "new", "paid", {}), TargetRequest("sent"))
        assert unclear.value.is_ambiguous
