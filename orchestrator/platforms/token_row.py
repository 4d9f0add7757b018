"""A row of the database for the tokens of one shop, sealed: whichever node works for the shop finds them.

What a node has in a file of before, when it had no key, it takes over: a chain of refresh tokens goes on.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
import anyio.to_thread

from orchestrator.platforms.failures import Transient
from orchestrator.platforms.sealing import Sealer, Unsealable
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_place import LOCK_PATIENCE_SECONDS, NotKept, UnusableTokens
from statemachines.target import Json
from storage.errors import StoreUnavailable
from storage.tokens import TokenRows

_CLAIM_SECONDS = 5.0
"""For how long a claim is good, which is renewed meanwhile: a process that dies or stands still keeps it no longer."""

_RENEWALS = 3  # in that time
_CLAIM_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class SealedRows:
    """The rows of a database, and what seals what is in them."""

    rows: TokenRows
    sealer: Sealer


class TokenRow:
    """The row of one shop. `kind`: as of `ClientSettings.token_place`; `owner`: as of `TokenFile`; `before`: the file
    that was used without a key."""

    def __init__(self, sealed: SealedRows, kind: str, shop: str, owner: str, before: TokenFile | None = None) -> None:
        self._rows, self._sealer = sealed.rows, sealed.sealer
        self._kind, self._shop, self._owner, self._before = kind, shop, owner, before
        self._version = 0
        self._claimant = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}"

    @property
    def name(self) -> str:
        """The database, and whose row."""
        return f"{self._rows.where} (tokens of {self._shop})"

    def load(self) -> dict[str, Json] | None:
        """As `TokenPlace.load`."""
        try:
            found = self._rows.read(self._shop)
        except StoreUnavailable as error:
            raise UnusableTokens(str(error)) from None
        self._version = 0 if found is None else found.version
        if found is None:
            return None if self._before is None else self._before.load()
        try:
            kept = json.loads(self._sealer.unseal(found.sealed))
        except Unsealable:
            raise UnusableTokens(
                f"{self.name} were sealed with another storage.secret_key - give that one too, behind the new one"
            ) from None
        is_ours = kept.get("shop") == self._shop and kept.get("credentials") == self._owner
        return kept if is_ours else None

    def reserve(self) -> SealedRoom:
        """As `TokenPlace.reserve`. Claims the row anew: whoever stood still for longer than that fetches nothing."""
        try:
            is_ours = self._rows.claim(self._shop, self._claimant, _CLAIM_SECONDS)
        except StoreUnavailable as error:
            raise NotKept(str(error)) from None
        if not is_ours:
            raise NotKept("another process fetches tokens by now")
        return SealedRoom(self, self._version)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[bool]:
        """As `TokenPlace.locked`. A database that is away is no lock that cannot be: Transient says so."""
        failure: Exception | None = None
        try:
            await self._claim()
            async with anyio.create_task_group() as group:
                group.start_soon(self._renew)
                try:
                    yield True
                except Exception as error:  # noqa: BLE001 - raised here it would come out of the group as one of many
                    failure = error
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), suppress(StoreUnavailable):
                await anyio.to_thread.run_sync(self._rows.release, self._shop, self._claimant)
        if failure is not None:
            raise failure

    async def _renew(self) -> None:
        is_ours = True
        while is_ours:
            await anyio.sleep(_CLAIM_SECONDS / _RENEWALS)
            with suppress(StoreUnavailable):
                is_ours = await anyio.to_thread.run_sync(self._rows.claim, self._shop, self._claimant, _CLAIM_SECONDS)

    async def _claim(self) -> None:
        with anyio.move_on_after(LOCK_PATIENCE_SECONDS):
            while True:
                try:
                    claim = self._rows.claim
                    if await anyio.to_thread.run_sync(claim, self._shop, self._claimant, _CLAIM_SECONDS):
                        return
                except StoreUnavailable as error:
                    raise Transient(str(error)) from None
                await anyio.sleep(_CLAIM_LOOK_SECONDS)
        raise Transient(f"another process has been fetching tokens for {LOCK_PATIENCE_SECONDS:.0f} s ({self.name})")

    def keep(self, tokens: Mapping[str, Json], version: int) -> None:
        """Puts tokens in place of that version. Raises NotKept."""
        text = json.dumps({"kind": self._kind, "shop": self._shop, "credentials": self._owner, **tokens}).encode()
        try:
            is_kept = self._rows.replace(self._shop, self._sealer.seal(text), version)
        except StoreUnavailable as error:
            raise NotKept(str(error)) from None
        if not is_kept:
            raise NotKept("another process has replaced them meanwhile")


class SealedRoom:
    """Tokens that are about to be kept in a row in place of a version of it."""

    def __init__(self, row: TokenRow, version: int) -> None:
        self._row, self._version = row, version
        self._tokens: Mapping[str, Json] = {}

    def save(self, tokens: Mapping[str, Json]) -> None:
        """As `Room.save`: a row is written at once, so nothing is before that."""
        self._tokens = tokens

    def publish(self) -> None:
        """As `Room.publish`."""
        self._row.keep(self._tokens, self._version)

    def discard(self) -> None:
        """As `Room.discard`."""
