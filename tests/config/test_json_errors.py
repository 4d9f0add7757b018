"""Invalid JSON is reported in our words, whatever Python's parser says of it."""

from __future__ import annotations

import json

import pytest

from orchestrator.json_errors import explain_json


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("garbage", 0, "a value is missing here"),
        ('{"a": x}', 6, "a value is missing here"),
        ("{a: 1}", 1, "a name in double quotes is missing"),
        ('{"a" 1}', 5, "a colon is missing"),
        ('{"a": 1 2}', 8, "a comma, or a closing } or ], is missing"),
        ('{"a": 1 "b": 2}', 8, "a comma is missing in front of this"),
        ('{"a": 1}{', 8, "nothing may stand behind"),
        ('{"a": "b', 6, "this text has no closing quote"),
        ('{"a": "b\tc"}', 8, "a line break, tab or the like"),
        ('{"a": "\\x"}', 7, "a backslash"),
        ('{"a": "\\u12"}', 7, "four hexadecimal digits"),
        ('{"a": 1,}', 7, "a comma with nothing behind it"),
        ('{"a": 1, // one\n"b": 2}', 9, "a comment - JSON has none"),
        ("{'a': 1}", 1, "single quotes"),
        ('{"a": ', 6, "it ends too early"),
        ("\ufeff{}", 0, "a byte order mark"),
    ],
)
def test_what_is_not_json_is_reported_in_words_for_people(text: str, at: int, words: str) -> None:
    with pytest.raises(json.JSONDecodeError) as refused:
        json.loads(text)
    found, reported = explain_json(text, refused.value)
    assert words in reported
    assert abs(found - at) <= 1, "readers of different versions point before or behind"
    assert "Expecting" not in reported
