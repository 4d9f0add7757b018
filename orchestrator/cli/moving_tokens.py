"""Tokens that platforms gave go with a store that moves: without them a chain of refresh tokens would end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
    """`moved`: files and shops whose tokens went along; `sealed`: shops whose tokens nobody here can read."""

    moved: list[str]
    sealed: list[str]


def sealer_of(place: Place) -> Sealer | None:
    """What opens the tokens that daemons with the config of this place sealed; None: nothing here does."""
    try:
        keys = all_of(place.load_config().storage.secret_key)
    except Failure:  # the store moves without a config as well
        return None
    return Sealer([key.get_secret_value() for key in keys]) if keys else None


def move_tokens(source: Engine, target: Engine, sealer: Callable[[], Sealer | None]) -> MovedTokens:
    """Copies what is kept beside or in the one store to the other; a daemon with a key takes files over by itself.
    `sealer` is asked for when it is needed. Raises Failure where they cannot be written, StoreUnavailable."""
    sealed: list[str] = []
    rows = source.token_rows
    shops = [] if rows is None else rows.shops()
    moved = [*_files(source, target)]
    if rows is not None and shops:
        there = target.token_rows
        moved += _sealed(rows, there, shops) if there is not None else _unsealed(rows, target, shops, sealer(), sealed)
    return MovedTokens(moved, sealed)


def _files(source: Engine, target: Engine) -> Iterator[str]:
    if source.state_directory == target.state_directory:
        return
    for path in sorted(source.state_directory.glob("*.tokens")):
        try:
            kept = json.loads(path.read_bytes())
            owner = kept.pop("credentials")
        except (OSError, ValueError, AttributeError, KeyError):
            continue  # a daemon would not use a damaged one
        _write(target, path.name, owner, kept)
        yield path.name


def _sealed(rows: TokenRows, there: TokenRows, shops: list[str]) -> Iterator[str]:
    for shop in shops:
        if (found := rows.read(shop)) is not None:
            there.replace(shop, found.sealed, 0)
            yield shop


def _unsealed(
    rows: TokenRows, target: Engine, shops: list[str], sealer: Sealer | None, sealed: list[str]
) -> Iterator[str]:
    for shop in shops:
        found = rows.read(shop)
        try:
            kept = None if sealer is None or found is None else json.loads(sealer.unseal(found.sealed))
        except Unsealable:
            kept = None
        if kept is None:
            sealed.append(shop)
            continue
        name = f"{kept.pop('kind')}-{kept.pop('shop')}.tokens"
        _write(target, name, kept.pop("credentials"), kept)
        yield shop


def _write(target: Engine, name: str, owner: str, kept: dict[str, object]) -> None:
    directory = target.state_directory
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = TokenFile(directory / name, owner).reserve()
        room.save(kept)
        room.publish()
    except (OSError, NotKept) as error:
        raise Failure(f"{directory / name} cannot be written: {error}", remedy="then run migrate-store again") from None
