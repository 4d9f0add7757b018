"""The command that shows the daemon's page in a browser."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.cli.commands.options import client_of


def dashboard(
    context: typer.Context,
    opens: Annotated[bool, typer.Option("--open", help="Open the link in the browser of this machine.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="P", help="Port on loopback; 0: any.")] = 0,
) -> None:
    """Serve the daemon's page on a loopback port until Ctrl-C. Prints a link that works once."""
    from orchestrator.cli.complaints import complain
    from orchestrator.cli.dashboard import serve

    client = client_of(context)
    client.get("/v1/health")  # who is not there is named now, not in the browser

    def announce(link: str) -> None:
        sys.stdout.write(f"{link}\n")
        sys.stdout.flush()
        complain("the link works once; Ctrl-C ends the page")
        if opens:
            import threading
            import webbrowser

            # some are waited for until they end, and have to be answered meanwhile
            threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

    serve(client.address, port, announce)
