"""The kinds of values that are more than a type: paths, addresses, modes. Messages never repeat a value."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from orchestrator.platforms.sealing import SHORTEST_KEY, Sealer
from orchestrator.platforms.secrets import Secret
from storage.engines import located

_LONGEST_SOCKET_BYTES = 107  # sun_path of Linux holds 108 with the final NUL
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
SIGNING_PREFIX = "whsec_"
"""Stands before a secret that signs deliveries, as Standard Webhooks write them."""
_LONGEST_HOST = 253
_HOST_NAME = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"


def _located(path: Path, info: ValidationInfo) -> Path:
    """A path is relative to the config file, whose directory is the validation context."""
    if path == Path() or "\0" in str(path):
        raise ValueError("must be the path of a file")
    directory: Path = info.context["directory"] if info.context else Path()
    return directory / path


def _short_enough(path: Path) -> Path:
    if len(str(path).encode()) > _LONGEST_SOCKET_BYTES:
        raise ValueError(
            f"is too long for a Unix socket with its directory - at most {_LONGEST_SOCKET_BYTES} bytes in all"
        )
    return path


def _store_url(url: str, info: ValidationInfo) -> str:
    # The URL is never repeated: one for another database may hold a password.
    return located(url, info.context["directory"] if info.context else Path())


def _mode(text: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError('must be an octal file mode such as "0660"')
    if int(text, 8) & 0o600 != 0o600:
        raise ValueError('must let its owner read and write, such as "0660"')
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address alone; no name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _loopback(host: str) -> str:
    if not is_loopback(host):
        raise ValueError('must be a loopback address such as "127.0.0.1" - put a proxy with TLS in front for others')
    return host


def _host_name(host: str) -> str:
    name = host.strip("[]").rstrip(".").lower()
    with suppress(ValueError):
        return str(ip_address(name))
    if len(name) > _LONGEST_HOST or not re.fullmatch(_HOST_NAME, name):
        raise ValueError(
            'must be a host name or address alone, such as "fulfilld.example", as browsers send it (xn--… for others '
            "than ASCII) - without https://, port and path"
        )
    return name


def is_standard_base64(text: str) -> bool:
    """Whether every library reads the same bytes of it: RFC 4648 §4 with padding, not the URL-safe alphabet."""
    return bool(text) and len(text) % 4 == 0 and _BASE64.fullmatch(text) is not None


def _read_alike(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text.startswith(SIGNING_PREFIX) and not is_standard_base64(text.removeprefix(SIGNING_PREFIX)):
        raise ValueError(
            "must be standard base64 behind whsec_, with + and / and padded with = (receivers' libraries read anything "
            "else each in its own way) - `fulfilld secret new` prints a good one"
        )
    return secret


def _http_parts(url: str, example: str, instead: str) -> SplitResult:
    """The parts of a web address without credentials in it; `instead` says where those belong."""
    try:
        parts: SplitResult | None = urlsplit(url)
        has_host = parts is not None and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # its own text would repeat the URL
        parts, has_host = None, False
    if parts is None or not has_host or parts.scheme not in ("https", "http"):
        raise ValueError(f"must be an address such as {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"must not hold a user name or password - {instead}")
    return parts


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _receiver_url(url: str) -> str:
    parts = _http_parts(url, "https://erp.example.com/orders", "deliveries are signed with the secret")
    if "#" in url or not _is_visible_ascii(url):
        raise ValueError("must be in visible ASCII, without #")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https - http will do for this machine alone")
    return url


def _base_url(url: str) -> str:
    _http_parts(url, "https://api.example.com", "credentials have keys of their own")
    if "?" in url or "#" in url or not _is_visible_ascii(url):
        raise ValueError("must be scheme, host and path in visible ASCII, without ? or #")
    return url.rstrip("/")


def public_url_of(url: str) -> str:
    """An address that platforms can send webhooks to, without a slash at its end. Raises ValueError."""
    address = _base_url(url)
    parts = urlsplit(address)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https - platforms send webhooks to nothing else (http will do for this machine)")
    return address


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?(?P<zone>[Zz]|[+-]\d{2}:\d{2})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ms(text: str) -> int:
    """An RFC 3339 date (its midnight in UTC) or instant in Unix milliseconds. Raises ValueError with what to write."""
    usual = "must be a date such as 2026-01-31 (its midnight in UTC) or an instant such as 2026-01-31T08:00:00+01:00"
    instant = _INSTANT.fullmatch(text)
    if instant is None and _DATE.fullmatch(text) is None:
        raise ValueError(usual)
    if instant is not None and instant["zone"] is None:
        raise ValueError("names no time zone - end it with Z for UTC or an offset such as +01:00")
    try:
        at = datetime.fromisoformat(text.upper())
        return ((at if instant is not None else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"is not a valid date or time - it {usual}") from None


def _sealing(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"must have at least {SHORTEST_KEY} characters - `fulfilld secret new` makes a good one")
    Sealer([key.get_secret_value()])
    return key


SealingKey = Annotated[Secret, AfterValidator(_sealing)]
"""Long enough that nobody can try."""


def _instant(text: str) -> str:
    instant_ms(text)
    return text


FilePath = Annotated[Path, AfterValidator(_located)]
SocketPath = Annotated[Path, AfterValidator(_located), AfterValidator(_short_enough)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
SocketMode = Annotated[str, AfterValidator(_mode)]
LoopbackHost = Annotated[str, AfterValidator(_loopback)]
HostName = Annotated[str, AfterValidator(_host_name)]
SigningSecret = Annotated[Secret, AfterValidator(_read_alike)]
ReceiverUrl = Annotated[str, AfterValidator(_receiver_url)]
Instant = Annotated[str, AfterValidator(_instant)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
PublicUrl = Annotated[str, AfterValidator(public_url_of)]
Port = Annotated[int, Field(ge=1, le=65535)]

Chaining = Literal["auto", "strict"]
