"""The real schema of Shopify's Admin API, out of the npm package that Shopify publishes it in."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import platformdirs
import pytest
from graphql import GraphQLSchema, build_client_schema

_PACKAGE, _VERSION = "@shopify/dev-mcp", "1.16.0"
_MEMBER = "package/dist/data/admin_{version}.json.gz"
VERSIONS = ("2026-04", "2026-07", "2026-10")
"""Those that have every call that we make; `fulfillmentOrderReportProgress` came with the first."""
MAY_SKIP = "FULFILLD_SKIP_SHOPIFY_SCHEMA"
"""Set to 1 where there is no npm: the documents are not held against the schema then."""


@cache
def admin_schema(version: str = "2026-10") -> GraphQLSchema:
    """Of one API version. Fetched once and kept in the user's cache directory. Skips only if there is no npm and it
    may."""
    folder = Path(platformdirs.user_cache_dir("fulfilld-tests"))
    kept = folder / f"shopify-{_VERSION}-admin_{version}.json.gz"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None and os.environ.get(MAY_SKIP) == "1":
            pytest.skip(f"there is no npm to fetch {_PACKAGE} with, and {MAY_SKIP} is set")
        assert npm is not None, f"npm is needed to fetch Shopify's schema (or set {MAY_SKIP}=1)"
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(npm, folder)
    introspection = json.loads(gzip.decompress(kept.read_bytes()))["data"]
    return build_client_schema(introspection, assume_valid=True)


def _fetch(npm: str, kept: Path) -> None:
    """Puts every version that is wanted into the folder `kept`."""
    folder = kept / f"npm-{os.getpid()}"
    folder.mkdir()
    try:
        subprocess.run([npm, "pack", f"{_PACKAGE}@{_VERSION}"], cwd=folder, check=True, capture_output=True)
        with tarfile.open(next(folder.glob("*.tgz"))) as package:
            for version in VERSIONS:
                member = package.extractfile(_MEMBER.format(version=version))
                assert member is not None
                half = folder / "schema"
                half.write_bytes(member.read())
                half.replace(kept / f"shopify-{_VERSION}-admin_{version}.json.gz")
    finally:
        shutil.rmtree(folder)
