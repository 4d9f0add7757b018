"""Named crash points: armed by the environment, gone at the right count, nothing in production."""

from __future__ import annotations

import signal

import pytest

from orchestrator.crash import POINTS, CrashPointError, CrashPoints


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals that would have killed this process."""
    sent: list[int] = []
    monkeypatch.setattr("orchestrator.crash.os.kill", lambda pid, number: sent.append(number))
    return sent


def test_the_armed_point_kills_at_its_count_and_no_other_point_does(kills: list[int]) -> None:
    points = CrashPoints("after_call:3")
    for point in POINTS:
        if point != "after_call":
            points.hit(point)
    points.hit("after_call")
    points.hit("after_call")
    assert kills == []
    points.hit("after_call")
    assert kills == [signal.SIGKILL]


@pytest.mark.parametrize("spec", ["after_intent", "after_intent:", "after_intent:1"])
def test_without_a_count_the_first_time_kills(kills: list[int], spec: str) -> None:
    CrashPoints(spec).hit("after_intent")
    assert kills == [signal.SIGKILL]


@pytest.mark.parametrize("environ", [{}, {"FULFILLD_CRASH": ""}])
def test_unarmed_points_never_kill(kills: list[int], environ: dict[str, str]) -> None:
    points = CrashPoints.from_environment(environ)
    for point in POINTS * 3:
        points.hit(point)
    assert kills == []


@pytest.mark.parametrize(
    "spec", ["after_lunch", "after_call:x", "after_call:0", "after_call:-1", "after_call:²", "a:1:2"]
)
def test_what_is_no_point_is_refused_with_the_names_that_there_are(spec: str) -> None:
    with pytest.raises(CrashPointError, match="no crash point; known are after_import, after_submit"):
        CrashPoints.from_environment({"FULFILLD_CRASH": spec})
