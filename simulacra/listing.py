"""`simulacra list`: what the games say of themselves."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from simulacra.console import console
from simulacra.game import Settings, find, gans


def parameters(gan: object) -> tuple[int, int]:
    """(G's, D's) number of parameters."""
    return tuple(sum(p.numel() for p in getattr(gan, side).parameters()) for side in "GD")  # type: ignore[return-value]


def list_games() -> None:
    """One block a game: name, year, title, paper, losses, parameters at its own settings, presets."""
    for name, gan in gans().items():
        config = gan.Config()
        g, d = parameters(gan(config))
        channels, height, width = config.shape
        console.print(f"[bold]{name}[/bold]  {gan.year}  {gan.title}  ({gan.authors}, {gan.paper})")
        console.print(f"    D: {gan.formulas[0]}\n    G: {gan.formulas[1]}", markup=False)
        console.print(f"    at {width}x{height}x{channels}: G {g:,} and D {d:,} parameters", markup=False)
        presets = ", ".join(f"{name}:{preset}" for preset in gan.presets if preset != "tiny")
        if presets:
            console.print(f"    presets: {presets}", markup=False)


def show_game(name: str) -> None:
    """A game's presets and every setting with its default."""
    gan = find(name)
    console.print(f"{name}: {gan.title} ({gan.authors}, {gan.year}, {gan.paper})", markup=False)
    for preset, told in gan.presets.items():
        settings = " ".join(f"{key}={_plain(value)}" for key, value in told.settings.items())
        console.print(f"  {name}:{preset}  {told.note}  [{settings}]", markup=False)
    table = Table("setting", "default", "type", box=None)
    types = {field.name: field.type for field in dataclasses.fields(gan.Config)}
    defaults: Settings = gan.Config()
    for field in dataclasses.fields(defaults):
        if field.name != "shape":
            table.add_row(field.name, _plain(getattr(defaults, field.name)), str(types[field.name]).replace("[", "\\["))
    console.print(table)


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
