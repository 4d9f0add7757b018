"""docs/performance.md: its figures are those of the run beside it, and what is short of its figure says why."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import lagged
from benchmarks.driving import figures, summary
from benchmarks.goals import GOALS
from benchmarks.machine import Cpu
from benchmarks.page import DATA, PAGE, PICTURES, SECTIONS, filled
from benchmarks.pictures import pictures
from benchmarks.sides import Turn

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


ORDERS, STEPS, AT_ONCE = 400, 4, 100


@pytest.mark.parametrize(
    "turn_of",
    [
        pytest.param(lambda order, step: STEPS * order + step, id="one order after another"),
        pytest.param(lambda order, step: ORDERS * step + order, id="the first call of all orders first"),
        pytest.param(
            lambda order, step: STEPS * AT_ONCE * (order // AT_ONCE) + AT_ONCE * step + order % AT_ONCE,
            id="a hundred at once",
        ),
    ],
)
def test_a_step_takes_as_long_in_whatever_order_the_calls_are_done(turn_of: Callable[[int, int], int]) -> None:
    began, each = 1_700_000_000_000, 2  # milliseconds
    ended = [began + each * turn_of(order, step) for order in range(ORDERS) for step in range(STEPS)]
    both_cores = Turn(Cpu(main=3.2, other=3.2), {"commits": 160})
    found = figures(ended, both_cores)
    assert found == {"us": 2000, "loop_us": 2000, "other_us": 2000, "commits_a_step": 0.1}


def test_a_slow_start_is_left_out_of_the_time_and_not_of_the_cpu() -> None:
    ended = [10_000, 20_000, *range(20_010, 20_070, 10)]
    assert figures(ended, Turn(Cpu(main=0.008))) == {"us": 10_000, "loop_us": 1_000, "other_us": 0}


def test_a_turn_within_a_millisecond_took_one() -> None:
    assert figures([5] * 4, Turn(Cpu()))["us"] == pytest.approx(1000 / 3, abs=0.001)


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


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["run"], 2), (["--config"], 2)])
def test_the_daemon_with_a_clock_says_how_it_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["lagged", *arguments])
    with pytest.raises(SystemExit) as ended:
        lagged.main()
    assert ended.value.code == code
    assert "python -m benchmarks.lagged --config" in capsys.readouterr().out
