"""Kept connections, and when one is used again.

aiohttp's pool uses a connection again as long as it stands. What came over it meanwhile waits to be read, and is taken
for the answer to the next request: a second answer to the one before, or what a proxy says before it hangs up. Each
request behind it would then get the answer of the one before, and count as done by it.
"""

from __future__ import annotations

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class CleanConnector(aiohttp.TCPConnector):
    """A pool whose connections have nothing to be read when they are used again."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """As aiohttp's."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or not protocol.should_close:
                return connection
            connection.close()
