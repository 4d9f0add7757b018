"""Lays out what the site is built of: every page of the project where it is, and the files that pages link to.

`python docs/site/stage.py FOLDER`. Pages link to each other and to the code by relative paths, as they are read in the
repository. So the folder is the repository with the pages and what they name, and the same paths lead there. A link to
a folder leads to the folder's own page where it has one, and is plain text otherwise.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]*)\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\((?P<path>[^)\s#:]+)\)")
_FENCED = re.compile(r"(?ms)(^ *```.*?^ *```[^\n]*$)")
_SHOWN_AS_TEXT = ".txt"


def stage(folder: Path) -> None:
    """Makes the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - no word of it comes from elsewhere
    for name in listed.stdout.splitlines():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        pieces = _FENCED.split((ROOT / name).read_text("utf-8"))
        page = Path(name).parent
        pieces[::2] = [_led(piece, page, folder) for piece in pieces[::2]]
        place.write_text("".join(pieces), "utf-8")


def _led(text: str, page: Path, folder: Path) -> str:
    """The text of a page in the folder `page`, its links as they lead on the site; what they name is copied there."""
    for image in _IMAGE.finditer(text):
        _bring(page / image["path"], folder)

    def led(link: re.Match[str]) -> str:
        target = ROOT / page / link["path"]
        if target.is_dir():
            own = f"{link['path'].rstrip('/')}/README.md"
            return f"[{link['text']}]({own})" if (ROOT / page / own).is_file() else link["text"]
        if target.suffix == ".md" or not target.is_file():  # a dead link is for the builder to find
            return link[0]
        _bring(page / link["path"], folder, _SHOWN_AS_TEXT)
        return f"[{link['text']}]({link['path']}{_SHOWN_AS_TEXT})"

    return _LINK.sub(led, text)


def _bring(name: Path, folder: Path, suffix: str = "") -> None:
    source = (ROOT / name).resolve()
    if source.is_file():
        place = folder / f"{source.relative_to(ROOT)}{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
