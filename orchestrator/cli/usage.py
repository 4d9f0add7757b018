"""What is said about a command line that cannot be understood, in our messages in place of the library's.

The library checks values with pydantic, whose sentences are for programmers, and does not know that an option which one
command lacks may stand before all of them.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from orchestrator.cli.complaints import fitted

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What the library raises for every mistake in a command line; it is not exported by name."""

_OF_A_DAEMON = ("--socket", "--url")

GLOBAL_OPTIONS = {"--config": "FILE", "--socket": "PATH", "--url": "URL"}
"""The options that stand before the command, with what follows them."""

OWN = frozenset({"run", "config check", "doctor", "webhooks", "migrate-store", "sandbox", "demo"})
"""The commands that ask no daemon, though they work on something: what names one says nothing to them."""

_HEADING = "Error: "
"""What the library puts before its message."""

_TYPES = {"int_parsing": "a whole number", "float_parsing": "a number"}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


class UsualCommand(TyperCommand):
    """A command whose usage line shows arguments as SHOP, and as [SHOP] where they may be left out."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the usage line without the braces that the library puts around what is required."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece[1:-1] if piece[:1] == "{" and piece[-1:] == "}" else piece for piece in pieces]


def reword(error: Any) -> None:
    """Changes the message of a UsageError to what helps, and breaks it as stderr needs; else it stays."""
    option = getattr(error, "option_name", None)
    if option in GLOBAL_OPTIONS and error.ctx is not None:
        program = error.ctx.find_root().command_path
        command = error.ctx.command_path.removeprefix(program).strip()
        if not (command in OWN and option in _OF_A_DAEMON):
            error.message += f" - it stands before the command: {program} {option} {GLOBAL_OPTIONS[option]} {command}"
    elif (words := _constraint(error.__cause__)) is not None:
        error.message = words
    message = fitted(f"{_HEADING}{error.format_message()}").removeprefix(_HEADING)
    error.format_message = lambda: message


def _constraint(cause: Any) -> str | None:
    """What pydantic asks of a value, in words; None where it says nothing."""
    from pydantic import ValidationError

    if not isinstance(cause, ValidationError):
        return None
    details = cause.errors(include_input=False, include_url=False)[0]
    kind, context = details["type"], details.get("ctx", {})
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {context[name]:g}"
    return str(context["error"]) if kind == "value_error" else None
