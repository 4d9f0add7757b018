"""The columns of an order: what is JSON in them, and the order of a row."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from storage.damage import damage_problem, salvaged
from storage.records import Intent, Order, Problem, Situation, Wait
from storage.rows import Columns, DamagedRow
from storage.text import dump_json, load_array, load_object, quote_json
from storage.transaction import Row

_OLD_INTENT_FIELDS = 6  # without is_unanswered
_FLAGS = {(False, False): "false", (True, True): "true", (True, False): "true,false", (False, True): "false,true"}


def dump_problem(problem: Problem | None) -> str | None:
    """A problem as its JSON column."""
    if problem is None:
        return None
    return dump_json([problem.type, problem.title, problem.detail, problem.step, problem.since])


def load_problem(text: str) -> Problem:
    """A problem from its JSON column."""
    return Problem(*load_array(text))


_SINCE = "'0123456789]'"


def type_condition(type_: str) -> tuple[str, str]:
    """The condition of an order whose problem is of this type, as its column has it, and the value of its place."""
    beginning = f"[{quote_json(type_)},"
    return f"substr(problem, 1, {len(beginning)}) = ?", beginning


def step_condition(step: str) -> tuple[str, str]:
    """As `type_condition`, of one whose problem is that of a step: all that stands behind it is an instant."""
    end = f",{quote_json(step)},"
    before = f"rtrim(problem, {_SINCE})"
    return f"substr({before}, length({before}) - {len(end) - 1}) = ?", end


def dump_intent(intent: Intent) -> str:
    """An intent as its JSON column. The last member is left out where older daemons, which do not know it, take it so
    themselves."""
    flags = _FLAGS[intent.is_uncertain, intent.is_unanswered]
    step = step_names(intent.step, intent.source, intent.to)
    return f"[{quote_json(intent.target)},{step},{intent.started_at},{flags}]"


@lru_cache(maxsize=4096)
def step_names(step: str, source: str, to: str) -> str:
    """A step and where it leads from and to, as members of a JSON array: there are few, and each order has some."""
    return ",".join(map(quote_json, (step, source, to)))


def load_intent(text: str) -> Intent:
    """An intent from its JSON column. Rows that do not say whether an answer arrived: an uncertain intent counts as
    unanswered."""
    intent = Intent(*(fields := load_array(text)))
    return intent if len(fields) > _OLD_INTENT_FIELDS else replace(intent, is_unanswered=intent.is_uncertain)


def _load_wait(text: str) -> Wait:
    return Wait(*load_array(text))


class _OrderColumns(Columns[Order]):
    def read(self, row: Row) -> Order:
        order = super().read(row)
        order.counted = order.place
        return order


_ORDER = _OrderColumns(
    Order,
    readers={
        "situation": Situation,
        "facts": load_object,
        "intent": load_intent,
        "wait": _load_wait,
        "problem": load_problem,
        "is_provisional": bool,
        "parcels": load_array,
        "returned": load_object,
    },
)

COLUMNS = _ORDER.sql
"""What a SELECT has to answer for `read_order`."""


def read_order(row: Row) -> Order:
    """The order of a row of COLUMNS. Raises DamagedRow."""
    return _ORDER.read(row)


def show_order(row: Row) -> Order:
    """As `read_order`, to be shown only: a damaged one as far as it can be read, with a problem that says so."""
    try:
        return read_order(row)
    except DamagedRow:
        stand_ins = {"situation": Situation.BLOCKED, "facts": {}}
        _, shop, _, order_id, *_ = row
        order, damages = salvaged(_ORDER, row, "order.damaged", stand_ins, shop=shop, order=order_id)
        order.problem = order.problem or damage_problem(damages, order.updated_at)
        return order
