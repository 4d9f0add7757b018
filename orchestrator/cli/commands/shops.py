"""Commands about the daemon and its shops: status, pause, resume, sync."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.commands.options import (
    AsJson,
    Reason,
    Shop,
    WaitSeconds,
    client_of,
    print_json,
    reason_body,
)

if TYPE_CHECKING:
    from orchestrator.cli.client import Client

_REFRESH_SECONDS = 1.0


def status(
    context: typer.Context,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh every second until Ctrl-C; with --json one dump a line.")
    ] = False,
) -> None:
    """Show the daemon, its shops, and which orders need a person."""
    from orchestrator.cli.blocks import is_terminal, show
    from orchestrator.cli.status_page import status_page

    client = client_of(context)
    if watch and is_terminal() and not as_json:
        _watch(client)
    while True:
        answer = client.get("/v1/status")
        if as_json:
            print_json(answer)
        else:
            show(status_page(answer.json()))
        if not watch:
            return
        sys.stdout.flush()
        time.sleep(_REFRESH_SECONDS)


def pause(context: typer.Context, shop: Shop, reason: Reason = None, as_json: AsJson = False) -> None:
    """Stop a shop's steps and syncs until it is resumed. Running calls finish."""
    answer = client_of(context).post(f"{_path(shop)}/pause", reason_body(reason))
    if as_json:
        print_json(answer)
    else:
        sys.stdout.write(f"{shop} is paused; `fulfilld resume {shop}` ends it\n")


def resume(context: typer.Context, shop: Shop, as_json: AsJson = False) -> None:
    """End a shop's pause, whoever caused it."""
    from orchestrator.cli.standstill import of_shop

    answer = client_of(context).post(f"{_path(shop)}/resume")
    if as_json:
        print_json(answer)
    elif (left := of_shop(answer.json())) is not None:
        sys.stdout.write(f"that pause is over, but {left.text}; {left.remedy}\n")
    else:
        sys.stdout.write(
            f"{shop} is resumed: its steps and syncs go on, a sync begins now; `fulfilld status` shows how it does\n"
        )


def sync(context: typer.Context, shop: Shop, wait: WaitSeconds = None, as_json: AsJson = False) -> None:
    """Sync a shop now."""
    from orchestrator.cli.failures import Failure

    client = client_of(context)
    answer = client.post(f"{_path(shop)}/sync", query={"wait": wait}, wait_seconds=wait or 0)
    if as_json:
        print_json(answer)
    elif answer.status == 200:
        report = answer.json()
        found = ", ".join(f"{number} {name}" for name, number in report.items() if isinstance(number, int))
        sys.stdout.write(f"{shop} is synced: {found}\n")
    if answer.status != 202:
        return
    waits = _wait_of(client, shop)
    if wait is not None:
        message = f"the sync of {shop} did not end within {wait:g} s{waits}"
        raise Failure(message, remedy="it goes on in the daemon")
    if not as_json:
        sys.stdout.write(f"{shop} is {'to be synced' if waits else 'being synced'}{waits}\n")


def _wait_of(client: Client, shop: str) -> str:
    """What keeps a shop from being asked now, as words behind a sentence; none if it is asked, or nobody knows.

    Raises Failure where a person has to end it.
    """
    from orchestrator.cli.failures import Failure
    from orchestrator.cli.standstill import of_shop

    try:
        view = client.get(_path(shop)).json()
    except Failure:  # what was asked for is under way: this is for information only
        return ""
    if (found := of_shop(view)) is not None:
        raise Failure(f"{shop} is not synced now, for {found.text}", remedy=found.remedy)
    if not (wait := view.get("wait")):
        return ""
    return f", waiting for {wait['reason']}" + (f" until {wait['until']}" if wait.get("until") else "")


def _path(shop: str) -> str:
    from orchestrator.cli.client import segment

    return f"/v1/shops/{segment(shop)}"


def _watch(client: Client) -> None:
    """The status page, kept fresh on a terminal until Ctrl-C."""
    from rich.live import Live

    from orchestrator.cli.blocks import rich_page
    from orchestrator.cli.status_page import status_page

    first = rich_page(status_page(client.get("/v1/status").json()))
    with Live(first, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(_REFRESH_SECONDS)
            live.update(rich_page(status_page(client.get("/v1/status").json())), refresh=True)
