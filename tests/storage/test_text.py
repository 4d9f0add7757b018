"""JSON columns, also such as somebody else wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.text import dump_json, load_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_was_written_is_read(value: Any) -> None:
    assert load_json(dump_json(value)) == value


@given(values)
def test_white_space_is_read_over(value: Any) -> None:
    assert load_json(f" \n{json.dumps(value, indent=1)}\t ") == value


@pytest.mark.parametrize("text", ["", " ", "{", "{}x", '{"a":1}{', "[1,]", "\ufffd{}", "\ufeff{}", "nul"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        load_json(text)
