"""aioresponses 0.7.9 made to work with aiohttp 3.14 (pnuckowski/aioresponses#289).

Two things broke: `ClientResponse` wants a `stream_writer`, and a body above the stream reader's limit stalls. A canary
test (`test_aioresponses_still_needs_the_shim`) says when this file can go. It patches `ClientSession._request`, so
neither time-outs nor the pool nor redirects are exercised: use it for headers and status mapping only.
"""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock, patch

from aiohttp import ClientResponse
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aioresponses import aioresponses

_LIMIT = 2**26


class CompatResponse(ClientResponse):
    """A response that lives without the connection it never had."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock())
        super().__init__(*args, **kwargs)


def _stream_reader(loop: Any = None) -> StreamReader:
    running = asyncio.get_running_loop()
    del loop
    return StreamReader(BaseProtocol(running), limit=_LIMIT, loop=running)


class MockedHttp(aioresponses):
    """`aioresponses` for aiohttp 3.14."""

    def start(self) -> None:
        self._readers = patch("aioresponses.core.stream_reader_factory", _stream_reader)
        self._readers.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        self._readers.stop()

    def add(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("response_class") is None:
            kwargs["response_class"] = CompatResponse
        super().add(*args, **kwargs)
