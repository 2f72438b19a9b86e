"""Build the documentation as a site: `python scripts/site.py OUT`, or `make docs`. Warnings are errors; no network is needed.

The pages of `docs/` and the root, and beside them a reference that is written from the code: commands, the settings of
each GAN, and the public functions, in English and Chinese. Sphinx with MyST reads the Markdown as it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

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
CONF = """
project, author, copyright = "simulacra", "The simulacra authors", "2026, the simulacra authors"
extensions = ["myst_parser", "sphinx_copybutton"]
html_theme, html_title, html_copy_source = "furo", "simulacra", False
myst_heading_anchors = 4
copybutton_prompt_text = "$ "
"""
INDEX = """# simulacra

```{include} README.md
:start-line: 4
:end-before: "## Install"
```

```{toctree}
:caption: English
README
guide
reference/commands
reference/gans
reference/python
benchmarks
versions
CONTRIBUTING
CHANGELOG
SECURITY
```

```{toctree}
:caption: 中文
README.zh
guide.zh
reference/commands.zh
reference/gans.zh
benchmarks.zh
versions.zh
```
"""
COMMANDS = {"en": "Commands", "zh": "命令"}
TO_FILE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def gather(folder: Path) -> None:
    """Copy the pages; links lead to pages of the site, and those to other files of the repository become plain text."""
    shutil.copytree(ROOT / "docs", folder, dirs_exist_ok=True)
    for name in PAGES:
        shutil.copy(ROOT / f"{name}.md", folder)
    for page in folder.glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](docs/", "](").replace("](../", "](")
        page.write_text(TO_FILE.sub(lambda link: link[0] if (folder / link[2]).exists() else link[1], text), "utf-8")


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
        (folder / "index.md").write_text(INDEX, "utf-8")
        (folder / "reference").mkdir()
        for language in messages.LANGUAGES:
            with messages.using(language):
                write_reference(folder / "reference")
        (folder / "reference" / "python.md").write_text("\n".join(python_page()), "utf-8")
        words = ["sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / ".doctrees")]
        subprocess.run([sys.executable, "-m", *words, str(folder), str(out)], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    build(parser.parse_args().out)
