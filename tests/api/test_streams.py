"""A stream that cannot go on is cut, so that its reader sees it; the log says whose fault that was."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from orchestrator.api.answers import stream
from storage.errors import StoreUnavailable


@pytest.mark.parametrize(
    ("error", "event", "has_traceback"),
    [
        (StoreUnavailable("reading postgresql://db/fulfilld failed"), "api.stream_ended", False),
        (ValueError("a bug"), "api.stream_failed", True),
    ],
)
async def test_a_stream_that_fails_is_cut(error: Exception, event: str, has_traceback: bool) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"first\n"
        raise error

    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream(request, "text/plain", chunks())

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestClient(TestServer(app)) as client:
        with capture_logs() as logs:
            response = await client.get("/")
            assert await response.content.readline() == b"first\n"
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
    (entry,) = [entry for entry in logs if entry["event"].startswith("api.stream")]
    assert (entry["event"], "exc_info" in entry) == (event, has_traceback)
