"""The command that prints what a shell needs to complete our commands."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """The shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print what a shell needs to complete commands and names.

    Shops, orders, states and consumers are asked of the daemon, if one answers.
    """
    from orchestrator.cli.completion import script_of

    sys.stdout.write(f"{script_of(shell)}\n")
