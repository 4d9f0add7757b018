"""The causes of orders that wait for a person: counted, each with what helps and some of its orders."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from orchestrator.clock import rfc3339
from orchestrator.decisions.causes import Cause, cause_of
from orchestrator.operations import documents
from orchestrator.operations.remedies import remedy_in_bulk
from storage.order_columns import load_problem
from storage.order_search import OrderFilter, find_orders
from storage.records import Problem
from storage.transaction import Transaction

_PAGE = 1000
_SAMPLE = 3


@dataclass(slots=True)
class _Tally:
    """The orders of one cause. `since`: of the problem that is there longest."""

    title: str
    since: int
    orders: int = 0
    shops: dict[str, int] = field(default_factory=dict)
    sample: list[documents.CauseOrder] = field(default_factory=list)

    def add(self, shop: str, order: str, problem: Problem) -> None:
        self.orders += 1
        self.since = min(self.since, problem.since)
        self.shops[shop] = self.shops.get(shop, 0) + 1
        if len(self.sample) < _SAMPLE:
            self.sample.append({"shop": shop, "order": order, "detail": problem.detail})


def list_causes(tx: Transaction, shop: str | None, limit: int) -> documents.CauseList:
    """The causes of all problems that orders have now, of one shop or of all; those of most orders first."""
    tallies: dict[Cause, _Tally] = {}
    after = 0
    while rows := find_orders(tx, after, _PAGE, OrderFilter(shop=shop, has_problem=True)):
        for after, name, order, column in rows:  # noqa: B007 - the last one is where the next page begins
            try:
                problem = load_problem(column)
            except (ValueError, TypeError, RecursionError):
                continue  # a damaged row: the list of orders shows it as far as it can be read
            cause = cause_of(problem.type, problem.step, problem.detail)
            tally = tallies.setdefault(cause, _Tally(problem.title, problem.since))
            tally.add(name, order, problem)
    ranked = sorted(tallies.items(), key=lambda each: (-each[1].orders, each[1].since))
    return {
        "causes": [_view(cause, tally) for cause, tally in ranked[:limit]],
        "orders": sum(tally.orders for tally in tallies.values()),
        "left_out": max(0, len(ranked) - limit),
    }


def _view(cause: Cause, tally: _Tally) -> documents.ProblemCause:
    return {
        "cause": cause.name,
        "problem": cause.type,
        "title": tally.title,
        "step": cause.step,
        "detail": cause.words,
        "count": tally.orders,
        "shops": dict(sorted(tally.shops.items())),
        "since": rfc3339(tally.since),
        "remedy": remedy_in_bulk(cause.type, f"--cause {shlex.quote(cause.name)}"),
        "sample": tally.sample,
    }
