"""Reading JSON where it stands keeps every value's own text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.json_text import Broken, member_text, members, read_value, value_end

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
LAYOUTS = st.sampled_from([{"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t"}])


def exact(value: Any) -> Any:
    """The value with every number's digits kept."""
    return json.loads(json.dumps(value), parse_float=Decimal)


@given(st.lists(VALUES), st.dictionaries(st.text(max_size=5), VALUES, max_size=4), LAYOUTS)
def test_elements_keep_their_own_text(rows: list[Any], others: dict[str, Any], layout: dict[str, Any]) -> None:
    others.pop("rows", None)
    text = json.dumps({**others, "rows": rows}, **layout)
    values, walked = members(text, "rows")
    assert values == exact(others)
    assert walked is not None
    assert [value for value, _ in walked] == exact(rows)
    assert [json.loads(own) for _, own in walked] == rows
    assert all(own in text for _, own in walked)


@given(st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4), LAYOUTS)
def test_the_text_of_a_member_is_its_own(data: dict[str, Any], layout: dict[str, Any]) -> None:
    text = json.dumps(data, **layout)
    for name, value in data.items():
        assert json.loads(member_text(text, name)) == value


@given(VALUES, LAYOUTS)
def test_brackets_alone_tell_where_a_value_ends(value: Any, layout: dict[str, Any]) -> None:
    own = json.dumps([value], **layout)
    assert value_end(f"{own}, 17]", 0) == len(own)


@given(st.text(alphabet='{}[]",:\\ 1ae\n', max_size=40))
def test_no_text_makes_trouble(text: str) -> None:
    try:
        parsed = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    except ValueError:
        parsed = None
    try:
        values, walked = members(text, "a")
    except ValueError:
        assert not isinstance(parsed, dict)
        return
    if isinstance(parsed, dict) and walked is not None:
        assert parsed["a"] == [value for value, _ in walked]
    elif isinstance(parsed, dict):
        assert values == parsed


@pytest.mark.parametrize(
    "broken",
    [
        '{"id": 1, "price": NaN}',
        '{"id": 1, "price": Infinity}',
        '{"id": 1,}',
        "{'id': 1}",
        '{"id": 1 "name": "]"}',
        "undefined",
        '{"a": "line\nbreak"}',
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep"),
    ],
)
def test_a_broken_element_takes_no_other_with_it(broken: str) -> None:
    _, walked = members('{"rows": [{"id": 1}, ' + broken + ', {"id": 3}], "total": 3}', "rows")
    assert walked is not None
    assert [walked[0][0], walked[2][0]] == [{"id": 1}, {"id": 3}]
    assert isinstance(walked[1][0], Broken)
    assert walked[1][1].strip() == broken


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a"',
        '{"a":',
        '{"a": 1',
        '{"a": 1,',
        '{"a": 1,}',
        '{"a": 1} x',
        "[1]",
        "1",
        '{"rows": [1 2]}',
        '{"rows": [{"a": "}',
    ],
)
def test_what_is_no_object_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"char"):
        members(text, "rows")


def test_nothing_may_follow_a_value() -> None:
    assert read_value(' {"a": 1}\n') == {"a": 1}
    with pytest.raises(ValueError, match="more follows"):
        read_value("{} {}")
