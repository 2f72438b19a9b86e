"""Layout of the help pages, with its fixed words in the language in use."""

from __future__ import annotations

from typing import Any

from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
from rich.text import Text

from simulacra.messages import text

FIXED = {
    "--help": "cli.help_option",
    "--version": "cli.version_option",
    "--install-completion": "cli.completion_option",
}


class HelpFormatter(DefaultFormatter):
    """cyclopts' layout; "Usage", "choices", "default" and "required" come from the catalogue."""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        """Print one panel."""
        super().__call__(console, options, panel.copy(entries=[_spoken(entry) for entry in panel.entries]))

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        """Print the usage line."""
        if usage:
            console.print(Text(text("cli.usage", usage=str(usage).removeprefix("Usage: "))))


def _spoken(entry: HelpEntry) -> HelpEntry:
    """An entry whose remarks are part of its description."""
    remarks = []
    if entry.choices:
        remarks.append(text("cli.remark.choices", choices=", ".join(entry.choices)))
    if entry.default not in (None, '""'):
        remarks.append(text("cli.remark.default", default=entry.default))
    if entry.required:
        remarks.append(text("cli.remark.required"))
    code = next((FIXED[name] for name in entry.positive_names if name in FIXED), None)
    description = text(code) if code else _plain(entry.description)
    return entry.copy(description=" ".join([description, *remarks]), choices=None, default=None, required=False)


def _plain(description: Any) -> str:
    """A description as plain text."""
    if description is None:
        return ""
    if isinstance(description, str):
        return description
    inner = getattr(description, "primary_renderable", description)
    return str(getattr(inner, "plain", inner) if inner is not None else "")
