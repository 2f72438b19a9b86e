"""`simulacra list`: what the games say of themselves."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rich.table import Table

from simulacra.console import console
from simulacra.gan import Settings
from simulacra.registry import find, gans

HIDDEN = "tiny"  # how the presets begin that the tests use


def parameters(gan: object) -> tuple[int, int]:
    """(G's, D's) number of parameters."""
    return tuple(sum(p.numel() for p in getattr(gan, side).parameters()) for side in "GD")


def list_games() -> None:
    """One block a game: name, year, title, paper, losses, parameters at its own settings, presets."""
    for name, gan in gans().items():
        config = gan.Config()
        g, d = parameters(gan(config))
        channels, height, width = config.shape
        console.print(f"[bold]{name}[/bold]  {gan.year}  {gan.title}  ({gan.authors}, {gan.paper})")
        console.print(f"    D: {gan.formulas[0]}\n    G: {gan.formulas[1]}", markup=False)
        console.print(f"    at {width}x{height}x{channels}: G {g:,} and D {d:,} parameters", markup=False)
        presets = ", ".join(f"{name}:{preset}" for preset in gan.presets if not preset.startswith(HIDDEN))
        if presets:
            console.print(f"    presets: {presets}", markup=False)


def show_game(name: str) -> None:
    """A game's presets and every setting with its default."""
    gan = find(name)
    console.print(f"{name}: {gan.title} ({gan.authors}, {gan.year}, {gan.paper})", markup=False)
    for preset, told in gan.presets.items():
        if preset.startswith(HIDDEN):
            continue
        settings = " ".join(f"{key}={_plain(value)}" for key, value in told.settings.items())
        console.print(f"  {name}:{preset}  {told.note}  [{settings}]", markup=False)
    table = Table("setting", "default", "type", box=None)
    types = get_type_hints(gan.Config)
    defaults: Settings = gan.Config()
    for field in dataclasses.fields(defaults):
        if field.name != "shape":
            table.add_row(field.name, _plain(getattr(defaults, field.name)), _kind(types[field.name]))
    console.print(table)


def _kind(hint: Any) -> str:
    """A field's type as a reader would say it."""
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("[", "\\[")


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
