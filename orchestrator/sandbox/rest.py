"""What simulated REST APIs do alike: routes, parameters checked by a declaration, pages of arrays with their totals.

A platform declares its routes and parameters and says who may enter; the words of its errors are its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from orchestrator.sandbox.base import answer, number_in
from orchestrator.sandbox.platform import Incoming, Json, Operation, Reply, parse_object
from orchestrator.sandbox.shelf import O, S, ShelfPlatform

T = TypeVar("T")


class Refused(Exception):
    """A call has no effect. `wrong`: what is wrong with it, in a word that `RestPlatform.refusal` knows; `names`: of
    the parameters or fields in question."""

    def __init__(self, wrong: str, *names: str) -> None:
        super().__init__(wrong, *names)
        self.wrong, self.names = wrong, names


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of a query. `read` turns its text into a value and raises ValueError where it is invalid; `default`: the
    value where it is not there."""

    read: Callable[[str], Any]
    default: Any = None


def whole(default: int | None = None, least: int = 0, most: int | None = None) -> Parameter:
    """A whole number within bounds."""

    def read(text: str) -> int:
        number = number_in(text)
        if number is None or number < least or (most is not None and number > most):
            raise ValueError(text)
        return number

    return Parameter(read, default)


def one_of(default: str, known: Collection[str]) -> Parameter:
    """One of some words."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return Parameter(read, default)


def some_of(default: Collection[str], known: Collection[str]) -> Parameter:
    """Some of these words, with commas between them."""

    def read(text: str) -> frozenset[str]:
        words = frozenset(text.split(","))
        if not words <= frozenset(known):
            raise ValueError(text)
        return words

    return Parameter(read, frozenset(default))


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a route. `path` is that in the API, `named`: the parts of it that the route has names for."""

    method: str
    path: str
    named: Mapping[str, str]
    query: Mapping[str, str]
    sent: Mapping[str, Json]

    def number(self, name: str = "order") -> int:
        """The id that a part of the path is, 0 where that is no number."""
        return number_in(self.named.get(name, "")) or 0

    def checked(self, declared: Mapping[str, Parameter]) -> dict[str, Any]:
        """The value of each declared parameter; others are ignored. Raises Refused: `parameters`."""
        values, invalid = {name: each.default for name, each in declared.items()}, []
        for name in [name for name in declared if name in self.query]:
            try:
                values[name] = declared[name].read(self.query[name])
            except (ValueError, OverflowError):
                invalid.append(name)
        if invalid:
            raise Refused("parameters", *invalid)
        return values


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """One of an API. `methods`: with spaces between them; `path`: `{word}` names a part of it. `step`: what the ledger
    calls it, in the machine's words. `is_secret`: what is sent is not for the ledger. `option`: of the simulation;
    there is no such route without it."""

    methods: str
    path: str
    step: str | Callable[[T, Call], str]
    act: Callable[[T, Call], Reply]
    is_secret: bool = False
    option: str = ""

    def named(self, method: str, path: str) -> dict[str, str] | None:
        """The named parts of a path, None where it is another route's."""
        pairs = list(zip(self.path.split("/"), path.split("/"), strict=False))
        if method not in self.methods.split() or self.path.count("/") != path.count("/"):
            return None
        if any(own != asked for own, asked in pairs if not own.startswith("{")):
            return None
        return {own[1:-1]: asked for own, asked in pairs if own.startswith("{")}


class RestPlatform(ShelfPlatform[S, O]):
    """Simulated shops that are shelves behind a REST API. A route that is about an order names that part `order`; what
    it does may raise `Refused`."""

    routes: ClassVar[Sequence[Route[Any]]]

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def enter(self, incoming: Incoming, query: dict[str, str]) -> tuple[S | None, str, Reply | None]:
        """The shop that is meant, the path in its API, and how a caller is answered who may not enter. Parameters that
        are no part of the API are taken out of `query`."""

    def refusal(self, call: Call, wrong: str, names: Sequence[str]) -> Reply:
        """The answer to a call that has no effect. `wrong`: there is no such `route`; `parameters` are invalid; or what
        routes raise `Refused` with."""
        del call
        status = 404 if wrong in ("route", "order") else 400
        return answer(status, {"message": f"Invalid {wrong} {', '.join(names)}".strip()})

    # -- given -----------------------------------------------------------------------------------------------------

    def open(self, incoming: Incoming) -> Operation:
        """As `SimulatedPlatform.open`."""
        query, sent = dict(parse_qsl(incoming.query, keep_blank_values=True)), parse_object(incoming.body) or {}
        shop, path, refusal = self.enter(incoming, query)
        key, path = "" if shop is None else shop.key, path.strip("/")
        routes = [each for each in self.routes if not each.option or getattr(self._options, each.option)]
        for route in routes if shop is not None else ():
            if (named := route.named(incoming.method, path)) is not None:
                call = Call(incoming.method, path, named, query, sent)
                step = route.step if isinstance(route.step, str) else route.step(shop, call)
                act = partial(self._act, route.act, shop, call, refusal)
                return Operation(key, named.get("order"), step, act, None if route.is_secret else sent)
        call = Call(incoming.method, path, {}, query, sent)
        return Operation(key, None, "unknown", partial(self._act, _no_route, shop, call, refusal), sent)

    def _act(self, act: Callable[[Any, Call], Reply], shop: S | None, call: Call, refusal: Reply | None) -> Reply:
        try:
            return act(shop, call) if refusal is None else refusal
        except Refused as refused:
            return self.refusal(call, refused.wrong, refused.names)


def _no_route(_: Any, __: Call) -> Reply:
    raise Refused("route")


def array_page(
    ids: Sequence[int],
    shown: Callable[[int], str],
    *,
    size: int,
    page: int = 1,
    offset: int | None = None,
    totals: tuple[str, str] | None = None,
    address: str = "",
    query: Mapping[str, str] | None = None,
    hidden: Collection[int] = (),
) -> Reply:
    """A page of an array; `offset` wins over `page`.

    `totals`: headers for the number of rows and of pages. `address` and `query`: as they were asked for, where a `Link`
    leads on to the next page. `hidden`: places in the whole array whose rows are counted and left out.
    """
    start = (page - 1) * size if offset is None else offset
    headers: dict[str, str] = {}
    if totals is not None:
        headers = {totals[0]: str(len(ids)), totals[1]: str(-(-len(ids) // size))}
    if address and start + size < len(ids):
        headers["Link"] = f'<{address}?{urlencode({**(query or {}), "page": page + 1})}>; rel="next"'
    rows = [shown(ids[n]) for n in range(start, min(start + size, len(ids))) if n not in hidden]
    return Reply(200, f"[{','.join(rows)}]".encode(), headers=headers)
