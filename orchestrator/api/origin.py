"""Who a browser may ask for: the dashboard's own page and nobody else's.

A person who forwards the socket to a port (`ssh -L`) opens it to every page that their browser shows: such a page need
not be able to read an answer to pause a shop. A browser says where a request comes from, and no page can make it lie:

- `Origin` comes with everything but plain reads, and `Sec-Fetch-Site` with everything to an address that it trusts
  (loopback is one). A page of another origin is refused by either.
- A name that its owner lets point to loopback after the page was loaded (DNS rebinding) makes that page ours by origin.
  But the name stands in `Host`, and it is not one of ours.

Programs send neither of the first two, and as `Host` what they were given to call: `localhost`, the socket, or nothing.
On the socket many send any word (`http://unix/`): there is no name to look up. No page can come by such a name: a
dotless one belongs to nobody, and at a forwarded port a browser adds the port.
So nothing here asks who somebody is, and it stands in front of the token, which browsers keep and send by themselves.
"""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiohttp import web

from orchestrator.api.access import is_local
from orchestrator.api.problems import ApiError
from orchestrator.api.reading import shown

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]\\]+)(?::(?P<port>[0-9]{0,5}))?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<host>[^/?#]*)")
_PLACEHOLDER = re.compile(r"[A-Za-z0-9_-]{1,63}")
_SHORT_ADDRESS = re.compile(r"[0-9a-fx.]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_SITES = ("same-origin", "none")
"""What `Sec-Fetch-Site` says of our own page, and of an address that a person typed."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Under which names a browser may ask beside loopback: those of `api.hosts`, in lower case, and the socket's.

    `is_remote`: other machines ask too, by an address or a dotless name. Nobody can let either point elsewhere, so no
    page is behind them that is not served there.
    """

    hosts: frozenset[str] = frozenset()
    socket: Path | None = None
    is_remote: bool = False


DOORS: Final = web.AppKey("doors", Doors)


def check_origin(request: web.Request) -> None:
    """Raises ApiError `cross-origin` for what a page from elsewhere had its browser ask."""
    doors = request.app.get(DOORS, Doors())
    hosts = _hosts_asked(request)
    for host in hosts:
        if not _is_ours(host, doors) and not (is_local(request) and _PLACEHOLDER.fullmatch(host)):
            remedy = "ask localhost or the socket; a name under which the daemon is reached belongs into api.hosts"
            raise ApiError("cross-origin", f"{shown(host)!r} (Host) is not a name of this daemon: {remedy}")
    for site in request.headers.getall("Sec-Fetch-Site", ()):
        if site.strip().casefold() not in _OWN_SITES:
            remedy = "type the dashboard's address to open it; programs do not send this header"
            detail = f"a page of another origin asks ({shown(site)!r} in Sec-Fetch-Site): {remedy}"
            raise ApiError("cross-origin", detail)
    for origin in request.headers.getall("Origin", ()):
        if not _is_own_page(origin, hosts[0] if hosts else "", doors):
            remedy = "open the dashboard itself; if a proxy shows it under this name, add the name to api.hosts"
            raise ApiError("cross-origin", f"a page of {shown(origin)!r} asks (Origin), which is elsewhere: {remedy}")


def _hosts_asked(request: web.Request) -> list[str]:
    """Whom the request is for: first the host of an absolute request target, as proxies get it, then `Host`.

    RFC 9112 §3.2.2 has the target count and `Host` ignored; here each has to be ours.
    """
    target = _ABSOLUTE.match(request.raw_path)
    return [*([] if target is None else [target["host"]]), *request.headers.getall("Host", ())]


def _is_ours(host: str, doors: Doors) -> bool:
    if not host or _names_socket(host, doors.socket):
        return True
    name = _name_and_port(host, 80)[0]
    return is_this_machine(name) or name in doors.hosts or (doors.is_remote and _cannot_be_rebound(name))


def _is_own_page(origin: str, host: str, doors: Doors) -> bool:
    """Whether a page of this origin may ask `host`: it is the same origin, or one that the config names.

    The scheme may differ, for a proxy may end the encryption.
    """
    scheme, _, rest = origin.strip().partition("://")
    if (port := _DEFAULT_PORTS.get(scheme.casefold())) is None:
        return False
    asking = _name_and_port(rest, port)
    return bool(asking[0]) and (asking[0] in doors.hosts or asking == _name_and_port(host, port))


def _name_and_port(text: str, default: int) -> tuple[str, int]:
    """A host's name, without brackets and in lower case, with its port; an empty name for an invalid host."""
    found = _HOST.fullmatch(text.strip())
    if found is None:
        return "", 0
    name = found["name"].strip("[]").removesuffix(".").casefold()
    with suppress(ValueError):
        name = str(ip_address(name))  # an address has several spellings
    return name, int(found["port"] or default)


def is_this_machine(name: str) -> bool:
    """Whether a name or an address in any spelling (`127.1`, `::ffff:127.0.0.1`) is loopback; nothing is looked up."""
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return _is_short_for_loopback(name)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _cannot_be_rebound(name: str) -> bool:
    """Whether a name is an address, or has no dot: in the DNS, which can be made to say anything, it is nobody's."""
    with suppress(ValueError):
        return bool(ip_address(name))
    return _PLACEHOLDER.fullmatch(name) is not None


def _is_short_for_loopback(name: str) -> bool:
    """Addresses as the C library reads them, which no browser takes for names either."""
    if _SHORT_ADDRESS.fullmatch(name) is None:
        return False
    try:
        return socket.inet_aton(name)[0] == 127
    except OSError:
        return False


def _names_socket(host: str, path: Path | None) -> bool:
    return path is not None and host in (str(path), quote(str(path), safe=""), path.name)
