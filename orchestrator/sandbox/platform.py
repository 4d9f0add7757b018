"""The seam between the sandbox and one simulated platform.

A platform turns a request into an `Operation`: who is meant, which step of the machine it is, and a plain function
that does it. The exchange runs that function between the faults; everything in a platform is synchronous, so an effect
is atomic and its order unambiguous.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, NoReturn, Protocol, TypeAlias

from orchestrator.clock import Clock
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.ledger import Ledger

Json: TypeAlias = Any


class PanelError(ValueError):
    """An invalid request to the platform's back office: the message says what is known."""


def checked_action(request: Mapping[str, Json], actions: Mapping[str, Sequence[str]]) -> str:
    """The action that a request names, one of `actions`, with every field that it needs. Raises PanelError."""
    action = str(request.get("action"))
    if action not in actions:
        raise PanelError(f"unknown action {action!r}; known are {', '.join(actions)}")
    if missing := [name for name in actions[action] if request.get(name) in (None, "")]:
        raise PanelError(f"{action} needs {', '.join(missing)}")
    return action


def checked_ms(request: Mapping[str, Json], name: str = "to") -> int:
    """An instant that a request names, ISO 8601 with a zone or a day (midnight in UTC), in Unix milliseconds. Raises
    PanelError."""
    try:
        at = datetime.fromisoformat(str(request[name]))
        return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise PanelError(f"{name} must be a time such as 2024-03-01T12:00:00Z, not {request[name]!r}") from None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request below the platform's prefix: `path` decoded, `query` raw, `headers` without regard to case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A platform's answer and what it did.

    `took_effect`, `in_sequence`: as in the ledger. `reopens`: steps that may take effect once more because of this one.
    `is_overwrite`: the same step with another body is not a repeat. `headers`: a multidict where one
    comes more than once, as cookies do.
    """

    status: int
    body: bytes
    took_effect: bool = False
    in_sequence: bool = True
    reopens: tuple[str, ...] = ()
    is_overwrite: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for. `act` does it, at once and whole. `sent` is the parsed body, for the ledger."""

    shop: str
    order: str | None
    step: str
    act: Callable[[], Reply]
    sent: Json = None


@dataclass(frozen=True, slots=True)
class Stock:
    """What a simulated platform begins with: `orders` for each of `shops` shops, drawn by `seed`."""

    orders: int
    seed: int
    shops: int


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a whole walk: the step of the machine, the platform's state after it, and the target that it is a
    part of, as a body of the API."""

    step: str
    state: str
    target: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Variant:
    """Another way to set a platform up. `simulated`: options of the simulation (None: its defaults), `shop`: keys of a
    shop's config that fit them, `moves`: what an order goes through then (none: what the walk says)."""

    simulated: object = None
    shop: Mapping[str, Json] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What a platform's first order can go through, for the tests that every platform has to pass.

    `moves`: every step that we can make, at least once, but for those that cancel and those `beside`, which are for
    orders of another kind. `delivered`: the steps by which a new order with a tracking code gets to be delivered; where
    `is_by_place`, each is made once for every place that goods lie at. `unseen`: steps whose effect no read shows: they
    are sent again, and the platform refuses the repeat. `lists_all_work`: nothing says what changed, so that the list
    is all the work each time. `refuses_nothing`: a state is a label that can always be set. `shop`: keys of a shop's
    config with which it does not wait for what cannot happen here. `variants`: other ways to set the platform up in
    which all of this holds too, by a name for people.
    """

    moves: tuple[Move, ...]
    delivered: tuple[str, ...]
    is_by_place: bool = False
    beside: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    lists_all_work: bool = False
    refuses_nothing: bool = False
    shop: Mapping[str, Json] = field(default_factory=dict)
    variants: Mapping[str, Variant] = field(default_factory=dict)


Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Something that a platform does by itself, until it is cancelled."""


class SimulatedPlatform(Protocol):
    """One platform of the sandbox, mounted under `/{name}`."""

    name: ClassVar[str]
    """The platform's name in the config, and its prefix."""
    options: ClassVar[type]
    """What the facts leave open, as switches of a frozen dataclass; each has a default."""

    def __init__(self, clock: Clock, ledger: Ledger, options: Any, stock: Stock) -> None: ...

    @staticmethod
    def walk() -> Walk:
        """What an order can go through here, and in which ways the platform can be set up."""
        ...

    @staticmethod
    def with_real_limits(options: Any) -> Any:
        """Options under which calls are counted as the platform documents it."""
        ...

    def background(self, faults: FaultPlan) -> Iterable[Work]:
        """What runs beside the answers while the sandbox serves, such as the sending of webhooks."""
        ...

    def open(self, incoming: Incoming) -> Operation:
        """What the request asks for; an unknown request is an operation too, answered as the platform would."""
        ...

    def throttled(self, wait_seconds: float) -> Reply:
        """The platform's way to ask the whole shop to wait that long."""
        ...

    def broken(self, status: int) -> Reply:
        """The platform's answer when it fails inside."""
        ...

    def operate(self, request: Mapping[str, Json]) -> dict[str, Json]:
        """Does `request["action"]` in the platform's back office. Raises PanelError for what it does not know."""
        ...

    def shops(self, base_url: str) -> dict[str, dict[str, Json]]:
        """fulfilld's config of each shop here, by the name that it gets there; `base_url` is that of the sandbox."""
        ...

    def summary(self) -> dict[str, Json]:
        """Counts of what the platform holds, for people."""
        ...

    def order_ids(self) -> list[str]:
        """Ids of the first shop's orders, oldest first."""
        ...


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_object(body: bytes) -> dict[str, Json] | None:
    """The JSON object in `body`, None if it holds none. As strict as PHP and JavaScript: no NaN, no lone surrogates."""
    try:
        parsed = _DECODER.decode(body.decode())
        if b"\\u" in body:
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
