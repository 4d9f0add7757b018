"""What counts in content: held against the plain reading of its rules, pattern by pattern."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.content import AMOUNTS, Apart, digest
from statemachines.numbers import decimal_of, shortest

names = st.sampled_from(["net", "lines", "order", "sku", "tax"])
leaves = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "1", "1.0", "1.00", "1e2", "x", "-0"])
contents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
patterns = st.lists(names | st.just("*"), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


def less(value: Any, path: list[str]) -> Any:
    name, *rest = path
    if isinstance(value, list) and name == "*":
        return [less(each, rest) if rest else None for each in value]
    if not isinstance(value, dict) or name not in value:
        return value
    if not rest:
        return {each: inner for each, inner in value.items() if each != name}
    return {**value, name: less(value[name], rest)}


def counted(name: str | None, value: Any) -> Any:
    if isinstance(value, dict):
        return {each: counted(each, inner) for each, inner in value.items() if inner is not None and inner != []}
    if isinstance(value, list):
        return [counted(name, each) for each in value]
    if name in AMOUNTS and isinstance(value, str) and (number := decimal_of(value)) is not None:
        return str(shortest(number))
    return value


@given(
    content=st.dictionaries(names, contents, max_size=5),
    steps=st.lists(patterns, max_size=3).map(tuple),
    beside=st.lists(patterns, max_size=2).map(tuple),
)
def test_a_digest_is_of_what_is_left_of_content_pattern_by_pattern(
    content: dict[str, Any], steps: tuple[str, ...], beside: tuple[str, ...]
) -> None:
    kept: Any = content
    for pattern in (*steps, *beside):
        kept = less(kept, pattern.split("/")[1:])
    text = json.dumps(counted(None, kept), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    expected = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    assert digest(content, Apart(steps=steps, beside=beside)) == expected
