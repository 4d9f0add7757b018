"""How payloads are compressed: nothing is lost, nothing is told, and an operator reads them with what the page says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.orders import insert_order
from storage.packing import MOST_BYTES, Damaged, Dictionary, names_of, pack, unpack
from storage.sqlite.store import open_sqlite
from tests.support.unpacked import keep_plainly

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
contents = st.none() | values.map(lambda value: json.dumps(value, ensure_ascii=False))


@given(payload=st.binary(), content=contents, other=st.none() | values)
def test_what_is_packed_comes_out_as_it_was(payload: bytes, content: str | None, other: object) -> None:
    words = names_of(json.dumps(other).encode(), content)
    dictionary = None if other is None else Dictionary(1, words)
    packed = pack(payload, content, dictionary)
    assert unpack(packed, None if dictionary is None else words) == (payload, content)


def test_another_dictionary_is_noticed() -> None:
    packed = pack(b'{"a":1}', None, Dictionary(1, b'{"a":'))
    for words in (None, b'{"b":'):
        with pytest.raises(Damaged):
            unpack(packed, words)


def test_what_was_cut_off_is_noticed() -> None:
    packed = pack(b'{"a":1}' * 50, '{"b":2}', None)
    for size in range(len(packed)):
        with pytest.raises(Damaged):
            unpack(packed[:size], None)


@pytest.mark.parametrize("value", [b"1", b'"Anna \\"name\\": true"', b'"x", {"note": "Anna"}'])
def test_names_are_taken_from_the_beginning_of_a_large_order(value: bytes) -> None:
    """A payload has megabytes at most, and is looked through while all that is to be written waits."""
    rows = b", ".join([value] * (MOST_BYTES // len(value)))
    words = names_of(b'{"first": [' + rows + b'], "last": 1}', '{"note": "Anna"}')
    assert b'"note": ' in words
    assert b'"last"' not in words
    assert b"Anna" not in words


names = st.from_regex(r"[a-z_]{1,20}", fullmatch=True)
personal = st.text(alphabet="0123456789@+ é", min_size=1)
documents = st.recursive(
    personal | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(names | personal, inner),
    max_leaves=20,
)


@given(value=st.dictionaries(names, documents), ensure_ascii=st.booleans())
def test_a_dictionary_has_names_and_marks_alone(value: object, ensure_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    assert re.fullmatch(rb'[a-z_"\[\]{},:\s]*', names_of(text.encode(), text))


@pytest.mark.parametrize("text", [b"<order id='QX'><name>QX 07</name></order>", b"QX 07, QX", b'"QX', b'{"a":"QX'])
def test_what_is_no_json_gives_no_word_of_it_away(text: bytes) -> None:
    assert b"QX" not in names_of(text, None)
    assert b"07" not in names_of(text, None)


@pytest.mark.parametrize("is_plain", [False, True])
async def test_the_pages_way_to_read_a_payload_is_one(is_plain: bool, tmp_path: Path) -> None:
    payload = json.dumps({"id": 1, "lines": [{"name": "Łódź", "price": "1.10"}] * 20}, ensure_ascii=False).encode()
    path = tmp_path / "fulfilld.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: insert_order(tx, order("7"), payload, {"note": "x"}))
        if is_plain:
            await store.write(keep_plainly)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    command = [sys.executable, "-X", "utf8", "-c", code, str(path), "acme", "7"]
    shown = await anyio.run_process(command)
    assert shown.stdout.strip() == payload
