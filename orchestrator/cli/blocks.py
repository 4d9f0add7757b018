"""What commands show: lines and tables, with colours on a terminal and aligned plain text when piped.

Pages are plain data that pure functions make of the API's JSON (pages.py); this module alone knows how they look.
Text that came from elsewhere (a platform's words) is cleaned of control characters, which could steer a terminal.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

Tone = Literal["plain", "strong", "dim", "good", "busy", "bad"]

_STYLES: dict[Tone, str] = {
    "plain": "",
    "strong": "bold",
    "dim": "dim",
    "good": "green",
    "busy": "cyan",
    "bad": "bold red",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text and what it says about itself."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; `indent` in blanks."""

    cells: tuple[Cell, ...]
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `right`: the columns that are numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[int] = frozenset()


Page: TypeAlias = Sequence[Line | Grid]


def line(*cells: str | Cell, indent: int = 0) -> Line:
    """A line of cells, set side by side as they are."""
    return Line(tuple(_cell(cell) for cell in cells), indent)


def grid(headers: Iterable[str], rows: Iterable[Iterable[str | Cell]], right: Iterable[int] = ()) -> Grid:
    """A table of cells."""
    return Grid(tuple(headers), tuple(tuple(_cell(cell) for cell in row) for row in rows), frozenset(right))


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def show(page: Page) -> None:
    """Prints a page on stdout as fits what stdout is."""
    if not is_terminal():
        sys.stdout.write(plain(page))
        return
    from rich.console import Console

    Console().print(rich_page(page))


def plain(page: Page) -> str:
    """A page as plain text: tables with aligned columns two blanks apart, nothing cut."""
    lines: list[str] = []
    for block in page:
        if isinstance(block, Line):
            lines.append(" " * block.indent + "".join(clean(cell.text) for cell in block.cells))
        else:
            lines += _plain_grid(block)
    return "".join(f"{text.rstrip()}\n" for text in lines)


def rich_page(page: Page) -> Group:
    """A page for rich, to print or to keep alive on a terminal."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    def text(cell: Cell) -> Text:
        return Text(clean(cell.text), style=_STYLES[cell.tone])

    shown: list[Padding | Table | Text] = []
    for block in page:
        if isinstance(block, Line):
            joined = Text().join([text(cell) for cell in block.cells])
            shown.append(Padding(joined, (0, 0, 0, block.indent)) if block.indent else joined)
            continue
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for at, header in enumerate(block.headers):
            table.add_column(header, justify="right" if at in block.right else "left", overflow="fold")
        for row in block.rows:
            table.add_row(*(text(cell) for cell in row))
        shown.append(table)
    return Group(*shown)


def clean(text: str) -> str:
    """Text on one line without anything that a terminal would obey."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)


def _cell(cell: str | Cell) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def _plain_grid(block: Grid) -> list[str]:
    rows = [block.headers, *(tuple(clean(cell.text) for cell in row) for row in block.rows)]
    widths = [max(_width(row[at]) for row in rows) for at in range(len(block.headers))]
    return ["  ".join(_padded(text, widths[at], at in block.right) for at, text in enumerate(row)) for row in rows]


def _padded(text: str, width: int, is_right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if is_right else text + blanks


def _width(text: str) -> int:
    """How many columns a text takes: wide (East Asian) characters two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)
