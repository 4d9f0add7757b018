"""docs/performance.md: its figures are those of the run beside it, and what is short of its figure says why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.driving import summary
from benchmarks.goals import GOALS
from benchmarks.page import DATA, PAGE, PICTURES, SECTIONS, filled
from benchmarks.pictures import pictures

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / PAGE).read_text("utf-8")
RUNS = json.loads((DOCS / DATA).read_text("utf-8"))


def test_the_figures_are_those_of_the_run() -> None:
    assert filled(TEXT, RUNS) == TEXT, "run `make bench BENCH_ONLY=page`"


def test_the_pictures_are_those_of_the_run() -> None:
    drawn = pictures(RUNS)
    assert {path.name: path.read_text("utf-8") for path in (DOCS / PICTURES).iterdir()} == drawn
    assert set(re.findall(rf"\({PICTURES}/([\w.]+)\)", TEXT)) == set(drawn)


@pytest.mark.parametrize("name", pictures(RUNS))
def test_a_picture_is_readable_on_light_and_dark_pages(name: str) -> None:
    text = (DOCS / PICTURES / name).read_text("utf-8")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in text


def test_what_is_short_of_its_figure_says_why_and_nothing_else_does() -> None:
    values = {goal: goal.of(RUNS["now"]) for goal in GOALS}
    short = {goal.name for goal, value in values.items() if value is not None and not goal.is_met(value)}
    assert set(re.findall(r"^\* \*\*(.*?)\*\*:", TEXT, re.MULTILINE)) == short


def test_a_page_without_a_place_for_figures_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for goals"):
        filled(TEXT.replace("<!-- goals:", "<!-- other:"), RUNS)


def test_new_figures_change_nothing_but_their_places() -> None:
    text = filled(TEXT, {"now": RUNS["now"] | {"webhooks": None, "crowd": None, "parts": {}}})
    assert text != TEXT

    def outside(page: str) -> str:
        for name in SECTIONS:
            page = re.sub(rf"<!-- {name}: .*?<!-- end of {name} -->", "", page, flags=re.DOTALL)
        return page

    assert outside(text) == outside(TEXT)


@pytest.mark.parametrize("run", ["now", "before"])
def test_a_page_of_one_run_alone_can_be_written(run: str) -> None:
    assert "–" in filled(TEXT, {run: RUNS[run]})
    assert pictures({run: RUNS[run]}).keys() == pictures(RUNS).keys()


def test_a_page_of_no_run_can_be_written() -> None:
    assert "–" in filled(TEXT, {})


def test_no_path_and_no_host_is_in_the_data() -> None:
    assert not re.search(r"/tmp|/home|/work|\.db\b|://", json.dumps(RUNS))


def turn(us: float, loop_us: float = 100.0, other_us: float = 100.0, foreign: float = 0.0) -> dict[str, float]:
    return {"us": us, "loop_us": loop_us, "other_us": other_us, "foreign": foreign}


def test_a_series_is_summed_up_by_its_calm_cycles() -> None:
    calm = {"bare": turn(100), "daemon": turn(200), "peer": turn(800)}
    loud = {"bare": turn(100, foreign=0.9), "daemon": turn(10_000), "peer": turn(20_000)}
    found = summary([calm, loud, calm, loud, calm])
    assert found["calm"] == 3
    assert found["sides"]["daemon"]["share"] == 0.5
    assert found["sides"]["daemon"]["share_range"] == [0.5, 0.5]
    assert found["sides"]["daemon"]["cpu_x_bare"] == 2.0
    assert found["sides"]["peer"]["daemon_is_times"] == 4.0


def test_where_too_few_cycles_were_calm_all_of_them_count() -> None:
    cycles = [{"bare": turn(100, foreign=0.9), "daemon": turn(us)} for us in (100.0, 200.0, 400.0)]
    found = summary(cycles)
    assert found["calm"] == 0
    assert found["sides"]["daemon"]["share"] == 0.5
    assert found["sides"]["daemon"]["share_range"] == [0.25, 1.0]
