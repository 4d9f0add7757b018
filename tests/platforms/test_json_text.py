"""Reading JSON where it stands keeps every value's own text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.json_text import (
    Broken,
    decoded,
    encoded,
    member_text,
    members,
    outline,
    read_body,
    read_object,
    read_value,
    servable,
    storable,
    value_end,
    write_value,
)

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
LAYOUTS = st.sampled_from([{"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": "\t"}])


def exact(value: Any) -> Any:
    """The value with every number's digits kept."""
    return json.loads(json.dumps(value), parse_float=Decimal)


@given(st.lists(VALUES), st.dictionaries(TEXTS, VALUES, max_size=4), LAYOUTS)
def test_elements_keep_their_own_text(rows: list[Any], others: dict[str, Any], layout: dict[str, Any]) -> None:
    others.pop("rows", None)
    text = json.dumps({**others, "rows": rows}, **layout)
    values, walked = members(text, "rows")
    assert values == exact(others)
    assert walked is not None
    assert [value for value, _ in walked] == exact(rows)
    assert [json.loads(own) for _, own in walked] == rows
    assert all(own in text for _, own in walked)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), LAYOUTS)
def test_the_text_of_a_member_is_its_own(data: dict[str, Any], layout: dict[str, Any]) -> None:
    text = json.dumps(data, **layout)
    for name, value in data.items():
        assert json.loads(member_text(text, name)) == value


@given(VALUES, LAYOUTS)
def test_brackets_alone_show_where_a_value_ends(value: Any, layout: dict[str, Any]) -> None:
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
        '{"id": 1, "price": 1e9999999}',
        '{"id": 1, "price": -1e-9999999}',
        pytest.param('{"id": 1, "price": ' + "9" * 5000 + "}", id="digits"),
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


def test_what_no_database_takes_becomes_one_character_in_values_and_in_names() -> None:
    text = r'{"a\ud83d": ["x\uDC00y", "\u0000", "\\ud83d", "\ud83d\ude00", "\ud83d\ud83d\ude00"], "\u0000": 1}'
    expected = {"a\ufffd": ["x\ufffdy", "\ufffd", r"\ud83d", "\U0001f600", "\ufffd\U0001f600"], "\ufffd": 1}
    assert read_value(text) == expected
    assert outline(text) == expected
    walked = members(text, "a\ufffd")[1]
    assert walked is not None
    assert walked[0] == ("x\ufffdy", r'"x\uDC00y"'), "its own text is kept"


@given(VALUES, LAYOUTS)
def test_text_that_every_reader_takes_stands_as_it_is(value: Any, layout: dict[str, Any]) -> None:
    text = json.dumps(value, **layout)
    assert servable(text) == text


@given(st.text(st.characters(categories=("Cs", "Lu")), max_size=6))
def test_text_with_half_a_pair_is_served_as_unicode_and_means_what_is_stored(text: str) -> None:
    served = servable(json.dumps({text: text}))
    assert json.loads(served.encode()) == read_value(json.dumps({text: text}))
    storable(text).encode()


@given(st.binary(max_size=40))
def test_the_bytes_of_a_body_are_not_lost(body: bytes) -> None:
    assert encoded(decoded(body)) == body.removeprefix("\ufeff".encode())


@given(VALUES)
def test_a_value_is_written_to_the_digit(value: Any) -> None:
    read = exact(value)
    assert read_value(write_value(read)) == read


def test_a_member_that_is_no_json_takes_no_other_with_it() -> None:
    text = '{"errors": [], "data": {"rows": [NaN, 1]}, "cost": 1e9999999, "next": "b", "next": "a"}'
    values, rows = members(text, "none")
    assert (values, rows) == ({"errors": [], "next": "a"}, None)
    assert isinstance(outline(text)["data"], Broken)
    inner, walked = members(member_text(text, "data"), "rows")
    assert inner == {}
    assert walked is not None
    assert [value for value, _ in walked][1:] == [1]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": "\xff"}', b"NaN", b"[" * 100_000, b"\xef\xbb\xbf"])
def test_a_body_that_is_no_json_is_an_error_of_one_kind(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_body(body)


def test_a_small_answer_is_taken_in_spite_of_its_bytes() -> None:
    assert read_object(b'\xef\xbb\xbf{"token": "a", "note": "\xff\\ud83d"}') == {"token": "a", "note": "\ufffd\ufffd"}
    assert read_object(b"[1]") is None
    assert read_object(b"<html>") is None
