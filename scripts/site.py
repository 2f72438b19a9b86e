"""Build the documentation as a site: `python scripts/site.py OUT`, or `make docs`. Warnings are errors; no network is needed.

The pages of `docs/` and the root, and beside them a reference that is written from the code: commands, the settings of
each GAN, and the public functions, in English and Chinese. Sphinx with MyST reads the Markdown as it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

import simulacra
from simulacra import messages
from simulacra.catalogue import suits, value_kind
from simulacra.cli.entry import EXAMPLES, GROUP_OF, GROUPS, app
from simulacra.cli.language import localise
from simulacra.config import FROM_DATA, spelled
from simulacra.gan import GAN, setting_text
from simulacra.messages import translated
from simulacra.registry import HIDDEN, gans

ROOT = Path(__file__).parent.parent
PAGES = ("README", "README.zh", "CONTRIBUTING", "CHANGELOG", "SECURITY")  # of the root
GUIDE = (
    "prepare train auto scores alarms few-pictures labels translation studio create live export many-machines lab "
    "extend python troubleshooting"
)
CONF = f"""
import sys

sys.path.append({str(ROOT / "scripts")!r})
project, author, copyright = "simulacra", "The simulacra authors", "2026, the simulacra authors"
extensions = ["myst_parser", "sphinx_copybutton", "mathml"]
html_theme, html_title, html_copy_source = "furo", "simulacra", False
myst_heading_anchors = 4
myst_enable_extensions, html_math_renderer = ["dollarmath"], "mathml"
copybutton_prompt_text = "$ "
"""
INDEX = """# simulacra

