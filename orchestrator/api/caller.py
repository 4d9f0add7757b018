"""Who asks, for the history of what is done in bulk: on the socket the user of the process that calls, as the kernel
knows it. Over TCP it is whoever has the token, or a browser that was logged in with it."""

from __future__ import annotations

import os
import socket
import struct

import anyio.to_thread
from aiohttp import web

from orchestrator.api.access import is_local

_CREDENTIALS = struct.Struct("3i")  # process, user, group (unix(7))


async def caller(request: web.Request) -> str:
    """Who it is, in a few words."""
    if not is_local(request):
        return "token" if "Authorization" in request.headers else "page"
    user = _user_of(request)
    return "socket" if user is None else await anyio.to_thread.run_sync(_named, user)


def _user_of(request: web.Request) -> int | None:
    """The user id of the calling process; None where the system does not say."""
    number, channel = getattr(socket, "SO_PEERCRED", None), request.get_extra_info("socket")
    if number is None or channel is None:
        return None
    try:  # a copy: the transport's own lends no options
        with socket.socket(fileno=os.dup(channel.fileno())) as own:
            _, user, _ = _CREDENTIALS.unpack(own.getsockopt(socket.SOL_SOCKET, number, _CREDENTIALS.size))
    except OSError:
        return None
    return int(user)


def _named(user: int) -> str:
    """In a thread of its own: names of users may come from the network."""
    import pwd

    try:
        return f"user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"user {user}"
