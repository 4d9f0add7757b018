"""Notices between the processes of one store, as tests wait for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio


async def heard(notices: AsyncIterator[str], text: str, send: Callable[[], Awaitable[object]]) -> None:
    """Sends until the text is received, and nothing else: until the other one listens, notices are lost."""
    received = anyio.Event()

    async def receive() -> None:
        assert await anext(notices) == text
        received.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            while not received.is_set():
                await send()
                await anyio.sleep(0.02)