```{include} README.md
:start-line: 4
:end-before: "## The GANs"
```
"""
# caption in each language, and its pages in order; `*`: the rest of the folder by name
SIDEBAR = (
    ("Start", "开始", ("README", "start/install", "start/*")),
    ("Guide", "使用指南", ("guide", *(f"guide/{name}" for name in GUIDE.split()))),
    ("Course", "课程", ("course/*",)),
    ("Reference", "参考", ("reference/commands", "reference/gans", "reference/python", "reference-formats")),
    (
        "Project",
        "项目",
        ("benchmarks", "measured", "tried", "versions", "assets", "CONTRIBUTING", "CHANGELOG", "SECURITY"),
    ),
)
COMMANDS = {"en": "Commands", "zh": "命令"}
TO_FILE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def gather(folder: Path) -> None:
    """Copy the pages; links lead to pages of the site, and those to other files of the repository become plain text."""
    shutil.copytree(ROOT / "docs", folder, dirs_exist_ok=True)
    for name in PAGES:
        shutil.copy(ROOT / f"{name}.md", folder)
    for page in folder.rglob("*.md"):
        inside = page.relative_to(folder)
        source = (ROOT if inside.with_suffix("").as_posix() in PAGES else ROOT / "docs") / inside
        text = TO_FILE.sub(partial(relink, source, page, folder), page.read_text(encoding="utf-8"))
        page.write_text(text, "utf-8")


def relink(source: Path, page: Path, folder: Path, link: re.Match[str]) -> str:
    """A link of `source` as a link of `page`, its copy in the site; plain text where the site has no such file."""
    target = Path(os.path.normpath(source.parent / unquote(link[2])))
    for room in (ROOT / "docs", ROOT):
        if target.is_relative_to(room) and (copy := folder / target.relative_to(room)).is_file():
            return f"[{link[1]}]({Path(os.path.relpath(copy, page.parent)).as_posix()}{link[3] or ''})"
    return link[1]


def sidebar(folder: Path) -> Iterator[str]:
    """A table of contents for each caption and language, of the pages that exist."""
    for end in ("", ".zh"):
        for english, chinese, names in SIDEBAR:
            pages = list(dict.fromkeys(page for name in names for page in expand(folder, name, end)))
            if pages:
                yield "\n".join(
                    ("\n```{toctree}", ":maxdepth: 1", f":caption: {chinese if end else english}", *pages, "```")
                )


def expand(folder: Path, name: str, end: str) -> list[str]:
    """The pages that a line of the sidebar names, in the language of the names that end with `end`."""
    if name.endswith("*"):
        stems = {path.name.split(".")[0] for path in (folder / name).parent.glob("*.md")}
        return [page for stem in sorted(stems) for page in expand(folder, name.removesuffix("*") + stem, end)]
    return [name + end] if (folder / f"{name}{end}.md").is_file() else []


def write_reference(folder: Path) -> None:
    """Write the pages about commands and GANs in the language in use."""
    localise(app, GROUPS, GROUP_OF, EXAMPLES)
    end = "" if messages.language() == "en" else f".{messages.language()}"
    commands = re.sub(r"^# .*$", f"# {COMMANDS[messages.language()]}", app.generate_docs(), count=1, flags=re.M)
    commands = re.sub(r"^## Table of Contents\n.*?(?=^\*\*)", "", commands, count=1, flags=re.M | re.S)
    commands = re.sub(r"^[*-] \[`--install-completion`\].*\n", "", commands, flags=re.M)  # it has no section
    (folder / f"commands{end}.md").write_text(commands, "utf-8")
    (folder / f"gans{end}.md").write_text("\n".join(gan_page()), "utf-8")


def gan_page() -> Iterator[str]:
    """What every GAN is, its losses, presets and settings."""
    yield "# GAN\n"
    for name, gan in gans().items():
        yield f"## {name}\n"
        yield f"{gan.title} ({gan.authors}, {gan.year}, {gan.paper}). {suits(gan)}\n"
        for player, formula in zip("DG", gan.formulas, strict=True):
            yield f"- {player}: `{translated(f'settings.{gan.name}.loss.{player}', formula)}`"
        yield ""
        yield from presets(gan)
        headings = ("setting", "default", "values", "meaning")
        yield f"| {' | '.join(messages.text(f'catalogue.{heading}') for heading in headings)} |\n|---|---|---|---|"
        defaults, hints = gan.Config(), typing.get_type_hints(gan.Config)
        for field in dataclasses.fields(defaults):
            if field.name not in (*FROM_DATA, *gan.unused):
                cells = (
                    spelled(getattr(defaults, field.name)),
                    value_kind(hints[field.name]),
                    setting_text(gan, field.name),
                )
                yield f"| `{field.name}` | {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
        yield ""


def presets(gan: type[GAN]) -> Iterator[str]:
    """The presets of a GAN as a list."""
    for preset, chosen in gan.presets.items():
        if not preset.startswith(HIDDEN):
            values = " ".join(f"{key}={spelled(value)}" for key, value in chosen.settings.items())
            yield f"- `{gan.name}:{preset}`: {translated(f'settings.{gan.name}.preset.{preset}', chosen.note)} `{values}`".removesuffix(
                " ``"
            )
    yield ""


def python_page() -> Iterator[str]:
    """The public functions, with their signatures and docstrings."""
    yield "# Python\n\n`import simulacra` takes no time: each name is imported when it is first used.\n"
    for name in simulacra.__all__:
        thing = getattr(simulacra, name)
        yield f"## {name}\n"
        if callable(thing) and not isinstance(thing, type):
            yield f"```python\n{name}{inspect.signature(thing)}\n```\n"
        yield f"{inspect.getdoc(thing) if callable(thing) else 'The registered GANs by name.'}\n"


def build(out: Path) -> None:
    """Write the site to `out`. Raises `subprocess.CalledProcessError` for a page with a warning."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        gather(folder)
        (folder / "conf.py").write_text(CONF, "utf-8")
        (folder / "reference").mkdir()
        for language in messages.LANGUAGES:
            with messages.using(language):
                write_reference(folder / "reference")
        (folder / "reference" / "python.md").write_text("\n".join(python_page()), "utf-8")
        (folder / "index.md").write_text(INDEX + "\n".join(sidebar(folder)), "utf-8")
        words = ["sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / ".doctrees")]
        subprocess.run([sys.executable, "-m", *words, str(folder), str(out)], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    build(parser.parse_args().out)
