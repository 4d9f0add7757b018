"""A way to PostgreSQL that breaks at a moment that a test chooses: between a COMMIT and its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

How = Literal["no answer", "no request", "late request"]
"""What becomes of the COMMIT: the server does it and nobody hears of it; it never arrives; it arrives when the client
has long connected anew."""

REGISTRATION, LOOK_BACK = b"INSERT INTO writers", b"SELECT cursor, shop"
"""The words of whoever connects anew, and of whoever asks what was published meanwhile."""
_COMMIT = b"COMMIT"


class Way:
    """Passes on what client and server say, through a socket in `folder`."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._server = server / ".s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._next: How | None = None
        self._then: list[bytes] = []
        self.late = threading.Event()
        self.cuts = 0

    def cut(self, how: How, then: Iterable[bytes] = ()) -> None:
        """The next COMMIT meets this; behind it the answers to these words are lost as well, one after the other."""
        self._next, self._then = how, list(then)

    def accept(self) -> None:
        """Until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), closing(socket.socket(socket.AF_UNIX)) as server, suppress(OSError):
            server.connect(str(self._server))
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
            while data := client.recv(1 << 20):
                if self._next is None and self._then and self._then[0] in data:
                    del self._then[0]
                    self._meet("no answer", client, server, data)
                    break
                if self._next is None or _COMMIT not in data:
                    server.sendall(data)
                    continue
                how, self._next = self._next, None
                self.cuts += 1
                self._meet(how, client, server, data)
                break
            server.shutdown(socket.SHUT_RDWR)  # closing wakes nobody who reads from it

    def _meet(self, how: How, client: socket.socket, server: socket.socket, data: bytes) -> None:
        client.shutdown(socket.SHUT_RDWR)
        match how:
            case "no answer":
                server.sendall(data)
                self.late.wait(1)  # the server has it; what it says nobody gets
            case "late request":
                self.late.wait(30)
                server.sendall(data)
                self.late.clear()
                self.late.wait(1)
            case "no request":
                pass


def _pass_on(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while data := server.recv(1 << 20):
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)


@contextmanager
def way(folder: Path, server: Path) -> Iterator[Way]:
    """A way to the server whose socket is in `server`."""
    found = Way(folder, server)
    thread = threading.Thread(target=found.accept, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.close()
        thread.join(10)
