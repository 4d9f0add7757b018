"""The command about the webhooks that a platform sends us."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from orchestrator.cli.commands.options import Shop, place_of


def webhooks(
    context: typer.Context,
    shop: Shop,
    register: Annotated[
        str | None,
        typer.Option(
            "--register",
            metavar="ADDRESS",
            help="Ask Shopify for what is missing; where the webhook listener is reached, such as https://hooks.example.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the webhooks that Shopify sends for a shop, or ask for those that are missing."""
    import anyio

    from orchestrator.cli.blocks import show
    from orchestrator.cli.webhooks import look, registration_page, shop_of

    if register is not None and not register.startswith("https://"):
        raise typer.BadParameter("Shopify sends webhooks to https addresses only", param_hint="--register")
    chosen = shop_of(place_of(context).load_config(), shop)
    found = anyio.run(look, chosen, register)
    if as_json:
        told = [{"topic": each.topic, "address": each.address} for each in found.subscriptions]
        sys.stdout.write(json.dumps({"webhooks": told, "registered": found.made}) + "\n")
    else:
        show(registration_page(found))
