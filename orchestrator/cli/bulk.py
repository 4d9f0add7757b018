"""Submitting many targets: the lines go out while the answers come in, with progress for whoever watches stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.blocks import clean
from orchestrator.cli.complaints import complain
from orchestrator.cli.failures import ExitCode, Failure, Refusal

if TYPE_CHECKING:
    from rich.progress import Progress

    from orchestrator.cli.client import Client

_SHOWN_EVERY = 50


@dataclass(slots=True)
class Tally:
    """The results of the lines. `sent` counts those with something on them."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0

    @property
    def answered(self) -> int:
        """Lines that the daemon answered."""
        return self.accepted + self.refused


def submit_lines(client: Client, lines: Iterable[bytes], tally: Tally, *, as_json: bool) -> None:
    """Submits one target a line and counts in `tally`.

    Refused lines are reported on stderr with their number; with `as_json` every answer is a line on stdout. Raises
    Failure (3) when the daemon goes away, with how far it came.
    """
    try:
        with _progress() as progress:
            task = progress.add_task("targets", total=None) if progress is not None else None
            for answer in client.bulk("/v1/targets", _counted(lines, tally)):
                _take(answer, tally, as_json)
                if progress is not None and task is not None and tally.answered % _SHOWN_EVERY == 0:
                    progress.update(task, completed=tally.answered, total=tally.sent)
            if progress is not None and task is not None:
                progress.update(task, completed=tally.answered, total=tally.sent)
    except Failure as failure:
        if failure.code is not ExitCode.UNREACHABLE or not tally.sent:
            raise
        sentence = f"{failure.sentence}, answered until then: {tally.answered} of {tally.sent} lines"
        remedy = "the lines behind them may or may not have been accepted; lines with a `key` can be sent again safely"
        raise Failure(sentence, failure.code, remedy=remedy) from None


def _take(answer: Any, tally: Tally, as_json: bool) -> None:
    is_accepted = answer["status"] < 400
    if is_accepted:
        tally.accepted += 1
    else:
        tally.refused += 1
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n")
    elif not is_accepted:
        refusal = Refusal(answer["status"], answer["problem"])
        text = "; ".join([refusal.sentence, *refusal.details])
        complain(f"line {answer['line']}: {clean(text)}")


def _counted(lines: Iterable[bytes], tally: Tally) -> Iterator[bytes]:
    """The lines, each with its line break, blank ones too: the daemon's line numbers are the file's."""
    for line in lines:
        if line.strip():
            tally.sent += 1
        yield line if line.endswith(b"\n") else line + b"\n"


def _progress() -> Progress | nullcontext[None]:
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
