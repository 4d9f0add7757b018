"""What we notify systemd of: ready, stopping, still alive (sd_notify(3)). Without systemd all of it does nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(*states: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Sends states such as READY to the socket in `$NOTIFY_SOCKET`. Returns whether they were sent.

    Never raises and never blocks: that nobody listens does not stop driving orders.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    # A leading @ stands for the NUL byte of Linux' abstract name space.
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(states).encode(), target)
    except (OSError, ValueError):
        return False
    return True


def watchdog_interval_seconds(environ: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """How often to send WATCHDOG: half of what systemd allows, as sd_watchdog_enabled(3) advises.

    None when no watchdog watches this process (`pid`, by default our own).
    """
    watched = environ.get("WATCHDOG_PID")
    if watched is not None and watched != str(os.getpid() if pid is None else pid):
        return None
    allowed = environ.get("WATCHDOG_USEC", "")
    if not (allowed.isascii() and allowed.isdigit()) or int(allowed) == 0:
        return None
    return int(allowed) / 2_000_000
