"""The parts of docs/configure.md that follow from the code say what the code says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from orchestrator.config.page import rewritten
from orchestrator.platforms.platform import DefaultLimits
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import BUILT_IN, PLATFORMS

PAGE = (Path(__file__).parents[2] / "docs" / "configure.md").read_text(encoding="utf-8")
SOME = next(iter(BUILT_IN))


class Login(BaseModel):
    user: Annotated[str, Field(description="Who asks")]
    password: Annotated[SecretStr | None, Field(description="A secret")] = None


class Ways(BaseModel):
    by: Annotated[Literal["road", "rail"], Field(description="How it goes")] = "road"


class Options(BaseModel):
    number: Annotated[int, Field(gt=0, description="A number | of the shop.")]
    login: Annotated[Login | None, Field(description="Left out: nobody")] = None
    ways: Annotated[Ways, Field(description="As they are")] = Ways(by="rail")
    words: Annotated[tuple[str, ...], Field(description="In sequence")] = ("ä", "b")
    notes: Annotated[dict[str, str], Field(description="By name")] = Field(default_factory=dict)
    wait_seconds: Annotated[float, Field(description="How long")] = 2.0
    is_on: Annotated[bool, Field(description="Whether")] = True
    key: Annotated[int | str | None, Field(description="Either")] = None


WRITTEN = """\
Limits by default: `concurrency` 3, `rate_per_second` 1.5, `burst` 4, `window` 60 calls in 30 seconds.

| key | type | default | meaning |
| --- | --- | --- | --- |
| `number` | whole number | required | A number \\| of the shop. |
| `login.user` | text | required in `login` | Who asks. |
| `login.password` | secret | none | A secret. |
| `ways.by` | `"road"` or `"rail"` | `"rail"` | How it goes. |
| `words` | list of text | `["ä", "b"]` | In sequence. |
| `notes` | object | `{}` | By name. |
| `wait_seconds` | number | `2` | How long. |
| `is_on` | true or false | `true` | Whether. |
| `key` | whole number or text | none | Either. |
"""


def test_the_page_is_as_make_docs_writes_it() -> None:
    assert rewritten(PAGE) == PAGE, "run `make docs`"


def test_what_the_code_says_is_written_whatever_the_page_said(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = DefaultLimits(rate_per_second=1.5, burst=4, concurrency=3, window=WindowLimit(60, 30))
    other = replace(PLATFORMS[SOME], options=Options, default_limits=limits)
    monkeypatch.setitem(PLATFORMS._loaded, SOME, other)
    page = rewritten(PAGE)
    assert f"written by `make docs` -->\n{WRITTEN}<!-- end -->\n" in page
    monkeypatch.undo()
    assert rewritten(page) == PAGE


def test_a_platform_that_the_page_does_not_have_gets_a_section() -> None:
    heading = f"### {PLATFORMS[SOME].title}\n"
    without = re.sub(rf"^{heading}.*?(?=^### )", "", PAGE, count=1, flags=re.MULTILINE | re.DOTALL)
    assert heading not in without
    page = rewritten(without)
    part = PAGE.partition(f"<!-- {SOME}:")[2].partition("<!-- end -->\n")[0]
    assert f"\n{heading}\n<!-- {SOME}:{part}<!-- end -->\n\n## Reload\n" in page
    assert rewritten(page) == page
