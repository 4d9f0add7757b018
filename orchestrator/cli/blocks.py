"""What commands show: lines and tables, with colours on a terminal and aligned plain text when piped.

Pages are plain data that pure functions make of the API's JSON (pages.py); this module alone knows how they look.
Text that came from elsewhere (a platform's message) is cleaned of control characters, which could steer a terminal.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
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

_PIECE = re.compile(r"(?:[^\s,]+,*|,+)\s*|\s+")
"""What stays together when text is broken into lines: a word, or a part of a list that is written without blanks."""

_GAP = 2  # blanks between two columns
_READABLE = 20  # text that is broken into lines should have this much,
_BROKEN = 10  # and gives no more than down to this before other columns are broken too


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text and what it says about itself."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; `indent` in blanks. Where a narrow terminal breaks it the rest stands `hang` further in."""

    cells: tuple[Cell, ...]
    indent: int = 0
    hang: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `right`: the columns that are numbers; `wraps`: those that may be broken into lines.

    `narrow` says the same on a terminal that has not the room for all columns, and may have a `narrow` of its own;
    plain text never needs it.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[int] = frozenset()
    wraps: frozenset[int] = frozenset()
    narrow: tuple[Line | Grid, ...] = ()


Page: TypeAlias = Sequence[Line | Grid]


def line(*cells: str | Cell, indent: int = 0, hang: int = 0) -> Line:
    """A line of cells, set side by side as they are."""
    return Line(tuple(_cell(cell) for cell in cells), indent, hang)


def grid(
    headers: Iterable[str],
    rows: Iterable[Iterable[str | Cell]],
    right: Iterable[int] = (),
    wraps: Iterable[int] | None = None,
    narrow: Page = (),
) -> Grid:
    """A table of cells; the last column may be broken into lines unless `wraps` says otherwise."""
    names = tuple(headers)
    cells = tuple(tuple(_cell(cell) for cell in row) for row in rows)
    return Grid(names, cells, frozenset(right), frozenset((len(names) - 1,) if wraps is None else wraps), tuple(narrow))


def is_terminal() -> bool:
    """Whether stdout is a terminal."""
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


def fitting(page: Page, width: int) -> Page:
    """The page with tables that leave each column room enough to be read on a terminal of `width` columns."""
    shown: list[Line | Grid] = []
    for block in page:
        if isinstance(block, Grid) and block.narrow and _least_width(block) > width:
            shown += fitting(block.narrow, width)
        else:
            shown.append(block)
    return shown


def rich_page(page: Page, width: int | None = None) -> Group:
    """A page for rich, to print or to keep alive on a terminal of `width` columns, by default as many as there are."""
    from rich.console import Console, Group

    width = width or Console().width
    shown: list[Text] = []
    for block in fitting(page, width):
        if isinstance(block, Line):
            shown += _rich_line(block, width)
        else:
            shown += _rich_grid(block, column_widths(block, width))
    return Group(*shown)


def _rich_line(block: Line, width: int) -> Iterator[Text]:
    """The lines that a line takes."""
    from rich.text import Text

    indent = min(block.indent, width // 2)
    hang = min(block.hang, width // 2 - indent)
    text = _joined(_rich(cell) for cell in block.cells)
    first, *rest = text.divide(_breaks(text.plain, width - indent)[:1])
    yield _joined([Text(" " * indent), first])
    for part in rest:
        for broken in _broken(part, width - indent - hang):
            yield _joined([Text(" " * (indent + hang)), broken])


def _rich_grid(block: Grid, widths: list[int]) -> Iterator[Text]:
    """The lines of a table. rich has tables of its own, which take width from all columns alike when there is not
    enough, numbers and headings too."""
    for row in (tuple(Cell(header, "dim") for header in block.headers), *block.rows):
        broken = [_broken(_rich(cell), widths[at]) for at, cell in enumerate(row)]
        for number in range(max(map(len, broken))):
            pieces = [lines[number] if number < len(lines) else _rich(Cell("")) for lines in broken]
            for at, piece in enumerate(pieces):
                piece.align("right" if at in block.right else "left", widths[at])
            yield _joined(pieces, " " * _GAP)


def _broken(text: Text, width: int) -> list[Text]:
    """The text in lines of `width` columns, broken between words and in lists; a longer word is broken anywhere."""
    lines = list(text.divide(_breaks(text.plain, width)))
    for part in lines:
        part.rstrip()
    return lines or [text]


def _breaks(text: str, width: int) -> list[int]:
    """Where in the text lines begin, but for the first."""
    breaks: list[int] = []
    used = 0
    for match in _PIECE.finditer(text):
        piece, at = match.group(), match.start()
        if used and used + _width(piece.rstrip()) > width:
            breaks.append(at)
            used = 0
        for offset, character in enumerate(piece.rstrip()):
            if used and used + _width(character) > width:
                breaks.append(at + offset)
                used = 0
            used += _width(character)
        used += len(piece) - len(piece.rstrip())
    return breaks


def _joined(texts: Iterable[Text], gap: str = "") -> Text:
    from rich.text import Text

    joined = Text(gap).join(texts)
    joined.rstrip()
    return joined


def _rich(cell: Cell) -> Text:
    from rich.text import Text

    return Text(clean(cell.text), style=_STYLES[cell.tone])


def clean(text: str) -> str:
    """Text on one line without anything that a terminal would obey."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text)


def _cell(cell: str | Cell) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def _plain_grid(block: Grid) -> list[str]:
    rows, widths = _texts(block), _widths(block)
    return [
        (" " * _GAP).join(_padded(text, widths[at], at in block.right) for at, text in enumerate(row)) for row in rows
    ]


def _texts(block: Grid) -> list[tuple[str, ...]]:
    return [block.headers, *(tuple(clean(cell.text) for cell in row) for row in block.rows)]


def _widths(block: Grid) -> list[int]:
    """How wide each column is when nothing in it is broken."""
    rows = _texts(block)
    return [max(_width(row[at]) for row in rows) for at in range(len(block.headers))]


def column_widths(block: Grid, width: int) -> list[int]:
    """How wide each column is on a terminal of `width` columns: those that may be broken into lines give way first,
    the widest before the others; what is still too wide is broken all the same."""
    widths = _widths(block)
    excess = sum(widths) + _GAP * (len(widths) - 1) - width
    for columns, least in ((sorted(block.wraps), _BROKEN), (range(len(widths)), 1)):
        while excess > 0 and (can_give := [at for at in columns if widths[at] > least]):
            widths[max(can_give, key=widths.__getitem__)] -= 1
            excess -= 1
    return widths


def _least_width(block: Grid) -> int:
    """How wide a table is whose columns that may be broken into lines are as narrow as they can well be read."""
    widths = [min(width, _READABLE) if at in block.wraps else width for at, width in enumerate(_widths(block))]
    return sum(widths) + _GAP * (len(widths) - 1)


def _padded(text: str, width: int, is_right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if is_right else text + blanks


def _width(text: str) -> int:
    """How many columns a text takes: wide (East Asian) characters two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)
