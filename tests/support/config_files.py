"""Configs for tests: the smallest good one, and a file of any tree."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.config import Config, ConfigError, load

ENVIRON = {
    "ACME_WEBHOOK_SECRET": "acme-webhook-1",
    "ERP_SECRET": "whsec_ZXJwLXNlY3JldC0xMjM0NTY3OA==",
    "FULFILLD_SECRET_KEY": "whsec_c2VjcmV0LWtleS1vZi10aGUtdGVzdHMtMTIzNDU2Nzg=",
    "ACME_TOKEN": "acme-token-1",
    "FULFILLD_TOKEN": "fulfilld-token-1",
    "METRICS_TOKEN": "metrics-token-1",
    "CS_ID": "cs-client-1",
    "CS_SECRET": "cs-client-secret-1",
    "CS_KEY": "cs-key-1",
    "XS_ID": "xs-client-1",
    "XS_SECRET": "xs-client-secret-1",
    "XS_USER": "xs-user-1",
    "XS_PASSWORD": "xs-password-1",
    "SHOPY_TOKEN": "shpat_sample-token-1",
    "SHOPY_ID": "shopy-client-1",
    "SHOPY_SECRET": "shopy-secret-1",
    "SHOPY_WEBHOOK_SECRET": "shopy-webhook-secret-1",
    "APP_ID": "app-client-1",
    "APP_SECRET": "app-secret-1",
    "SHOPY_REFRESH_TOKEN": "shprt_sample-refresh-1",
    "WOO_KEY": "ck_sample-key-1",
    "WOO_SECRET": "cs_sample-secret-1",
    "WOO_WEBHOOK_SECRET": "woo-webhook-secret-1",
}


def shop(**keys: Any) -> dict[str, Any]:
    return {"platform": "selldone", "shop_id": 1, "token": "t0ken-of-acme"} | keys


def with_shop(**keys: Any) -> dict[str, Any]:
    return {"shops": {"acme": shop(**keys)}}


def write(directory: Path, tree: Any) -> Path:
    path = directory / "fulfilld.json"
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def loaded(directory: Path, tree: Any, environ: dict[str, str] | None = None) -> Config:
    return load(write(directory, tree), ENVIRON if environ is None else environ)


def errors(directory: Path, tree: Any, environ: dict[str, str] | None = None) -> list[str]:
    """The lines of the error, none for a good config; fails when a problem takes more than one line."""
    try:
        loaded(directory, tree, environ)
    except ConfigError as error:
        found = error
    else:
        return []
    lines = [str(problem) for problem in found.errors]
    assert str(found).splitlines() == lines
    return lines


def replaced(tree: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(tree)
    node: Any = changed
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return changed


def places(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place in a config: leaves, objects, references."""
    if path:
        yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, (*path, key))
