"""Answers of many shops that come at the same moment: none keeps the event loop for all of them."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from multidict import CIMultiDict, CIMultiDictProxy

from orchestrator.platforms.http import Answer, read_aside

ANSWER = Answer(200, b"{}", CIMultiDictProxy(CIMultiDict[str]()))


async def test_one_is_read_in_each_turn_of_the_loop() -> None:
    turn, read_in = 0, list[int]()

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await checkpoint()

    async def read() -> None:
        await read_aside(ANSWER, lambda: read_in.append(turn))

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        async with anyio.create_task_group() as readers:
            for _ in range(20):
                readers.start_soon(read)
        group.cancel_scope.cancel()
    assert len(set(read_in)) == 20


async def test_one_that_cannot_be_read_keeps_no_other_waiting() -> None:
    def fail() -> None:
        raise ValueError("no order")

    async def refused() -> None:
        with pytest.raises(ValueError, match="no order"):
            await read_aside(ANSWER, fail)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(refused)
        assert await read_aside(ANSWER, lambda: 7) == 7
