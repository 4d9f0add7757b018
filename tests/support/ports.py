"""Ports for listeners that come and go."""

from __future__ import annotations

import os
import random
import socket
from typing import Final

_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS: Final = list(range(20_000 + _WORKER % 32, 32_000, 32))
"""Of this process of pytest, in any order. They are below those that the system gives to connections and to listeners
that ask for any: between the choice and the listener nobody gets one by chance, and who starts again finds its own
free."""
random.Random().shuffle(_PORTS)


def free_port() -> int:
    """A port that nobody listens on, that the system gives to nobody else, and that was not given out lately."""
    while True:
        port = _PORTS.pop(0)
        _PORTS.append(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
