"""The log's writer: nobody waits for its reader, lines keep their order, what is lost is counted and said."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from orchestrator.process.log_writer import LineWriter

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def notice(count: int) -> str:
    return f"lost {count}"


def read_all(end: int) -> list[str]:
    text = b""
    while piece := os.read(end, 65_536):
        text += piece
    return text.decode().splitlines()


def reading(end: int) -> tuple[threading.Thread, list[str]]:
    """Reads until the other end is closed."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(read_all(end)))
    thread.start()
    return thread, found


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    thread, found = reading(pipe[0])
    writer = LineWriter(pipe[1], notice=notice)
    wanted = [f"{number} {'x' * 500}" for number in range(3000)]
    for line in wanted:
        writer.put(f"{line}\n".encode())
    assert writer.close(20)
    os.close(pipe[1])
    thread.join()
    assert found == wanted
    assert writer.lost == 0


def test_a_pipe_that_nobody_reads_blocks_nobody_and_what_was_lost_is_said_in_its_place(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], notice=notice, most_lines=10)
    line = "x" * 70_000  # more than a pipe takes
    for number in range(50):
        writer.put(f"{number} {line}\n".encode())
    assert writer.lost >= 39
    thread, found = reading(pipe[0])
    while True:  # there is room as soon as the reader has taken some
        lost = writer.lost
        writer.put(b"after\n")
        if writer.lost == lost:
            break
    assert writer.close(20)
    os.close(pipe[1])
    thread.join()
    names = [text.split()[0] for text in found]
    kept = [int(name) for name in names if name.isdigit()]
    assert kept == list(range(len(kept)))
    assert found[-2:] == [notice(writer.lost), "after"]
    assert len(kept) + writer.lost >= 50


def test_losses_are_said_also_when_nothing_more_comes(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], notice=notice, most_lines=2)
    for _ in range(20):
        writer.put(b"x" * 70_000 + b"\n")
    thread, found = reading(pipe[0])
    assert writer.close(20)
    os.close(pipe[1])
    thread.join()
    assert found[-1] == notice(writer.lost)


def test_the_queue_is_bounded_in_bytes_too(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], notice=notice, most_bytes=300_000)
    for _ in range(10):
        writer.put(b"x" * 100_000 + b"\n")
    assert writer.lost >= 6
    os.close(pipe[0])
    assert writer.close(20)


def test_lines_that_a_full_disk_refuses_are_counted() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(descriptor, notice=notice)
    for _ in range(3):
        writer.put(b"line\n")
    assert writer.close(20)
    os.close(descriptor)
    assert writer.lost == 3


def test_a_line_that_was_cut_off_does_not_spoil_the_next(monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> None:
    real, calls = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real(descriptor, bytes(data)[:3])
        if calls == 2:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr("os.write", write)
    writer = LineWriter(pipe[1], notice=notice)
    writer.put(b"first line\n")
    writer.put(b"second line\n")
    assert writer.close(20)
    os.close(pipe[1])
    assert read_all(pipe[0]) == ["fir", notice(1), "second line"]


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe[1], False)
    writer = LineWriter(pipe[1], notice=notice)
    writer.put(b"x" * 300_000 + b"\n")
    thread, found = reading(pipe[0])
    assert writer.close(20)
    os.close(pipe[1])
    thread.join()
    assert [len(line) for line in found] == [300_000]
    assert writer.lost == 0


def test_the_end_does_not_wait_for_a_reader_that_is_not_there(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], notice=notice)
    writer.put(b"x" * 300_000 + b"\n")
    assert not writer.close(0.05)
    os.close(pipe[0])
