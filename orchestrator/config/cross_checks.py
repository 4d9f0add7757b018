"""What is wrong only between sections: one port for two listeners, one account under two names, one file for two uses.

Looked for in the file as it is written, not in checked sections: a secret that is missing in one of them must not hide
that its port is taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import PydanticUndefined

from orchestrator.config.model import ConfigFile
from orchestrator.config.problems import Path
from orchestrator.config.references import UNRESOLVED
from orchestrator.config.resolved import identity_of
from orchestrator.registry import PLATFORMS

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on
_LOOPBACK = "127.0.0.1"
_DEFAULT_PORTS = {"https": 443, "http": 80}

Finding = tuple[Path, str]
"""Where it is wrong, and what."""


def across(tree: Mapping[str, Any], borrowed: AbstractSet[Path]) -> Iterator[Finding]:
    """What is wrong between the sections and shops of a config whose references are resolved. `borrowed`: where a value
    came from a variable or a file, which is never shown."""
    yield from _shared_ports(tree)
    yield from _shared_accounts(tree.get("shops"), borrowed)


def shared_files(location: FilePath, file: ConfigFile) -> Iterator[Finding]:
    """Files that are written and are another one's too: a signal that writes the status must not replace the store.
    `location`: the config file itself."""
    taken = {os.path.realpath(location): "the config file"}
    if file.webhooks is not None and (tls := file.webhooks.tls) is not None:
        taken |= dict.fromkeys(map(os.path.realpath, (tls.certificate, tls.key)), "a file of webhooks.tls")
    written: list[tuple[Path, Sequence[FilePath], str]] = [
        (("storage", "url"), file.storage.engine.files, "a file of the store"),
        (("api", "socket"), [file.api.socket], "the socket of the API"),
        (("status_file",), [file.status_file], "the status file"),
    ]
    for place, paths, what in written:
        names = [os.path.realpath(path) for path in paths]
        if others := [taken[name] for name in names if name in taken]:
            yield place, f"is {others[0]} too - name another file"
        taken |= dict.fromkeys(names, what)


def _shared_ports(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Listeners at the place of another one that is named before them; `0.0.0.0` is every place."""
    api = tree.get("api")
    sections = {"api.tcp": api.get("tcp") if isinstance(api, Mapping) else None}
    sections |= {name: tree.get(name) for name in ("webhooks", "monitoring")}
    places: dict[str, tuple[Any, int]] = {}
    for name, section in sections.items():
        port = section.get("port") if isinstance(section, Mapping) else None
        if not isinstance(section, Mapping) or type(port) is not int:
            continue
        place = _plain(section.get("host", _LOOPBACK)), port
        if other := next((each for each, taken in places.items() if _overlap(taken, place)), None):
            yield (name, "port"), f"is the port of {other} too - give each its own"
        places[name] = place


def _overlap(one: tuple[Any, int], other: tuple[Any, int]) -> bool:
    (host, port), (other_host, other_port) = one, other
    is_everywhere = any(isinstance(each, str) and each in _EVERYWHERE for each in (host, other_host))
    return port == other_port and (is_everywhere or host == other_host)


def _plain(host: Any) -> Any:
    return _LOOPBACK if isinstance(host, str) and host.lower() == "localhost" else host


def _shared_accounts(shops: Any, borrowed: AbstractSet[Path]) -> Iterator[Finding]:
    """Shops that are one account: both would drive its orders, each without knowing of the other."""
    if not isinstance(shops, Mapping):
        return
    first: dict[tuple[str, ...], str] = {}
    for name, shop in shops.items():
        account = _account(shop)
        if account is None:
            continue
        known = first.setdefault(account, name)
        if known != name:
            is_shown = not any(
                path[:2] == ("shops", name) and path[2] in _naming_keys(shop) for path in borrowed if path[2:]
            )
            which = f" ({_shown(shop)})" if is_shown else ""
            message = f"is the same account as shops.{known}{which} - remove one of them: each order has one driver"
            yield ("shops", name), message


def _account(shop: Any) -> tuple[str, ...] | None:
    """What distinguishes the shop's account from all others; None where the file does not say so much."""
    named = _named(shop)
    if named is None:
        return None
    return (shop["platform"], _address(shop), *(str(value).strip().casefold() for value in named.values()))


def _named(shop: Any) -> dict[str, Any] | None:
    if not isinstance(shop, Mapping) or not isinstance(shop.get("platform"), str) or shop["platform"] not in PLATFORMS:
        return None
    spec = PLATFORMS[shop["platform"]]
    values: dict[str, Any] = {}
    for key in spec.identity:
        value = shop.get(key, spec.options.model_fields[key].default)
        if value is PydanticUndefined or value == UNRESOLVED or not isinstance(value, str | int | None):
            return None
        values[key] = value
    return values


def _naming_keys(shop: Mapping[str, Any]) -> tuple[str, ...]:
    return (*PLATFORMS[shop["platform"]].identity, "base_url")


def _base_url(shop: Mapping[str, Any]) -> str:
    given = shop.get("base_url")
    return (given if isinstance(given, str) else PLATFORMS[shop["platform"]].default_base_url or "").strip().rstrip("/")


def _address(shop: Mapping[str, Any]) -> str:
    """The address as those compare who mean the same one: without case and default port."""
    try:
        parts = urlsplit(_base_url(shop).casefold())
        port = None if parts.port == _DEFAULT_PORTS.get(parts.scheme) else parts.port
    except ValueError:
        return _base_url(shop).casefold()
    return f"{parts.scheme}://{parts.hostname or parts.path}:{port or ''}{parts.path if parts.hostname else ''}"


def _shown(shop: Mapping[str, Any]) -> str:
    return identity_of(shop["platform"], _base_url(shop), _named(shop) or {})
