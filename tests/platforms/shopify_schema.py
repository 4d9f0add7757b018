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
_MEMBER = "package/dist/data/admin_2026-10.json.gz"
MAY_SKIP = "FULFILLD_SKIP_SHOPIFY_SCHEMA"
"""Set to 1 where there is no npm: the documents are not held against the schema then."""


@cache
def admin_schema() -> GraphQLSchema:
    """API 2026-10. Fetched once and kept in the user's cache directory. Skips only if there is no npm and it may."""
    kept = Path(platformdirs.user_cache_dir("fulfilld-tests")) / f"shopify-{_VERSION}-admin_2026-10.json.gz"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None and os.environ.get(MAY_SKIP) == "1":
            pytest.skip(f"there is no npm to fetch {_PACKAGE} with, and {MAY_SKIP} is set")
        assert npm is not None, f"npm is needed to fetch Shopify's schema (or set {MAY_SKIP}=1)"
        kept.parent.mkdir(parents=True, exist_ok=True)
        _fetch(npm, kept)
    introspection = json.loads(gzip.decompress(kept.read_bytes()))["data"]
    return build_client_schema(introspection, assume_valid=True)


def _fetch(npm: str, kept: Path) -> None:
    folder = kept.parent / f"npm-{os.getpid()}"
    folder.mkdir()
    try:
        subprocess.run([npm, "pack", f"{_PACKAGE}@{_VERSION}"], cwd=folder, check=True, capture_output=True)
        with tarfile.open(next(folder.glob("*.tgz"))) as package:
            member = package.extractfile(_MEMBER)
            assert member is not None
            half = folder / "schema"
            half.write_bytes(member.read())
        half.replace(kept)
    finally:
        shutil.rmtree(folder)
