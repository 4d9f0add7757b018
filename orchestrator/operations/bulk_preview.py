"""What an action in bulk would come to: how many orders a filter finds, and how many of them could not be operated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from orchestrator.decisions.bulk import Action, can_operate
from orchestrator.operations.order_filter import Configured
from storage.order_columns import load_problem
from storage.order_search import KeptSituation, kept_situations
from storage.transaction import Transaction

_AT_ONCE = 500
_BY_SITUATION = (Action.RETRY, Action.SKIP, Action.RELEASE)
"""Actions that not every order takes."""


def count_refused(
    tx: Transaction, configured: Configured, action: Action, found: Iterable[tuple[int, str, str]]
) -> tuple[int, int]:
    """How many orders were found (`seq`, shop and id of each), and how many of them would be refused as they stand."""
    count, refused, left = 0, 0, iter(found)
    while some := list(islice(left, _AT_ONCE)):
        count += len(some)
        refused += _refused(tx, configured, action, some)
    return count, refused


def _refused(tx: Transaction, configured: Configured, action: Action, some: Sequence[tuple[int, str, str]]) -> int:
    if action is Action.CANCEL:  # targets are dropped wherever they are
        return 0
    here = [seq for seq, shop, _ in some if shop in configured]
    if action not in _BY_SITUATION:
        return len(some) - len(here)
    return len(some) - sum(_can(action, each) for each in kept_situations(tx, here))


def _can(action: Action, kept: KeptSituation) -> bool:
    try:
        problem = None if kept.problem is None else load_problem(kept.problem)
    except (ValueError, TypeError, RecursionError):  # its row is damaged, so it would be refused
        return False
    return can_operate(action, kept.situation, problem, is_stopped=kept.is_stopped)
