"""How commands behave, all of them: failures on stderr with their exit code, Ctrl-C and a closed pipe quiet."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from typing import Any, ClassVar, NoReturn

import typer
from typer.core import TyperGroup

from orchestrator.cli.complaints import complain
from orchestrator.cli.completion import VARIABLE
from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.usage import UsageError, UsualCommand, reword

WAIT_SECONDS = 60.0
"""What `--wait` without a number means."""

REGISTER_HERE = "here"
"""What `--register` without an address means: the one that the config names."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+")
_ADDRESS = re.compile(r"[a-zA-Z]+://.*")


class FulfilldGroup(TyperGroup):
    """The root of all commands."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Runs a command, or says what may stand where the cursor is to a shell that asks."""
        if VARIABLE in os.environ:
            from typer.completion import completion_init  # type: ignore[attr-defined]

            completion_init()
        return super().main(*args, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Shows the help of a command at once: the library would first check the values of the global options, with
        pydantic, which takes longer than all the rest."""
        inner, rest = ctx, list(args)
        while rest and rest[0] in getattr(inner.command, "commands", {}):
            command = inner.command.commands[rest[0]]
            inner = command.context_class(command, info_name=rest.pop(0), parent=inner)
        if inner is not ctx and rest[:1] == ["--help"] and not ctx.resilient_parsing:
            typer.echo(inner.command.get_help(inner))
            raise typer.Exit
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; a Failure becomes its text on stderr and its exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here, where a reader that went away can still be distinguished from an error
            return result
        except Failure as failure:
            return self._end(failure)
        except UsageError as error:
            reword(error)
            raise
        except UnicodeEncodeError as error:
            # Only what came from outside can hold half a character: output takes any letter (streams.py).
            shown = error.object[:80].encode("ascii", "backslashreplace").decode()
            return self._end(Failure(f"{shown} is not UTF-8", ExitCode.USAGE, remedy="write it in UTF-8"))
        except BrokenPipeError:
            # Whoever reads stdout (`| head`) has what it wanted. Python must not find out again when it ends.
            _forget_stdout()
            raise typer.Exit(ExitCode.DONE) from None
        except OSError as error:
            raise typer.Exit(say_unwritten(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    def _end(self, failure: Failure) -> NoReturn:
        with contextlib.suppress(OSError):
            sys.stdout.flush()  # what was printed comes before what went wrong
        complain(f"fulfilld: {failure.text()}")
        raise typer.Exit(failure.code) from None


class _MayFollow(UsualCommand):
    """A command with an `option` that may be followed by a value of the form `value`, or not: then it is `usual`."""

    option: ClassVar[str]
    value: ClassVar[re.Pattern[str]]
    usual: ClassVar[str]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the usual value behind an option that has none."""
        filled: list[str] = []
        for at, argument in enumerate(args):
            if argument == "--":
                filled += args[at:]
                break
            filled.append(argument)
            has_value = at + 1 < len(args) and self.value.fullmatch(args[at + 1])
            if argument == self.option and not has_value:
                filled.append(self.usual)
        return super().parse_args(ctx, filled)


class WaitCommand(_MayFollow):
    """A command with `--wait [SECONDS]` (docs/cli.md)."""

    option, value, usual = "--wait", _NUMBER, f"{WAIT_SECONDS:g}"


class RegisterCommand(_MayFollow):
    """A command with `--register [ADDRESS]`."""

    option, value, usual = "--register", _ADDRESS, REGISTER_HERE


def say_unwritten(error: OSError) -> ExitCode:
    """Says on stderr that the output cannot be written; returns the exit code. Raises `error` if it is about something
    else."""
    if error.errno not in _FULL:
        raise error
    _forget_stdout()
    complain(f"fulfilld: the output cannot be written: {error.strerror}")
    return ExitCode.FAILED


def _forget_stdout() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
