"""Bodies of one value a line (NDJSON), cut into lines while they arrive.

A chunk is cut at once and not line by line: a small compressed body may be millions of blank lines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import StreamReader

LONGEST_LINE_BYTES = 1024 * 1024


async def lines_of(content: StreamReader) -> AsyncGenerator[list[bytes | None], None]:
    """The lines of a body as they arrive together; None stands for one that is too long. The last may lack its end."""
    begun, is_skipping = bytearray(), False  # the line whose end has not come
    async for chunk in content.iter_any():
        first, *following = chunk.split(b"\n")
        if not is_skipping:
            begun += first
        if following:
            last = following.pop()
            found = [None if is_skipping else _fitting(bytes(begun)), *map(_fitting, following)]
            begun, is_skipping = bytearray(last), False
            yield found
        if len(begun) > LONGEST_LINE_BYTES:
            begun, is_skipping = bytearray(), True
    if is_skipping:
        yield [None]
    elif begun:
        yield [bytes(begun)]


def _fitting(line: bytes) -> bytes | None:
    return line if len(line) <= LONGEST_LINE_BYTES else None
