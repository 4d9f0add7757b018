"""Tokens that platforms gave go with a store that moves: without them a chain of refresh tokens would end.

They go while no daemon may work on either store, and before the old one is given up: what is read is the newest, and a
daemon finds it when it starts. A move that has ended before adds only what is missing, for a daemon may have fetched
newer ones since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cli.failures import Failure
from orchestrator.cli.place import Place
from orchestrator.config.push import all_of
from orchestrator.platforms.sealing import Sealer, Unsealable
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_place import NotKept
from storage.engines import Engine
from storage.tokens import TokenRows


@dataclass(frozen=True, slots=True)
class MovedTokens:
    """`moved`: files and shops whose tokens went along, by where they are now; `sealed`: shops whose tokens nobody here
    can read; `left`: files and shops that have other ones at the new store, which stay."""

    moved: dict[str, list[str]] = field(default_factory=dict)
    sealed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def note(self, name: str, where: str, was_written: bool | None) -> None:
        """What became of one. None: the same tokens were there."""
        if was_written is not None:
            (self.moved.setdefault(where, []) if was_written else self.left).append(name)


def sealer_of(place: Place) -> Sealer | None:
    """What opens the tokens that daemons with the config of this place sealed; None: nothing here does."""
    try:
        keys = all_of(place.load_config().storage.secret_key)
    except Failure:  # the store moves without a config as well
        return None
    return Sealer([key.get_secret_value() for key in keys]) if keys else None


def move_tokens(source: Engine, target: Engine, sealer: Callable[[], Sealer | None], *, is_new: bool) -> MovedTokens:
    """Copies what is kept beside or in the one store to the other; a daemon with a key takes files over by itself.
    `sealer` is asked for when it is needed. `is_new`: no daemon has worked on the new store, so what is there already
    is older; otherwise it stays. Raises Failure where tokens cannot be written, StoreUnavailable."""
    found, rows, directory = MovedTokens(), source.token_rows, str(target.state_directory)
    shops = [] if rows is None else rows.shops()
    for name, owner, of_file in _files(source, target):
        if name.partition("-")[2].removesuffix(".tokens") not in shops:  # a row has taken its place
            found.note(name, directory, _written(target, name, owner, of_file, is_new=is_new))
    if rows is None or not shops:
        return found
    there = target.token_rows
    opened = sealer() if there is None else None
    for shop in shops:
        if (row := rows.read(shop)) is None:
            continue
        if there is not None:
            found.note(shop, f"{there.where}, sealed", _replaced(there, shop, row.sealed, is_new=is_new))
        elif (kept := _unsealed(opened, row.sealed)) is None:
            found.sealed.append(shop)
        else:
            name = f"{kept.pop('kind')}-{kept.pop('shop')}.tokens"
            found.note(shop, directory, _written(target, name, kept.pop("credentials"), kept, is_new=is_new))
    return found


def _files(source: Engine, target: Engine) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, owner and tokens of each file beside the store."""
    if source.state_directory == target.state_directory:
        return
    for path in sorted(source.state_directory.glob("*.tokens")):
        if (kept := _read(path)) is not None:  # a daemon would not use a damaged one
            yield path.name, kept.pop("credentials"), kept


def _read(path: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and isinstance(kept.get("credentials"), str) else None


def _unsealed(sealer: Sealer | None, sealed: bytes) -> dict[str, Any] | None:
    try:
        return None if sealer is None else json.loads(sealer.unseal(sealed))
    except Unsealable:
        return None


def _replaced(there: TokenRows, shop: str, sealed: bytes, *, is_new: bool) -> bool | None:
    known = there.read(shop)
    if known is not None and known.sealed == sealed:
        return None
    if known is not None and not is_new:
        return False
    return there.replace(shop, sealed, 0 if known is None else known.version)


def _written(target: Engine, name: str, owner: str, kept: dict[str, Any], *, is_new: bool) -> bool | None:
    directory = target.state_directory
    path = directory / name
    if _read(path) == {"credentials": owner, **kept}:
        return None
    if path.exists() and not is_new:
        return False
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = TokenFile(path, owner).reserve()
        room.save(kept)
        room.publish()
    except (OSError, NotKept) as error:
        raise Failure(f"{path} cannot be written: {error}", remedy="then run migrate-store again") from None
    return True
