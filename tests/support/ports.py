"""Ports for listeners that come and go."""

from __future__ import annotations

import random
import socket
from typing import Final

_PORTS: Final = range(20_000, 32_000)
"""Below those that the system gives to connections and to listeners that ask for any: between the choice and the
listener nobody gets one by chance, and who starts again finds its own still free."""


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody else."""
    rng = random.Random()
    while True:
        port = rng.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
