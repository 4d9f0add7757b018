"""The site has every page, and no link on it is dead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.skips import skip

ROOT = Path(__file__).parents[2]
MKDOCS = Path(sys.prefix) / "site" / "bin" / "mkdocs"


def staged(folder: Path) -> Path:
    subprocess.run([sys.executable, ROOT / "docs" / "site" / "stage.py", folder / "source"], check=True)
    return folder / "source"


def built(folder: Path) -> subprocess.CompletedProcess[str]:
    if not MKDOCS.exists():
        skip("there is no mkdocs", "make site-tools")
    places = {"SITE_SOURCE": str(folder / "source"), "SITE_FOLDER": str(folder / "site"), "NO_MKDOCS_2_WARNING": "1"}
    config = ROOT / "docs" / "site" / "mkdocs.yml"
    command: list[str | Path] = [MKDOCS, "build", "--strict", "--config-file", config]
    return subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True, check=False)


def test_every_page_is_on_the_site_no_link_is_dead_and_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    source = staged(tmp_path)
    done = built(tmp_path)

    assert done.returncode == 0, "\n".join(line for line in done.stderr.splitlines() if not line.startswith("INFO"))
    for page in source.rglob("*.md"):
        name = page.relative_to(source).with_suffix(".html")
        assert (tmp_path / "site" / name).is_file() or (tmp_path / "site" / name.parent / "index.html").is_file(), name
    text = (tmp_path / "site" / "docs" / "operate.html").read_text("utf-8")
    for tag in ('<script src="', '<link rel="stylesheet" href="'):
        assert tag in text
        assert f"{tag}http" not in text


def test_each_dead_link_is_an_error(tmp_path: Path) -> None:
    dead = ["examples/nowhere.md", "docs/operate.md#nowhere", "orchestrator/nowhere.py"]
    with (staged(tmp_path) / "CHANGELOG.md").open("a", encoding="utf-8") as page:
        page.write("".join(f"\n[dead]({link})\n" for link in dead))

    done = built(tmp_path)

    assert done.returncode != 0
    assert all(f"'{link}'" in done.stderr for link in dead)
