"""`simulacra list`: the GANs, whom each suits, and what can be set in each."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rich.table import Table

from simulacra import messages
from simulacra.config import FROM_DATA, spelled, unmet
from simulacra.console import console, say
from simulacra.gan import GAN, setting_text
from simulacra.messages import translated
from simulacra.registry import HIDDEN, find, gans


def list_gans() -> None:
    """Print one block per GAN: its paper, whom it suits, losses, parameters at its own settings, presets."""
    for name, gan in gans().items():
        config = gan.Config()
        model = gan(config)
        g, d = (sum(p.numel() for p in network.parameters()) for network in (model.G, model.D))
        channels, height, width = config.shape
        console.print(f"[bold]{name}[/bold]  {gan.year}  {gan.title}  ({gan.authors}, {gan.paper})")
        _print_about(gan)
        say("catalogue.size", size=f"{width}x{height}x{channels}", g=g, d=d)
        if names := [f"{name}:{preset}" for preset in gan.presets if not preset.startswith(HIDDEN)]:
            say("catalogue.presets", names=names)


def show_gan(name: str) -> None:
    """Print a GAN's presets and every setting that has an effect, with its default, values and sentence."""
    gan = find(name)
    console.print(f"{gan.name}: {gan.title} ({gan.authors}, {gan.year}, {gan.paper})", markup=False)
    _print_about(gan)
    for preset, chosen in gan.presets.items():
        if not preset.startswith(HIDDEN):
            values = " ".join(f"{key}={spelled(value)}" for key, value in chosen.settings.items())
            note = translated(f"settings.{gan.name}.preset.{preset}", chosen.note)
            console.print(f"  {gan.name}:{preset}  {note}  [{values}]", markup=False)
    defaults, hints = gan.Config(), get_type_hints(gan.Config)
    idle = gan.idle_settings(defaults)
    table = Table(box=None)
    for code in HEADINGS:  # Chinese has no spaces to break a line at: without fold, its end is cut off
        table.add_column(messages.text(code), overflow="fold")
    for field in dataclasses.fields(defaults):
        if field.name not in (*FROM_DATA, *idle):
            value, kind = spelled(getattr(defaults, field.name)), value_kind(hints[field.name])
            table.add_row(field.name, value, kind, setting_text(gan, field.name))
    console.print(table, soft_wrap=False)
    sleeping = [f"{name} ({wake})" for name in idle if name not in gan.unused and (wake := unmet(defaults, name))]
    if sleeping:
        say("catalogue.with_others", names=sleeping)


HEADINGS = ("catalogue.setting", "catalogue.default", "catalogue.values", "catalogue.meaning")


def suits(gan: type[GAN]) -> str:
    """The sentence on the data and runs that a GAN is for, in the language in use."""
    return translated(f"settings.{gan.name}.suits", gan.suits)


def _print_about(gan: type[GAN]) -> None:
    if sentence := suits(gan):
        console.print(f"    {sentence}", markup=False)
    for player, formula in zip("DG", gan.formulas, strict=True):
        console.print(f"    {player}: {translated(f'settings.{gan.name}.loss.{player}', formula)}", markup=False)


def value_kind(hint: Any) -> str:
    """A field's type as a reader would say it."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return " | ".join(map(str, parts))
    if get_origin(hint) is tuple:
        kinds = ["…" if part is Ellipsis else value_kind(part) for part in parts]
        return ",".join([kinds[0], *kinds] if kinds[-1] == "…" else kinds)
    if parts:  # X | None
        return " | ".join(value_kind(part) for part in parts)
    return messages.text(KINDS[hint]) if hint in KINDS else spelled(hint)


KINDS = {
    bool: "catalogue.bool", int: "catalogue.int", float: "catalogue.float", str: "catalogue.str",
    type(None): "catalogue.none",
}  # fmt: skip
