"""What is said on the way to a PostgreSQL server: statements, and how often somebody waits for an answer to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_NAME: Final = ".s.PGSQL.5432"
_HEAD: Final = 5
_ASKS: Final = frozenset(b"QE")
"""The first bytes of messages that have a statement done: a simple query, and `Execute`."""


@dataclass
class Said:
    """By all clients together. `round_trips`: how often a client said something after the server had."""

    statements: int = 0
    round_trips: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of_now(self) -> tuple[int, int]:
        """Statements and round trips by now."""
        with self.lock:
            return self.statements, self.round_trips


@contextmanager
def counting(folder: Path, server: Path) -> Iterator[Said]:
    """A socket in `folder` that passes on to the one in the folder `server`, and counts."""
    said = Said()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(folder / _NAME))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, server / _NAME, said), daemon=True).start()
        try:
            yield said
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, place: Path, said: Said) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_Talk(client, place, said).run, daemon=True).start()


class _Talk:
    """One connection."""

    def __init__(self, client: socket.socket, place: Path, said: Said) -> None:
        self._client, self._place, self._said = client, place, said
        self._server = socket.socket(socket.AF_UNIX)
        self._has_answered = True
        self._rest = b""  # of a message that is not complete
        self._is_new = True  # the first message has no byte that says what it is

    def run(self) -> None:
        """Until one of both ends."""
        with closing(self._client), closing(self._server), suppress(OSError):
            self._server.connect(str(self._place))
            threading.Thread(target=self._answers, daemon=True).start()
            while data := self._client.recv(1 << 20):
                self._count(data)
                self._server.sendall(data)
            self._server.shutdown(socket.SHUT_RDWR)  # closing wakes nobody who reads from it

    def _answers(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(1 << 20):
                self._has_answered = True
                self._client.sendall(data)
            self._client.shutdown(socket.SHUT_RDWR)

    def _count(self, data: bytes) -> None:
        data, asked = self._rest + data, 0
        while len(data) >= (head := _HEAD - self._is_new):
            length = int.from_bytes(data[head - 4 : head], "big") + head - 4
            if len(data) < length:
                break
            asked += not self._is_new and data[0] in _ASKS
            data, self._is_new = data[length:], False
        self._rest = data
        with self._said.lock:
            self._said.statements += asked
            if self._has_answered:
                self._said.round_trips += 1
        self._has_answered = False
