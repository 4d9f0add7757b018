"""What a `postgresql://` URL says, read by libpq itself, and what of it may be shown."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote, urlencode

from storage.extras import missing

SCHEME: Final = "postgresql://"

SECRETS: Final = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
"""Options that are never shown."""

_HELP: Final = "must be postgresql://USER@HOST/DATABASE (docs/configure.md); special characters of a password as %XX"

_DEFAULTS: Final[Mapping[str, str]] = {
    "connect_timeout": "5",
    # a server that is gone without a word is noticed by these: some 12 seconds
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "12000",
    # a standby would answer every read and refuse every write
    "target_session_attrs": "read-write",
}
"""What a URL that says nothing of it means."""


_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
}
_NUMBERS: Final = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_HIGHEST_PORT: Final = 65_535

_LISTEN: Final = "listen"


def options_of(url: str) -> dict[str, str]:
    """The options of a connection, libpq's names and `listen`. Raises ValueError with what to write; never repeats the
    URL."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        raise ValueError(missing("psycopg", "postgres")) from None
    if not url.startswith(SCHEME):
        raise ValueError(_HELP)
    url, own = _without_own(url)
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:  # libpq quotes the part that is wrong, which may be the password
        raise ValueError(_HELP) from None
    if not found.get("dbname"):
        raise ValueError("must name a database, such as postgresql://fulfilld@db.example/fulfilld")
    _check(found)
    return {**_DEFAULTS, "application_name": f"fulfilld {os.getpid()} {socket.gethostname()}"[:63], **found, **own}


def _check(options: Mapping[str, str]) -> None:
    """Raises ValueError for what libpq refuses only when it connects, and would for ever. It says which option and not
    its value: what stands at the place of a port may be a password without its user."""
    for name, words in _WORDS.items():
        if options.get(name, "") not in ("", *words):
            raise ValueError(f"its {name} must be one of {', '.join(words)}")
    for name in _NUMBERS:
        if name in options and not _is_number(options[name].strip().removeprefix("-")):
            raise ValueError(f"its {name} must be a whole number")
    ports = options.get("port", "").split(",")
    if not all(port == "" or (_is_number(port) and 0 < int(port) <= _HIGHEST_PORT) for port in ports):
        raise ValueError(
            f"its port must be a number from 1 to {_HIGHEST_PORT}, in postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    hosts = (options.get("hostaddr") or options.get("host", "")).split(",")
    if len(ports) not in (1, len(hosts)):
        raise ValueError("its ports must be one for all hosts, or one for each")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(_HIGHEST_PORT)) + 5


def libpq(options: Mapping[str, str]) -> dict[str, str]:
    """The options that are libpq's."""
    return {name: value for name, value in options.items() if name != _LISTEN}


def direct(options: Mapping[str, str]) -> dict[str, str]:
    """The options of a connection past a pooler: to the servers that `listen` names, where it does."""
    found = libpq(options)
    if options.get(_LISTEN):
        places = [_place(place) for place in options[_LISTEN].split(",")]
        found["host"], found["port"] = (",".join(part) for part in zip(*places, strict=True))
        found.pop("hostaddr", None)
    return found


def _without_own(url: str) -> tuple[str, dict[str, str]]:
    """A URL without what libpq does not know, and that."""
    before, mark, query = url.partition("?")
    parts = query.split("&")
    own = dict(part.split("=", 1) for part in parts if part.startswith(f"{_LISTEN}="))
    rest = "&".join(part for part in parts if not part.startswith(f"{_LISTEN}="))
    return f"{before}{mark if rest else ''}{rest}", {name: unquote(value) for name, value in own.items()}


def _place(text: str) -> tuple[str, str]:
    """The host and the port of HOST, HOST:PORT or [ADDRESS]:PORT; a port that is not named is empty."""
    host, _, port = text.rpartition(":")
    if host and port.isdigit() and (host.startswith("[") or ":" not in host):
        return host.strip("[]"), port
    return text.strip("[]"), ""


def shown(options: Mapping[str, str]) -> str:
    """The URL without user, secrets and whatever else does not say where the data is."""
    hosts, ports = options.get("host", "").split(","), options.get("port", "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    if any(host.startswith(("/", "@")) for host in hosts):  # sockets cannot stand before the database's name
        place = {name: options[name] for name in ("host", "port") if options.get(name)}
        return f"{SCHEME}/{quote(options['dbname'])}?{urlencode(place, safe='/,')}"
    where = ",".join(
        f"{_bracketed(host)}:{port}" if port else _bracketed(host) for host, port in zip(hosts, ports, strict=False)
    )
    return f"{SCHEME}{where}/{quote(options['dbname'])}"


def digest(options: Mapping[str, str]) -> str:
    """The same for the same server and database, for the name of a folder."""
    return hashlib.blake2b(shown(options).encode(), digest_size=4, person=b"fulfilld.store").hexdigest()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
