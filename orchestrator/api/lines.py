"""Bodies of one value a line (NDJSON), cut into lines while they arrive."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import StreamReader

LONGEST_LINE_BYTES = 1024 * 1024


async def lines_of(content: StreamReader) -> AsyncGenerator[list[bytes | None], None]:
    """The lines of a body as they arrive together; None stands for one that is too long. The last may lack its end."""
    buffer = bytearray()
    searched, is_skipping = 0, False
    async for chunk in content.iter_any():
        buffer += chunk
        found: list[bytes | None] = []
        begin = 0
        while (end := buffer.find(b"\n", searched)) >= 0:
            found.append(None if is_skipping or end - begin > LONGEST_LINE_BYTES else bytes(buffer[begin:end]))
            begin = searched = end + 1
            is_skipping = False
        del buffer[:begin]
        searched = len(buffer)
        if searched > LONGEST_LINE_BYTES:
            buffer.clear()
            searched, is_skipping = 0, True
        if found:
            yield found
    if is_skipping:
        yield [None]
    elif buffer:
        yield [bytes(buffer)]
