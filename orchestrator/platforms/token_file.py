"""A file for tokens that outlive the process: its owner's alone, replaced as a whole, fetched into by one process.

Daemon and `doctor` share it. Beside it stands a lock file: whoever wants to fetch tokens takes that lock first and
reads the file again, so that two processes never fetch at the same time. The kernel drops the lock when its holder
dies.

The space that new tokens need is written before they are asked for. Where a platform replaces what we have (a refresh
token), a full disk is thus found out while the old ones are still good.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from orchestrator.platforms.failures import Transient
from orchestrator.platforms.token_place import LOCK_PATIENCE_SECONDS, NotKept, UnusableTokens
from statemachines.target import Json

log = structlog.get_logger()

_LOCK_LOOK_SECONDS = 0.05
_RESERVED_BYTES = 16 * 1024
_LARGEST_FILE_BYTES = 256 * 1024


class TokenFile:
    """Tokens on disk, mode 0600. `owner` is a digest of what the tokens were got with, which ties them to that."""

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self._owner = owner
        self._is_lock_logged = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    # -- reading and writing, in a thread ----------------------------------------------------------------------------

    def load(self) -> dict[str, Json] | None:
        """What was kept; None if there is nothing, or it belongs to other credentials. Raises UnusableTokens."""
        try:
            with os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source:
                status = os.fstat(source.fileno())
                if status.st_uid not in self._trusted() or status.st_mode & 0o077:
                    raise UnusableTokens(f"{self.path} is not used: others may read or write it - chmod 600 it")
                kept = json.loads(source.read(_LARGEST_FILE_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnusableTokens(f"{self.path} cannot be read: {_words(error)}") from None
        except (ValueError, RecursionError):
            log.warning("tokens.not_used", path=str(self.path), detail="the file is damaged")
            return None
        return kept if isinstance(kept, dict) and kept.get("credentials") == self._owner else None

    def reserve(self) -> ReservedFile:
        """A file beside this one with room for tokens. Raises NotKept."""
        try:
            return ReservedFile(self, self._reserve())
        except OSError as error:
            raise NotKept(_words(error)) from None

    def _reserve(self) -> Path:
        part = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.part")
        # The mode is the file's from its first moment: there is no instant at which others could open it.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, b" " * _RESERVED_BYTES)
            self._give_to_owner(descriptor)
            os.fsync(descriptor)
        except OSError:
            discard(part)
            raise
        finally:
            os.close(descriptor)
        return part

    def save(self, tokens: Mapping[str, Json], part: Path) -> None:
        """Writes tokens into what was reserved. Raises OSError; `publish` makes them those that `load` finds."""
        text = json.dumps({"credentials": self._owner, **tokens}).encode()
        descriptor = os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _write(descriptor, text.ljust(_RESERVED_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def publish(self, part: Path) -> None:
        """Puts what was written in the file's place, for good. Raises OSError."""
        part.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    # -- one process at a time ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[bool]:
        """Holds the lock beside the file; the block gets False where there can be none (no directory, no rights).

        Raises Transient when another process holds it for too long.
        """
        descriptor: int | None = None
        try:
            descriptor = await self._take()
        except OSError as error:
            if not self._is_lock_logged:
                self._is_lock_logged = True
                log.warning("tokens.not_locked", path=str(self._lock_path), detail=_words(error))
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    async def _take(self) -> int:
        with anyio.move_on_after(LOCK_PATIENCE_SECONDS):
            while True:
                # Never waited for in the thread: a wait that is cancelled would leave a lock that nobody gives back.
                descriptor = await anyio.to_thread.run_sync(self._try_lock)
                if descriptor is not None:
                    return descriptor
                await anyio.sleep(_LOCK_LOOK_SECONDS)
        raise Transient(
            f"another process has been fetching tokens for {LOCK_PATIENCE_SECONDS:.0f} s ({self._lock_path})"
        )

    def _try_lock(self) -> int | None:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._give_to_owner(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._clear_away()
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _clear_away(self) -> None:
        """Removes what a process that was killed had reserved; nobody but the holder of the lock reserves anything."""
        for part in self.path.parent.glob(f"{self.path.name}.{'[0-9a-f]' * 8}.part"):
            discard(part)

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    # -- a person who looks as root ----------------------------------------------------------------------------------

    def _trusted(self) -> set[int]:
        """Whose file is believed: our own, and for root that of the directory's owner, who runs the daemon."""
        us = os.geteuid()
        return {us, self.path.parent.stat().st_uid} if us == 0 else {us}

    def _give_to_owner(self, descriptor: int) -> None:
        """What root makes (`sudo fulfilld doctor`) is the daemon's, or the daemon could not use it any more."""
        if os.geteuid() == 0:
            owner = self.path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


class ReservedFile:
    """A file that will take the place of the one with the tokens of before."""

    def __init__(self, file: TokenFile, part: Path) -> None:
        self._file, self._part = file, part

    def save(self, tokens: Mapping[str, Json]) -> None:
        """As `Room.save`."""
        try:
            self._file.save(tokens, self._part)
        except OSError as error:
            raise NotKept(_words(error)) from None

    def publish(self) -> None:
        """As `Room.publish`."""
        try:
            self._file.publish(self._part)
        except OSError as error:
            raise NotKept(_words(error)) from None

    def discard(self) -> None:
        """As `Room.discard`."""
        discard(self._part)


def discard(part: Path) -> None:
    """Removes what was reserved and not needed."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
