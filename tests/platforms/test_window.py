"""No stretch of a minute has more calls than the platform takes, as the platform counts them."""

from __future__ import annotations

import fcntl
import math
import os
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.platforms.window import Window, WindowLimit
from tests.support.stopwatch import Stopwatch

CALLS, SECONDS = 80, 60.0
LONGEST = 30.0


_opened: list[Window] = []


@pytest.fixture(autouse=True)
def no_file_stays_open() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def window_of(watch: Stopwatch, path: Path | None = None, *, calls: int = CALLS) -> Window:
    _opened.append(Window(WindowLimit(calls, SECONDS), watch, longest_seconds=LONGEST, path=path))
    return _opened[-1]


def claim_all(window: Window) -> list[int]:
    slots = []
    while (slot := window.try_claim()) is not None:
        slots.append(slot)
    return slots


def release_all(window: Window, slots: list[int]) -> None:
    for slot in slots:
        window.release(slot)


def most_within(instants: list[float], seconds: float) -> int:
    """The most instants that any closed stretch of so many seconds has."""
    ordered = sorted(instants)
    return max((bisect_right(ordered, at + seconds) - n for n, at in enumerate(ordered)), default=0)


class Interrupted(Stopwatch):
    """While one thread has looked at it and goes on with what it saw, time passes and another thread does something."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def __call__(self) -> float:
        seen, meanwhile = self.now, self.meanwhile
        if meanwhile is not None:
            self.meanwhile = None
            self.now += 1
            meanwhile()
        return seen


@pytest.mark.parametrize("is_kept", [True, False])
def test_who_looks_how_much_is_left_frees_no_slot_that_is_taken_meanwhile(tmp_path: Path, is_kept: bool) -> None:
    """Pages that show it are made in other threads."""
    watch = Interrupted()
    window = window_of(watch, tmp_path / "acme.calls" if is_kept else None, calls=1)
    taken: list[int | None] = []
    watch.meanwhile = lambda: taken.append(window.try_claim())
    window.room()
    assert taken == [0]
    watch.now += SECONDS + 2  # the call may still be under way
    assert window.try_claim() is None


_PATTERN = st.lists(
    st.tuples(
        st.floats(0, 40),  # since the call before
        st.integers(1, 60),  # wanted at once
        st.floats(0, LONGEST),  # how long they last
        st.floats(0, 1),  # when within that the platform receives them
        st.booleans(),  # the process dies and starts again
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=150)
@given(_PATTERN, st.booleans())
def test_no_minute_has_more_than_80_calls_whatever_the_pattern(
    tmp_path_factory: pytest.TempPathFactory, pattern: list[tuple[float, int, float, float, bool]], is_kept: bool
) -> None:
    """Calls last, arrive anywhere within that, and daemons die with calls under way."""
    watch = Stopwatch()
    path = tmp_path_factory.mktemp("calls") / "acme.calls" if is_kept else None
    window = window_of(watch, path)
    under_way: list[tuple[float, int, Window]] = []
    received: list[float] = []

    def pass_to(instant: float) -> None:
        nonlocal under_way
        for end, slot, owner in sorted((call for call in under_way if call[0] <= instant), key=lambda call: call[0]):
            watch.now = max(watch.now, end)
            if owner is window:  # nobody releases what a dead process held
                owner.release(slot)
        under_way = [call for call in under_way if call[0] > instant]
        watch.now = instant

    for pause, wanted, duration, share, dies in pattern:
        pass_to(watch.now + pause)
        for _ in range(wanted):
            slot = window.try_claim()
            if slot is None:
                break
            received.append(watch.now + duration * share)
            under_way.append((watch.now + duration, slot, window))
        if dies and is_kept:
            window = window_of(watch, path)
    assert most_within(received, SECONDS) <= CALLS


def test_all_calls_may_go_at_once_and_the_next_one_when_the_first_is_a_minute_ago() -> None:
    watch = Stopwatch()
    window = window_of(watch)
    slots = claim_all(window)
    assert len(slots) == 80
    release_all(window, slots)
    watch.now += window.seconds_until_free() - 0.01
    assert window.try_claim() is None
    watch.now += 0.02
    assert 60 < watch.now - 1000 < 62, "little is given away"
    assert len(claim_all(window)) == 80


def test_a_call_counts_until_a_minute_after_its_answer() -> None:
    watch = Stopwatch()
    window = window_of(watch)
    hanging, *others = claim_all(window)
    release_all(window, others)
    watch.now += 25
    window.release(hanging)
    watch.now += 40
    assert window.room() == 79
    watch.now += 25
    assert window.room() == 80


def test_calls_of_a_daemon_that_was_killed_still_count(tmp_path: Path) -> None:
    watch, path = Stopwatch(), tmp_path / "acme.calls"
    before = window_of(watch, path)
    release_all(before, claim_all(before)[:50])  # thirty were under way
    watch.now += 20
    after = window_of(watch, path)
    assert after.try_claim() is None
    watch.now += 42
    assert after.room() == 50
    watch.now += 30
    assert after.room() == 80, "a call under way lasted no longer than calls may"


def test_two_processes_share_one_count(tmp_path: Path) -> None:
    watch, path = Stopwatch(), tmp_path / "acme.calls"
    daemon, doctor = window_of(watch, path), window_of(watch, path)
    release_all(doctor, [doctor.try_claim() or 0 for _ in range(3)])
    assert daemon.room() == 77
    assert len(claim_all(daemon)) == 77
    assert doctor.try_claim() is None


def test_a_claim_waits_for_nobody_who_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "acme.calls"
    window = window_of(Stopwatch(), path)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert window.try_claim() is None
    assert window.try_claim() is not None


def test_after_a_reboot_what_is_kept_costs_one_window_at_most(tmp_path: Path) -> None:
    watch, path = Stopwatch(1_000_000), tmp_path / "acme.calls"
    release_all(before := window_of(watch, path), claim_all(before))
    watch.now = 20.0  # the clock began anew
    after = window_of(watch, path)
    assert after.try_claim() is None
    watch.now += 61.5
    assert after.room() == 80


@pytest.mark.parametrize(
    "kept",
    [
        b"not doubles",
        struct.pack("4d", math.nan, -math.inf, math.inf, 1e300) + b"\x00\x00\x00",
        os.urandom(4096),
    ],
)
def test_an_invalid_file_costs_one_window_at_most(tmp_path: Path, kept: bytes) -> None:
    watch, path = Stopwatch(), tmp_path / "acme.calls"
    path.write_bytes(kept)
    window = window_of(watch, path)
    window.room()
    watch.now += LONGEST + 62
    assert len(claim_all(window)) == 80


def test_a_file_that_cannot_be_used_costs_the_sharing_alone(tmp_path: Path) -> None:
    watch = Stopwatch()
    for path in (tmp_path / "nowhere" / "acme.calls", tmp_path):
        assert len(claim_all(window_of(watch, path))) == 80
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert len(claim_all(window_of(watch, tmp_path / "link"))) == 80
    assert not (tmp_path / "target").exists()


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    window_of(Stopwatch(), tmp_path / "acme.calls").try_claim()
    assert (tmp_path / "acme.calls").stat().st_mode & 0o777 == 0o600


def test_a_smaller_window_is_held_with_what_a_larger_one_left(tmp_path: Path) -> None:
    watch, path = Stopwatch(), tmp_path / "acme.calls"
    release_all(large := window_of(watch, path), claim_all(large)[:60])
    small = window_of(watch, path, calls=40)
    assert small.try_claim() is None
    watch.now += 95
    assert len(claim_all(small)) == 40
    assert path.stat().st_size <= 80 * 8


def test_what_others_use_of_the_account_takes_our_slots() -> None:
    watch = Stopwatch()
    window = window_of(watch)
    release_all(window, [window.try_claim() or 0 for _ in range(10)])
    window.record(80, 5)
    assert window.room() == 5
    window.record(80, 60)
    assert window.room() == 5, "more than we thought is no reason to hurry"
    watch.now += 61.5
    assert window.room() == 80


def test_a_smaller_limit_that_the_platform_says_holds_until_a_person_resumes() -> None:
    window = window_of(Stopwatch())
    window.record(60, 60)
    assert window.room() == 60
    window.record(200, 200)
    assert window.room() == 80
    window.record(0, 80)
    assert window.room() == 80, "none at all cannot be meant: it answered"
    window.record(1, 1)
    window.forget()
    assert window.room() == 80
