"""What was sent in despatches that went out, and whether a target says the same under their numbers: pure.

A number is used up by being sent (cloudsuite.md §6), and no read shows what was sent under it. So we keep that, and a
number that comes again is the same despatch, of which nothing is left to do, or a correction that nobody can send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from statemachines.cloudsuite.despatch import Despatch, read_despatches
from statemachines.target import Json, TargetRequest

UNANSWERED = "unanswered_despatches"
"""The fact with what was sent once without an answer, by number; a list of numbers in older stores."""


def sent_data(despatch: Despatch, request: TargetRequest) -> dict[str, Json]:
    """What is kept of a despatch: its `code` and `carrier` where it has them, and `lines`: quantities by ERP line
    number, null for all of a line; null for all lines."""
    code = despatch.tracking_code or (request.tracking.code if request.tracking is not None else None)
    carrier = despatch.carrier or (request.tracking.carrier if request.tracking is not None else None)
    lines = despatch.lines
    asked = None if lines is None else {str(each.erp_line_number): _text(each.quantity) for each in lines}
    return {**({"code": code} if code else {}), **({"carrier": carrier} if carrier else {}), "lines": asked}


def unanswered(facts: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """What was sent once without an answer, by number."""
    kept = facts.get(UNANSWERED) or {}
    return dict(kept) if isinstance(kept, Mapping) else {number: {} for number in kept}


def repeat_reason(facts: Mapping[str, Json], request: TargetRequest, lines: Iterable[Mapping[str, Json]]) -> str | None:
    """Why a number that was sent cannot be sent with what the target brings; None where it brings the same.

    `lines` are the order's, with their ERP line numbers (`erp`) and `quantity`. Tracking of the target itself is that
    of the despatches which are to come, or of one of those that went out. Raises InvalidDespatch.
    """
    known = {**unanswered(facts), **facts.get("despatches", {})}
    despatches = read_despatches(request.despatch)
    own, code = list(lines), request.tracking.code if request.tracking is not None else None
    is_anothers = any(
        each.number not in known or (code and known[each.number].get("code") == code) for each in despatches
    )
    for each in despatches:
        if (sent := known.get(each.number)) is None:
            continue
        is_its_own = not is_anothers or (code and sent.get("code") == code)
        now = sent_data(each, request if is_its_own else TargetRequest(request.state))
        gaps = [_sent_words(sent, name) for name in ("code", "carrier") if _is_another(sent, now, name)]
        if "lines" in sent and quantities(sent["lines"], own) != quantities(now["lines"], own):
            gaps.append(_lines_words(quantities(sent["lines"], own)))
        if gaps:
            return (
                f"despatch {each.number} was sent with {' and '.join(gaps)}; a packing slip is sent once, so what"
                " differs needs a number of its own"
            )
    return None


def _is_another(sent: Mapping[str, Json], now: Mapping[str, Json], name: str) -> bool:
    """Whether what is brought differs from what was sent; older stores kept neither lines nor carrier."""
    is_kept = "lines" in sent or name in sent
    return is_kept and name in now and now[name] != sent.get(name)


def _sent_words(sent: Mapping[str, Json], name: str) -> str:
    return f"{name} {sent[name]}" if name in sent else f"no {name}"


def quantities(asked: Mapping[str, str | None] | None, own: list[Mapping[str, Json]]) -> dict[str, Decimal | None]:
    """How much of each line, None where neither the despatch nor the order says."""
    whole = {str(each["erp"]): each.get("quantity") for each in own if each.get("erp") is not None}
    chosen = dict.fromkeys(whole) if asked is None else asked
    found = {line: quantity if quantity is not None else whole.get(line) for line, quantity in chosen.items()}
    return {line: None if quantity is None else Decimal(quantity) for line, quantity in found.items()}


def _lines_words(quantities: Mapping[str, Decimal | None]) -> str:
    parts = [f"{'all' if n is None else f'{n.normalize():f}'} of line {line}" for line, n in quantities.items()]
    return ", ".join(parts) or "no lines"


def _text(quantity: Decimal | None) -> str | None:
    return None if quantity is None else str(quantity)


def next_despatch(facts: Mapping[str, Json], request: TargetRequest) -> Despatch | None:
    """The despatch whose turn it is: the first one of the target whose number was not sent yet."""
    return next(iter(pending_despatches(facts, request)), None)


def may_be_there(facts: Mapping[str, Json], despatch: Despatch) -> bool:
    """Whether the platform may have the despatch from a call of ours whose answer was lost."""
    return despatch.number in unanswered(facts)


def pending_despatches(facts: Mapping[str, Json], request: TargetRequest) -> list[Despatch]:
    """The target's despatches whose numbers were not sent yet. Raises InvalidDespatch."""
    sent = facts.get("despatches", {})
    return [despatch for despatch in read_despatches(request.despatch) if despatch.number not in sent]


def has_final(facts: Mapping[str, Json]) -> bool:
    """Whether the final despatch went out."""
    return any(sent["final"] for sent in facts.get("despatches", {}).values())
