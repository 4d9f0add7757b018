"""What may stand where the cursor is: names that the daemon knows, asked of it while somebody waits.

So it is asked briefly, and whatever goes wrong is silence: a shell that completes must neither hang nor print errors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import typer

Candidates: TypeAlias = list[tuple[str, str]]
"""Names, each with what a shell may show beside it. The library leaves out those that do not begin as the word does."""

VARIABLE = "_FULFILLD_COMPLETE"
"""What the scripts of the shells set when they ask."""

_SECONDS = 1.0  # for all that is asked
_LEAST_SECONDS = 0.01
_MOST_ORDERS = 500
_MOST_CAUSES = 100
_ONLY = {"skip": "blocked"}
"""Commands that take orders in one situation alone."""
_BASH = """
_fulfilld_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _FULFILLD_COMPLETE=complete_bash $1 ) )
}
complete -o filenames -o default -F _fulfilld_completion fulfilld
""".strip()
"""The library's, with names quoted that have blanks in them, as states have."""


def script_of(shell: str) -> str:
    """What a shell reads to complete our commands. bash, zsh and fish are known."""
    if shell == "bash":
        return _BASH
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    return str(get_completion_script(prog_name="fulfilld", complete_var=VARIABLE, shell=shell))


def shops(context: typer.Context) -> Candidates:
    """The daemon's shops, each with its platform."""
    return _asked(context, lambda get: [(each["name"], each["platform"]) for each in _shops(get)])


def orders(context: typer.Context) -> Candidates:
    """Orders of the shop that is named before, each with its reference and state; for `skip` the blocked ones."""

    def found(get: _Get) -> Candidates:
        situation = _ONLY.get(context.info_name or "")
        shop = context.params.get("shop")
        rows = get("/v1/orders", {"shop": shop, "situation": situation, "limit": _MOST_ORDERS})["orders"]
        return [(each["id"], " ".join(filter(None, (each.get("reference"), each["state"])))) for each in rows]

    return _asked(context, found)


def states(context: typer.Context) -> Candidates:
    """The states of the shop that is named before, or of all shops, and the milestones that they stand for."""

    def found(get: _Get) -> Candidates:
        names: dict[str, str] = {}
        wanted = context.params.get("of_shop") or context.params.get("shop")
        for shop in _shops(get):
            if wanted in (None, shop["name"]):
                machine = get(f"/v1/machines/{shop['platform']}", {"shop": shop["name"]})
                for state in machine["states"]:
                    milestone = state.get("milestone") or ""
                    names.setdefault(state["name"], milestone)
                    names.setdefault(milestone, "milestone")
        return [(name, words) for name, words in names.items() if name]

    return _asked(context, found)


def consumers(context: typer.Context) -> Candidates:
    """The consumers whose cursor the daemon keeps."""
    return _asked(context, lambda get: [(each["name"], "") for each in get("/v1/consumers", {})["consumers"]])


def causes(context: typer.Context) -> Candidates:
    """The causes of problems that orders have now, each with its words."""
    asked = {"limit": _MOST_CAUSES}
    return _asked(
        context, lambda get: [(each["cause"], each["detail"]) for each in get("/v1/orders/causes", asked)["causes"]]
    )


def jobs(context: typer.Context) -> Candidates:
    """The newest jobs, each with what it does."""
    return _asked(
        context,
        lambda get: [(each["id"], f"{each['action']} {each['status']}") for each in get("/v1/jobs", {})["jobs"]],
    )


def words(known: Iterable[str]) -> Callable[[], list[str]]:
    """A completion by words that are known without a daemon."""
    return lambda: list(known)


_Get: TypeAlias = Callable[[str, dict[str, Any]], Any]


def _shops(get: _Get) -> Any:
    return get("/v1/shops", {})["shops"]


def _asked(context: typer.Context, found: Callable[[_Get], Candidates]) -> Candidates:
    from orchestrator.cli.client import Client
    from orchestrator.cli.place import Place

    given = context.find_root().params
    try:
        place = Place(given.get("config"), given.get("socket"), given.get("url"), os.environ)
        address, deadline = place.address(), time.monotonic() + _SECONDS

        def get(path: str, query: dict[str, Any]) -> Any:
            left_seconds = max(deadline - time.monotonic(), _LEAST_SECONDS)
            return Client(address, call_seconds=left_seconds).get(path, query).json()

        return found(get)
    except Exception:  # noqa: BLE001 - supervised: whoever completes sees nothing, the command itself will say why
        return []
