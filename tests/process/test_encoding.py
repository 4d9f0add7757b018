"""Files of people are read whatever their editor or shell made of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.encoding import text_of, utf8_lines
from tests.support.config_files import ENVIRON, shop

TEXT = '{"a": "żółw 📦"}\r\n\r\n{"b": 1}\n{"c": "bez końca"}'
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_is_read_without_its_mark(encoding: str) -> None:
    assert text_of(TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize("text", [TEXT, "", "\n", "\n\n\n\n\n", "{}", "{}\n", '{"a"}\n\n', "x" * 200_000 + "\n{}"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lines_come_out_in_utf8_with_their_numbers(encoding: str, text: str) -> None:
    lines = list(utf8_lines(io.BytesIO(text.encode(encoding))))
    assert b"".join(lines).decode() == text
    assert lines == io.BytesIO(text.encode()).readlines()


def test_a_text_that_is_not_what_it_begins_as_is_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        list(utf8_lines(io.BytesIO(b"\xff\xfe{\x00}\x00\n")))


def test_lines_of_no_encoding_at_all_are_left_to_whoever_takes_them() -> None:
    assert list(utf8_lines(io.BytesIO(b'{"a": "\xff"}\n{}'))) == [b'{"a": "\xff"}\n', b"{}"]


def load_bytes(directory: Path, raw: bytes) -> Any:
    from orchestrator.config import load

    path = directory / "fulfilld.json"
    path.write_bytes(raw)
    return load(path, ENVIRON)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_config_is_read_in_any_of_them_with_the_line_ends_of_windows(tmp_path: Path, encoding: str) -> None:
    tree = {"shops": {"acme": shop()}, "status_file": "żółw.json"}
    text = "// a comment, ż\n" + json.dumps(tree, indent=2, ensure_ascii=False)
    made = load_bytes(tmp_path, text.replace("\n", "\r\n").encode(encoding))
    assert (list(made.shops), made.status_file.name) == (["acme"], "żółw.json")


@pytest.mark.parametrize("raw", [b'{"log": {"level": "\xff"}}', "{}".encode("utf-16") + b"\n"])
def test_a_config_that_is_no_text_is_refused_in_words(tmp_path: Path, raw: bytes) -> None:
    from orchestrator.config import ConfigError

    with pytest.raises(ConfigError) as refused:
        load_bytes(tmp_path, raw)
    (problem,) = refused.value.errors
    assert "save it as UTF-8" in problem.message


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_from_a_file_has_neither_mark_nor_line_end(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "token").write_bytes("t0ken-of-acme\r\n".encode(encoding))
    tree = {"shops": {"acme": shop(token={"file": "token"})}}
    made = load_bytes(tmp_path, json.dumps(tree).encode())
    assert "t0ken-of-acme" in made.secret_values()
