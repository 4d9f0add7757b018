"""The real schema of Shopify's Admin API, out of the npm package that Shopify publishes it in."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import platformdirs
from graphql import GraphQLSchema, build_client_schema

from tests.support.skips import skip

_PACKAGE, _VERSION = "@shopify/dev-mcp", "1.16.0"
_SHA512 = "tqgRnK7sQhjew+htxtleTH23nXB5fZcsrhWgEkomsorGXvLOB2mh2upwZm8uzuTDNTZnqtLMe64yIwh6s2awtw=="
"""Of the package's file, in base64, as `npm view PACKAGE@VERSION dist.integrity` prints it."""
_MEMBER = "package/dist/data/admin_{version}.json.gz"
VERSIONS = ("2026-04", "2026-07", "2026-10")
"""Those that have every call that we make; `fulfillmentOrderReportProgress` came with the first."""
_REMEDY = "install npm (Debian: apt-get install npm), with its registry in reach"


@cache
def admin_schema(version: str = "2026-10") -> GraphQLSchema:
    """Of one API version. Fetched once and kept in the user's cache directory; without npm the test is skipped."""
    folder = Path(platformdirs.user_cache_dir("fulfilld-tests"))
    kept = folder / f"shopify-{_VERSION}-admin_{version}.json.gz"
    if not kept.exists() and (lack := _lack(folder)) is not None:
        skip(lack, _REMEDY)
    introspection = json.loads(gzip.decompress(kept.read_bytes()))["data"]
    return build_client_schema(introspection, assume_valid=True)


@cache
def _lack(folder: Path) -> str | None:
    """Fetches the schema; answers what is missing for that, None when it is there."""
    npm = shutil.which("npm")
    if npm is None:
        return f"there is no npm to fetch Shopify's schema with ({_PACKAGE})"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(npm, folder)
    except subprocess.SubprocessError:
        return f"npm cannot fetch Shopify's schema ({_PACKAGE})"
    return None


def _fetch(npm: str, kept: Path) -> None:
    """Puts every version that is wanted into the folder `kept`."""
    folder = kept / f"npm-{os.getpid()}"
    folder.mkdir()
    try:
        subprocess.run(
            [npm, "pack", f"{_PACKAGE}@{_VERSION}"], cwd=folder, check=True, capture_output=True, timeout=120
        )
        packed = next(folder.glob("*.tgz"))
        is_genuine = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() == _SHA512
        assert is_genuine, f"{_PACKAGE} {_VERSION} is not the package that it was"
        with tarfile.open(packed) as package:
            for version in VERSIONS:
                member = package.extractfile(_MEMBER.format(version=version))
                assert member is not None
                half = folder / "schema"
                half.write_bytes(member.read())
                half.replace(kept / f"shopify-{_VERSION}-admin_{version}.json.gz")
    finally:
        shutil.rmtree(folder)
