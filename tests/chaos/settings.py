"""How long and how hard a run is, on what, and from which seed: from the environment."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

Number = TypeVar("Number", int, float)
ENGINES = ("sqlite", "postgresql")
_MOST = 1_000_000
_SEVERAL = 3


@dataclass(frozen=True)
class Settings:
    """The storm ends after `seconds` or with the last of `kills`, whatever comes first; the calm comes on top.

    `orders`: of each shop, at the beginning of a storm and in all of an arrival. `nodes`: daemons on one store, several
    on PostgreSQL alone. `shops`: of each platform.
    """

    seconds: float = 60
    kills: int = 20
    seed: int = 1
    orders: int = 8
    engine: str = "sqlite"
    nodes: int = 1
    shops: int = 1

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """`CHAOS_SECONDS`, `CHAOS_KILLS`, `CHAOS_SEED` (else one by chance), `CHAOS_ORDERS`, `ENGINE`, `NODES`. Raises
        ValueError."""
        engine = environ.get("ENGINE") or cls.engine
        if engine not in ENGINES:
            raise ValueError(f"ENGINE={engine} is none of {', '.join(ENGINES)}")
        nodes = _number(environ, "NODES", int, cls.nodes if engine == "sqlite" else _SEVERAL)
        if nodes < 1 or (nodes > 1 and engine == "sqlite"):
            raise ValueError(f"NODES={nodes}: one node on SQLite, one or more on PostgreSQL (ENGINE=postgresql)")
        seconds = _number(environ, "CHAOS_SECONDS", float, cls.seconds)
        kills = _number(environ, "CHAOS_KILLS", int, max(1, round(seconds / 3)))
        seed = _number(environ, "CHAOS_SEED", int, random.SystemRandom().randrange(1_000_000))
        return cls(seconds, kills, seed, _number(environ, "CHAOS_ORDERS", int, cls.orders), engine, nodes)

    @classmethod
    def of_arrival(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The same for an arrival (`arrival.run`), which has `CHAOS_SHOPS` and is on PostgreSQL. Raises ValueError."""
        given = {"CHAOS_SECONDS": "240", "CHAOS_KILLS": "30", "CHAOS_ORDERS": "100", "ENGINE": "postgresql"}
        found = cls.of({**given, **{name: value for name, value in environ.items() if value}})
        if found.engine != "postgresql":
            raise ValueError(f"ENGINE={found.engine}: an arrival is of several nodes, which only PostgreSQL can have")
        return replace(found, shops=_number(environ, "CHAOS_SHOPS", int, 6))

    def rng(self, actor: str) -> random.Random:
        """An actor's own chance, so that what one decides does not depend on how often others were asked."""
        return random.Random(f"{self.seed}/{actor}")

    @property
    def command(self) -> str:
        """What repeats the run."""
        seconds = f"CHAOS_SECONDS={self.seconds:g} CHAOS_KILLS={self.kills}"
        where = "" if self.engine == "sqlite" else f" ENGINE={self.engine} NODES={self.nodes}"
        return f"CHAOS_SEED={self.seed} {seconds} CHAOS_ORDERS={self.orders} make chaos{where}"

    @property
    def arrival_command(self) -> str:
        """What repeats it as an arrival."""
        return self.command.replace("make chaos ENGINE=postgresql", f"CHAOS_SHOPS={self.shops} make arrival")


def _number(environ: Mapping[str, str], name: str, kind: type[Number], default: Number) -> Number:
    """A variable's value, the default where it is not set or empty. Raises ValueError."""
    given = environ.get(name)
    if not given:
        return default
    try:
        number = kind(given)
    except ValueError:
        number = None
    if number is None or not 0 <= number <= _MOST:
        what = "whole number" if kind is int else "number"
        raise ValueError(f"{name}={given} is not a {what} from 0 to {_MOST}")
    return number
