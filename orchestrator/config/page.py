"""The parts of docs/configure.md that follow from the code: each platform's own keys and default limits.

`make docs` writes them anew (`python -m orchestrator.config.page`): between the two comments that a platform's section
has, and as a new section where it has none. The prose around them is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from orchestrator.config.explain import models_in
from orchestrator.platforms.platform import DefaultLimits, Platform
from orchestrator.registry import BUILT_IN, PLATFORMS

_PAGE: Final = Path("docs") / "configure.md"
_WORDS: Final = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    dict: "object",
    SecretStr: "secret",
}
_ROW_OF_PLATFORM: Final = re.compile(r"^\| `platform` \|.*$", re.MULTILINE)
_NEXT_CHAPTER: Final = "\n## Reload\n"


def rewritten(page: str) -> str:
    """The page with its generated parts as the code has them now."""
    names = either([f'`"{name}"`' for name in BUILT_IN])
    page = _ROW_OF_PLATFORM.sub(f"| `platform` | text | required | {names}. |", page)
    for name in BUILT_IN:
        begin, end = f"<!-- {name}: written by `make docs` -->\n", "<!-- end -->\n"
        block = f"{begin}{_part(PLATFORMS[name])}{end}"
        if begin in page:
            before, _, rest = page.partition(begin)
            page = f"{before}{block}{rest.partition(end)[2]}"
        else:
            page = page.replace(_NEXT_CHAPTER, f"\n### {PLATFORMS[name].title}\n\n{block}{_NEXT_CHAPTER}")
    return page


def _part(platform: Platform) -> str:
    rows = [("key", "type", "default", "meaning"), ("---",) * 4, *_rows(platform.options)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{_limits(platform.default_limits)}\n\n{table}"


def _limits(limits: DefaultLimits) -> str:
    parts = [f"`{name}` {getattr(limits, name):g}" for name in ("concurrency", "rate_per_second", "burst")]
    if limits.window is not None:
        parts.append(f"`window` {limits.window.calls} calls in {limits.window.seconds:g} seconds")
    return f"Limits by default: {', '.join(parts)}."


def _rows(
    model: type[BaseModel], prefix: str = "", shown: BaseModel | None = None, parent: str | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and meaning of each key. `shown`: the value that the section has where it is left out;
    `parent`: the section above, where it may be left out."""
    for name, field in model.model_fields.items():
        default = getattr(shown, name) if shown is not None else field.get_default(call_default_factory=True)
        if below := list(models_in(field.annotation)):
            inner = default if isinstance(default, BaseModel) else None
            above = None if field.is_required() or inner is not None else f"{prefix}{name}"
            for each in below:
                yield from _rows(each, f"{prefix}{name}.", inner, above)
            continue
        meaning = f"{(field.description or '').rstrip('.')}.".replace("|", "\\|")
        yield f"`{prefix}{name}`", _type(field.annotation), _default(field, default, parent), meaning


def _type(annotation: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return either([f'`"{each}"`' for each in arguments])
    if origin in (Union, types.UnionType):
        return either([_type(each) for each in arguments if each is not type(None)])
    if origin is tuple or origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    return _WORDS[origin or annotation]


def _default(field: FieldInfo, default: Any, parent: str | None) -> str:
    if field.is_required():
        return "required" if parent is None else f"required in `{parent}`"
    if default is None or default is PydanticUndefined:
        return "none"
    value = int(default) if isinstance(default, float) and default.is_integer() else default
    return f"`{json.dumps(to_jsonable_python(value), ensure_ascii=False)}`"


def either(words: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else _PAGE
    place.write_text(rewritten(place.read_text(encoding="utf-8")), encoding="utf-8")
