"""What each platform fills of the content of an order, as the pages under docs/platforms say it.

`make docs` writes it anew (`python -m orchestrator.testing.fill_table`), between the two comments that a page has. It
is found out, not written down: by reading the orders of the simulated platform, one of which went through all steps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import anyio

from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.completion import completed, leaves
from orchestrator.platforms.content_document import Price
from orchestrator.registry import BUILT_IN
from orchestrator.testing.stage import moves_of, staged

_FOLDER: Final = Path("docs") / "platforms"
BEGIN, END = "<!-- content: written by `make docs` -->\n", "<!-- end of content -->\n"
_ORDERS: Final = 40
_ANY: Final = "*"
_MEANINGS: Final = {
    "given": "given",
    "empty": "given, and null where there is none",
    "derived": "computed from what is given",
    "assumed": "given under a name that is assumed (`fields`)",
    "gap": "not given: null, and in `gaps`",
}


def table(contents: Iterable[Mapping[str, Any]], assumed: Mapping[str, str]) -> str:
    """The table, from the complete contents of a platform's orders. `assumed`: paths by member."""
    given = list(contents)
    derived = {pointer for content in given for pointer in content["derived"]}
    kinds: dict[tuple[str, ...], str] = {}
    for path in leaves():
        name = ".".join(each for each in path if each != _ANY)
        kinds[path] = "assumed" if name in assumed else _kind(given, path, derived)
    rows: dict[str, list[str]] = {meaning: [] for meaning in _MEANINGS}
    for path, kind in _gathered(kinds):
        name = ".".join(each for each in path if each != _ANY)
        rows[kind].append(f"`{name}` (`{assumed[name]}`)" if name in assumed else f"`{name}`")
    lines = [("", "members"), ("---", "---"), *((_MEANINGS[kind], ", ".join(names)) for kind, names in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines if line[1])


def _gathered(kinds: Mapping[tuple[str, ...], str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The members, an object whose members are all of one kind as one. A price is one: by the basis that it has."""
    done: set[tuple[str, ...]] = set()
    for path in kinds:
        for length in range(1, len(path) + 1):
            above = path[:length]
            inner = {each: kind for each, kind in kinds.items() if each[:length] == above}
            of_one_kind = set(inner.values())
            if {each[-1] for each in inner} == set(Price.__annotations__):
                of_one_kind = (of_one_kind - {"gap"}) or {"gap"}
            if len(of_one_kind) == 1:
                if above not in done:
                    done.add(above)
                    yield above, of_one_kind.pop()
                break


def _kind(contents: list[Mapping[str, Any]], path: tuple[str, ...], derived: set[str]) -> str:
    pointer = "".join(f"/{each}" for each in path)
    seen = [each for content in contents for each in _values(content, content, path, ())]
    if not seen:  # there was no element: what its list is
        return _kind(contents, path[: len(path) - path[::-1].index(_ANY) - 1], derived)
    values = [value for value, is_gap in seen if not is_gap]
    if not values:
        return "gap"
    if any(pointer == each or pointer.startswith(f"{each}/") for each in derived):
        return "derived"
    return "given" if len(values) == len(seen) and None not in values else "empty"


def _values(
    content: Mapping[str, Any], value: Any, path: tuple[str, ...], at: tuple[str, ...]
) -> Iterator[tuple[Any, bool]]:
    """What stands at a path, and whether it is a gap."""
    if not path or value is None:
        pointer = "".join(f"/{each}" for each in at)
        pattern = "".join(f"/{_ANY if each.isdigit() else each}" for each in at)
        yield value, value is None and (pointer in content["gaps"] or pattern in content["gaps"])
    elif path[0] == _ANY:
        for index, each in enumerate(value):
            yield from _values(content, each, path[1:], (*at, str(index)))
    else:
        yield from _values(content, value[path[0]], path[1:], (*at, path[0]))


async def fill_table(platform: str) -> str:
    """The table of one platform."""
    async with staged(platform, orders=_ORDERS) as stage:
        await stage.walk(moves_of(platform))
        snapshots: Mapping[str, OrderSnapshot] = await stage.snapshots()
        snapshots = {**snapshots, stage.order: await stage.client.read(stage.order)}
        fields = getattr(stage.options, "field_map", None)
    contents = [completed(json.loads(json.dumps(each.content))) for each in snapshots.values()]
    return table([dict(each) for each in contents], {} if fields is None else fields.paths)


def rewritten(page: str, text: str) -> str:
    """The page with its table as the code has it now."""
    before, begin, rest = page.partition(BEGIN)
    return f"{before}{begin}{text}{END}{rest.partition(END)[2]}" if begin else page


async def _write(folder: Path) -> None:
    for name in BUILT_IN:
        place = folder / f"{name}.md"
        page = place.read_text(encoding="utf-8")
        if BEGIN in page:
            place.write_text(rewritten(page, await fill_table(name)), encoding="utf-8")


if __name__ == "__main__":
    anyio.run(_write, Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER)
