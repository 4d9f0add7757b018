"""How an extra of the package is installed where it is missing: one sentence for all who need one.

The package is installed from a clone or a wheel, in an environment that may not be the shell's. What is installed
already counts for pip, so that `fulfilld[EXTRA]` brings what the extra names and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_NAME: Final = "fulfilld"


def missing(library: str, extra: str) -> str:
    """What is said where a library of an extra is not installed."""
    return f"needs {library}, which is not installed: {install(extra)}"


def install(extra: str) -> str:
    """The command that installs an extra into the environment of this program."""
    prefix = Path(sys.prefix)
    try:
        package = distribution(_NAME)
    except PackageNotFoundError:  # running from a source tree that was not installed
        return f"{prefix}/bin/pip install '.[{extra}]'"
    if (clone := _clone_of(package)) is not None:
        pip = prefix / "bin" / "pip"
        shown = pip.relative_to(clone) if pip.is_relative_to(clone) else pip
        return f"in {clone}, {shown} install -e '.[{extra}]'"
    above = prefix.parent.parts[-2:]
    if above == ("pipx", "venvs"):
        return f"pipx inject {_NAME} {_requirements(package, extra)}"
    if above == ("uv", "tools"):  # without pip
        return f"uv pip install --python {prefix} {_requirements(package, extra)}"
    return f"{prefix}/bin/pip install '{_NAME}[{extra}]'"


def _clone_of(package: Distribution) -> Path | None:
    """The clone whose files are used as they are; None: it was copied into the environment."""
    try:
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            return None
        return Path(unquote(urlsplit(origin["url"]).path))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _requirements(package: Distribution, extra: str) -> str:
    """What an extra names, for a shell."""
    ours = re.compile(rf"""\bextra\s*==\s*(['"]){re.escape(extra)}\1""")
    found = [each.partition(";")[0].strip() for each in package.requires or () if ours.search(each)]
    return " ".join(f"'{each}'" for each in found)
