"""Files that hold people's data: their mode, and that nobody sees half of one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.private import appearing


@pytest.fixture(params=[0, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("old_mode", [None, 0o644, 0o666])
def test_the_mode_is_0640_whatever_the_umask_and_the_file_before(old_mode: int | None, tmp_path: Path) -> None:
    path = tmp_path / "dump.ndjson"
    if old_mode is not None:
        path.write_bytes(b"old")
        path.chmod(old_mode)
    with appearing(path) as file:
        file.write(b"new")
        (partial,) = [each for each in tmp_path.iterdir() if each != path]
        assert mode(partial) == 0o640
    assert mode(path) == 0o640
    assert path.read_bytes() == b"new"


def test_a_file_that_is_not_completed_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "dump.ndjson"
    path.write_bytes(b"old")

    def cut_off() -> None:
        with appearing(path) as file:
            file.write(b"ne")
            raise OSError("the daemon went away")

    with pytest.raises(OSError, match="went away"):
        cut_off()
    assert os.listdir(tmp_path) == ["dump.ndjson"]
    assert path.read_bytes() == b"old"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with appearing(pipe) as file:
            file.write(b"all of it")
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_device_shows_its_own_errors() -> None:
    full = Path("/dev/full")
    before = full.stat()
    with pytest.raises(OSError, match="No space left"), appearing(full) as file:
        file.write(b"all of it")
    assert (full.stat().st_ino, full.stat().st_rdev) == (before.st_ino, before.st_rdev)


def test_a_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "there" / "dump.ndjson", tmp_path / "link"
    path.parent.mkdir()
    link.symlink_to(path)
    for text in (b"first", b"second"):
        with appearing(link) as file:
            file.write(text)
        assert path.read_bytes() == text
    assert link.is_symlink()
    assert mode(path) == 0o640
