"""What went wrong on the way to a server, or in becoming one, in words for people who do not know aiohttp.

Whoever reads `last_error` or a problem's detail has to know where to look: at the address, the network, the
certificate or the server. Only host and port are named, never a path or a header: those may hold tokens.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl

import aiohttp

_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)
_LONGEST_REASON = 200
_QUOTED = re.compile(r"(?<!\w)b?['\"]")
_SAID: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientPayloadError, "connection lost in the middle of the answer, or it cannot be unpacked"),
    (aiohttp.InvalidURL, "the address is not valid for HTTP"),
    (aiohttp.NonHttpUrlClientError, "the address is not valid for HTTP"),
    (aiohttp.ClientConnectionError, "connection lost before the answer"),
    (aiohttp.UploadAbortedError, "connection lost before the answer"),
    (ConnectionError, "connection lost before the answer"),
    (aiohttp.ClientError, "the call failed on its way"),
    (ValueError, "the request cannot be made of what it would have to hold"),
)


def network_words(error: BaseException) -> str:
    """An error of a call over HTTP in words: no class names, no secrets of the request."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorError():
            return _of_connecting(error)
        case aiohttp.ClientResponseError():
            return f"no HTTP answer: {_of_parsing(error.message)}"
        case ssl.SSLError():
            return f"TLS failed: {_of_tls(error)}"
    for kind, words in _SAID:
        if isinstance(error, kind):
            return words
    return _of_system(error) if isinstance(error, OSError) else f"it failed in an unknown way ({type(error).__name__})"


def bind_words(host: str, port: int, error: OSError) -> str:
    """Why nobody can listen at an address, in one short sentence."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(error, socket.gaierror):
        return f"{place} cannot be listened on: {_of_name(host, error)}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{place} is in use by another program"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine"
        case errno.EACCES | errno.EPERM:
            return f"{place} may not be listened on by this user"
        case _:
            return f"{place} cannot be listened on: {_of_system(error)}"


def bind_refusal(section: str, host: str, port: int, error: OSError) -> str:
    """As `bind_words`, and which key of the config's section to change."""
    is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
    return f"{bind_words(host, port, error)}; set another {section}.{'host' if is_host else 'port'}"


def _of_connecting(error: aiohttp.ClientConnectorError) -> str:
    """Of an error before the connection stood."""
    place, cause = f"{error.host}:{error.port}", error.os_error
    match error:
        case aiohttp.ClientConnectorDNSError():
            return _of_name(error.host, cause)
        case aiohttp.ClientConnectorCertificateError():
            return f"the TLS certificate of {place} is not accepted: {_of_tls(error.certificate_error)}"
        case aiohttp.ClientConnectorSSLError():
            return f"no TLS connection to {place}: {_of_tls(cause)}"
    match cause.errno:
        case errno.ECONNREFUSED:
            return f"connection refused by {place}"
        case number if number in _NO_WAY:
            return f"no way to {place}: {_of_system(cause)}"
        case errno.ETIMEDOUT:
            return "no connection in time"
        case errno.ECONNRESET | errno.EPIPE:
            return f"{place} hung up before the connection stood"
        case _:
            return f"no connection to {place}: {_of_system(cause)}"


def _of_name(host: str, cause: OSError) -> str:
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return f"the name {host} cannot be looked up now: the name server does not answer"
    return f"the name {host} is not known"


def _of_tls(error: BaseException) -> str:
    """OpenSSL's own reason, without its file and line."""
    if message := getattr(error, "verify_message", None):
        return str(message)
    if not isinstance(reason := getattr(error, "reason", None), str):
        return "it broke off"
    return "the other side does not use TLS" if reason == "WRONG_VERSION_NUMBER" else reason.lower().replace("_", " ")


def _of_parsing(message: str) -> str:
    """The parser's words without the bytes that it quotes: they are the other side's and may be anything."""
    own = _QUOTED.split(message, maxsplit=1)[0]
    return " ".join(own.split()).rstrip(" :")[:_LONGEST_REASON] or "it cannot be read"


def _of_system(error: OSError) -> str:
    """The system's words; aiohttp puts its own, with addresses, in their place."""
    return "several addresses, none answers" if error.errno is None else os.strerror(error.errno).lower()
