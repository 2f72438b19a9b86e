"""The documentation as a site: it is built without a warning, and every link inside leads somewhere."""

from __future__ import annotations

import html.parser
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from simulacra.cli import app
from simulacra.registry import gans

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(find_spec("sphinx") is None, reason="no sphinx: pip install 'simulacra[docs]'")


class Links(html.parser.HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note them."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            elif value and name == "id":
                self.anchors.add(value)


def test_the_site_is_built_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "scripts/site.py", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page: Links(page) for page in tmp_path.rglob("*.html")}
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), f"{page.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{page.name}: {link}"
    for source in (ROOT / "docs").rglob("*.md"):
        page = tmp_path / source.relative_to(ROOT / "docs").with_suffix(".html")
        assert page in pages
        assert page.relative_to(tmp_path).as_posix() in pages[tmp_path / "index.html"].links, "it is in the sidebar"
    for end in ("", ".zh"):
        links = pages[tmp_path / f"README{end}.html"].links
        assert {f"guide{end}.html", f"guide/train{end}.html", f"start/artist{end}.html", "CONTRIBUTING.html"} <= links
        assert f"../README{end}.html" in pages[tmp_path / "guide" / f"train{end}.html"].links
    for end, word in (("", "Draw pictures"), (".zh", "画图；不带参数")):
        commands = (tmp_path / "reference" / f"commands{end}.html").read_text(encoding="utf-8")
        assert all(f"simulacra {name}" in commands for name in app if not name.startswith("-")) and word in commands
        reference = (tmp_path / "reference" / f"gans{end}.html").read_text(encoding="utf-8")
        assert all(gan.paper in reference for gan in gans().values())
