"""Commands for whoever looks after an installation: doctor, backup, auth-url."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.commands.options import client_of, own_place, place_of


def doctor(context: typer.Context) -> None:
    """Check this machine and each shop; changes nothing. Is it reachable, are credentials, statuses and clock right?"""
    import anyio

    from orchestrator.cli.blocks import show
    from orchestrator.cli.doctor import Check, examine, findings_page
    from orchestrator.cli.failures import Failure

    checks: list[Check] = anyio.run(examine, own_place(context).load_config())
    show(findings_page(checks))
    if failed := sum(check.finding.status == "failed" for check in checks):
        raise Failure(f"{failed} {'check' if failed == 1 else 'checks'} failed")


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.", show_default=False)],
) -> None:
    """Copy the store in one consistent state. The daemon may run meanwhile."""
    from orchestrator.cli.failures import Failure
    from orchestrator.cli.store import store_of_config, store_of_status
    from orchestrator.clock import Clock
    from storage.errors import StoreError

    place = place_of(context)
    # Whoever names a daemon means that one's store, whatever config.json happens to be here.
    if place.socket is None and place.url is None and place.has_config():
        source = store_of_config(place.config_path(), place.environ)
    else:
        source = store_of_status(client_of(context).get("/v1/status").json())
    try:
        source.backup(file, Clock().now_ms())
    except StoreError as error:
        raise Failure(str(error)) from None
    sys.stdout.write(f"{file} has a copy of {source.place}, {file.stat().st_size:,} bytes\n")


def migrate_store(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FROM_URL", help="The store as storage.url names it.", show_default=False)
    ],
    target: Annotated[str, typer.Argument(metavar="TO_URL", help="A new, empty store.", show_default=False)],
) -> None:
    """Move a stopped store to another engine, verified. Killed midway, run it again."""
    import anyio

    from orchestrator.cli.complaints import complain
    from orchestrator.cli.failures import Failure
    from orchestrator.cli.moving import move_store, stores_of
    from orchestrator.cli.moving_tokens import MovedTokens, move_tokens, sealer_of
    from storage.errors import StoreError

    place = own_place(context)
    engines, tokens = stores_of(source, target), MovedTokens()

    def carry(is_new: bool) -> None:
        nonlocal tokens
        tokens = move_tokens(*engines, lambda: sealer_of(place), is_new=is_new)

    try:
        outcome = anyio.run(move_store, *engines, carry)
    except StoreError as error:
        raise Failure(str(error)) from None
    for where, names in tokens.moved.items():
        sys.stderr.write(f"access tokens: {', '.join(names)} - they are in {where}\n")
    if tokens.sealed:
        complain(
            f"warning: the access tokens of {', '.join(tokens.sealed)} stay sealed in {engines[0].url} - run this "
            "again with --config and a config that has its storage.secret_key"
        )
    if tokens.left:
        complain(
            f"warning: other access tokens of {', '.join(tokens.left)} were at the new store and stay - a daemon may "
            "have fetched them since"
        )
    if outcome.moved:
        sys.stdout.write(f"{outcome.here:,} rows are in {engines[1].url}, as they were.\n")
    else:
        sys.stdout.write(
            f"Nothing to do: all {outcome.here:,} rows of {engines[0].url} were moved to {engines[1].url} before, "
            f"which has {outcome.there:,} now.\n"
        )
    sys.stdout.write("Name it in storage.url and start the daemon; the old store counts as a copy from now on.\n")


def auth_url(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="As the config names it.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="S", help="A permission; repeatable. Default: what fulfilld needs."),
    ] = None,
    locale: Annotated[
        str | None, typer.Option("--locale", metavar="L", help="The page's language, such as zh.")
    ] = None,
) -> None:
    """Print the link where a shop owner makes a token."""
    from orchestrator.registry import PLATFORMS

    links = {name: each.token_link for name, each in PLATFORMS.items() if each.token_link is not None}
    link = links.get(platform.casefold())
    if link is None:
        known = " or ".join(links)
        raise typer.BadParameter(f"only {known} makes its tokens by a link; name {known}")
    try:
        sys.stdout.write(link(tuple(scope or ()), locale) + "\n")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
