"""The command about the webhooks that a platform sends us."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from orchestrator.cli.commands.options import Shop, own_place


def webhooks(
    context: typer.Context,
    shop: Shop,
    register: Annotated[
        str | None,
        typer.Option(
            "--register",
            metavar="[ADDRESS]",
            help="Ask the platform for what is missing. ADDRESS: where the webhook listener is reached, such as "
            "https://hooks.example; by default webhooks.public_url of the config.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the webhooks that a platform sends; ask for others."""
    import anyio
    from structlog.testing import capture_logs

    from orchestrator.cli.blocks import show
    from orchestrator.cli.complaints import complain
    from orchestrator.cli.failures import ExitCode
    from orchestrator.cli.troubles import troubles
    from orchestrator.cli.webhooks import address_for, inspect_shop, registration_page, shop_of

    config = own_place(context).load_config()
    chosen = shop_of(config, shop)
    address = None if register is None else address_for(config, shop, register)
    with capture_logs() as logged:
        found = anyio.run(inspect_shop, chosen, address, config)
    for trouble in troubles(logged):
        complain(f"warning: {trouble}")
    if as_json:
        rows = [{"topic": each.topic, "address": each.address} for each in found.subscriptions]
        answer = {"webhooks": rows, "registered": found.made, "missing": found.missing}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        show(registration_page(found, shop, config.webhooks.public_url if config.webhooks is not None else None))
    if register is not None and found.missing:
        raise typer.Exit(ExitCode.FAILED)
