"""Answers: JSON at once, or a stream that is written while it is made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

import structlog
from aiohttp import web

from orchestrator.operations.writing import to_json
from storage.errors import store_errors

log = structlog.get_logger()

JSON_TYPE: Final = "application/json"
NDJSON_TYPE: Final = "application/x-ndjson"
SSE_TYPE: Final = "text/event-stream"


def mark(response: web.StreamResponse) -> None:
    """Adds the headers of every answer; the framework would send its own name and version."""
    response.headers["Server"] = "fulfilld"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"


def answer(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=to_json(value), content_type=JSON_TYPE)


def json_answer(body: bytes) -> web.Response:
    """An answer whose body is JSON already."""
    return web.Response(body=body, content_type=JSON_TYPE)


def text_answer(text: str, content_type: str) -> web.Response:
    """A text answer in UTF-8."""
    return web.Response(body=text.encode("utf-8"), headers={"Content-Type": f"{content_type}; charset=utf-8"})


async def open_stream(
    request: web.Request, content_type: str, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Sends the head of a streamed answer."""
    response = web.StreamResponse(
        headers={"Content-Type": content_type, "Cache-Control": "no-store", **(headers or {})}
    )
    await response.prepare(request)
    return response


async def stream(
    request: web.Request,
    content_type: str,
    chunks: AsyncGenerator[bytes, None],
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answers with the chunks as they come. A client that goes away ends it; so does a failure, visibly cut.

    What fails before the first chunk is raised: the status is not sent yet then.
    """
    async with aclosing(chunks):
        first = await anext(chunks, b"")
        response = await open_stream(request, content_type, headers)
        if request.method == "HEAD":
            return response
        try:
            await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            pass  # nobody reads any more
        except Exception as error:  # noqa: BLE001 - supervised: the head is out, so only a cut can show it
            cut_off(request, error)
    return response


def cut_off(request: web.Request, error: Exception) -> None:
    """Ends a stream so that its reader can see that it is not complete. A store that is away is no fault of ours."""
    if (causes := store_errors(error)) is not None:
        log.warning("api.stream_ended", path=request.path, detail=str(causes[0]))
    else:
        log.error("api.stream_failed", path=request.path, exc_info=error)
    if request.transport is not None:
        request.transport.abort()
