"""The drawings of a report: small inline SVG whose text and lines take their colours from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from simulacra.training.curves import PANELS, points, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = dict[str, Any]

# Stand-ins that become the page's own colours: currentColor, and --c0 … --c3 of the style sheet.
INK, PAPER = "#010203", "#010204"
COLOURS = ("#010210", "#010211", "#010212", "#010213")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))  # lines differ without colour, too
HEALTH = {  # further stats of the journal, in the manner of PANELS
    "previews against reals": {"diversity": "differ from each other", "distinct": "different ones"},
    "overfitting of D": {"overfit": "0: knows nothing by heart; 1: unseen reals look like fakes"},
    "norm of the gradient": {"d_norm": "D", "g_norm": "G"},
    "norm of the weights": {"d_weight": "D", "g_weight": "G"},
}
FROM_ZERO = {"plays per 1,000 images", "images per second"}
LOGARITHMIC = {"norm of the gradient"}
SIZE = (4.6, 2.35)  # inches: at this width the text is of a readable size on a phone
MARGINS = {"left": 0.095, "right": 0.995, "bottom": 0.185, "top": 0.965}  # shares; the same in all, so that axes align
MOST_POINTS = 600  # of a line: more than its pixels


@dataclass(frozen=True)
class Curve:
    """A line of a plot, with an interval where `low` and `high` are given."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Plot:
    """A drawing within the page. `keys` are the lines' names, in the order of their colours."""

    title: str
    svg: Markup
    keys: Sequence[str] = field(default=())


def journal_plots(lines: Sequence[Line], alarms: Sequence[tuple[float, float]], best: float | None) -> list[Plot]:
    """Losses, D's outputs, accuracies, other stats, balance and speed over the thousands of images shown.

    alarms: spans that are shaded. best: the moment to be marked.
    """
    panels = [(title, [Curve(label, *points(lines, key)) for key, label in of.items()]) for title, of in PANELS.items()]
    panels += [(key.replace("_", " "), [Curve(key, *points(lines, key))]) for key in _further(lines)]
    panels += [
        (title, [Curve(label, *points(lines, key)) for key, label in of.items()]) for title, of in HEALTH.items()
    ]
    panels += [("plays per 1,000 images", _plays(lines))]
    panels += [("images per second", [Curve("images per second", *points(lines, "images_per_second"))])]
    told = [(title, [curve for curve in curves if len(curve.x)]) for title, curves in panels]
    return [_lines(title, curves, best=best, alarms=alarms) for title, curves in told if curves]


def score_plots(scores: Sequence[Line], names: Sequence[str], best: float | None, floors: Line) -> list[Plot]:
    """Each score of `names` with its interval over the run; reals against reals where `floors` has it.

    The two directions of a translation, and their mean, are lines of one drawing.
    """
    made, ways = [], {way: f"{each['from']} to {each['to']}" for way, each in _ways(scores).items()}
    for base in names:
        curves = []
        found = dict.fromkeys(name for line in scores for name in line["scores"] if name.partition(":")[0] == base)
        for name in sorted(found, key=lambda name: name.endswith(":mean")):  # the last one is marked
            there = [line for line in scores if name in line["scores"]]
            x = [line["nimg"] / 1000 for line in there]
            columns = [[line["scores"][name].get(key) for line in there] for key in ("value", "low", "high")]
            value, low, high = ([float("nan") if v is None else float(v) for v in column] for column in columns)
            way = name.partition(":")[2]
            curves.append(Curve(ways.get(way, way) or name, x, value, low, high))
        made.append(_lines(base, curves, best=best, floor=floors.get(base), dot=True))
    return made


def _ways(scores: Sequence[Line]) -> Line:
    """The directions of a translation by their names; none for other games."""
    told: Line = scores[-1].get("directions", {}) if scores else {}
    return told


def _further(lines: Sequence[Line]) -> list[str]:
    """What the game reported beyond what every game does, such as a penalty."""
    known = {key for curves in (PANELS | HEALTH).values() for key in curves} | {"overfit_error"}
    known |= {"nimg", "epoch", "seconds", "d_plays", "g_plays", "images_per_second", "memory_mib"}
    found = {key: None for line in lines for key, value in line.items() if isinstance(value, int | float)}
    return [key for key in found if key not in known][:6]


def _plays(lines: Sequence[Line]) -> list[Curve]:
    """How often each side played, from one journal line to the next."""
    told = [line for line in [{"nimg": 0, "d_plays": 0, "g_plays": 0}, *lines] if {"d_plays", "g_plays"} <= line.keys()]
    pairs = [(a, b) for a, b in pairwise(told) if b["nimg"] > a["nimg"]]
    x = [b["nimg"] / 1000 for _, b in pairs]
    rates = {
        side: [1000 * (b[f"{side}_plays"] - a[f"{side}_plays"]) / (b["nimg"] - a["nimg"]) for a, b in pairs]
        for side in "dg"
    }
    return [Curve("D", x, rates["d"]), Curve("G", x, rates["g"])]


def _lines(
    title: str,
    curves: Sequence[Curve],
    *,
    best: float | None = None,
    alarms: Sequence[tuple[float, float]] = (),
    floor: float | None = None,
    dot: bool = False,
) -> Plot:
    from matplotlib.ticker import LogLocator, NullFormatter

    with _axes(title, SIZE, MARGINS) as (figure, axes):
        for begin, end in alarms:
            axes.axvspan(begin, end, color=COLOURS[1], alpha=0.16, lw=0)
        for curve, colour, dash in zip(curves, COLOURS, DASHES, strict=False):
            few = thinned(range(len(curve.x)), MOST_POINTS)
            x, y = [curve.x[i] for i in few], [curve.y[i] for i in few]
            if curve.low:
                band = [curve.low[i] for i in few], [curve.high[i] for i in few]
                axes.fill_between(x, *band, color=colour, alpha=0.2, lw=0)
            axes.plot(x, y, color=colour, ls=dash, marker="." if len(x) < 40 else "", ms=5)
        if best is not None:
            axes.axvline(best, color=INK, lw=0.8, ls=(0, (2, 2)), alpha=0.7)
            last, colour = curves[-1], COLOURS[len(curves) - 1]
            if dot and best in last.x:
                axes.plot([best], [last.y[list(last.x).index(best)]], "o", color=colour, mec=PAPER, ms=8, mew=1.5)
        if floor is not None:
            axes.axhline(floor, color=INK, lw=0.9, alpha=0.7)
            axes.annotate("reals against reals", (0, floor), (2, 3), color=INK, size=8, alpha=0.8,
                          xycoords=("axes fraction", "data"), textcoords="offset points")  # fmt: skip
        if title in LOGARITHMIC and all(y > 0 for curve in curves for y in curve.y):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if title == "accuracy":
            axes.set_ylim(-0.02, 1.02)
        elif not any(y for curve in curves for y in curve.y):
            axes.set_ylim(-0.02, 1.02)  # nothing but zeros
        elif title in FROM_ZERO:
            axes.set_ylim(0, 1.08 * max(y for curve in curves for y in curve.y))
        axes.set_xlabel("thousands of images shown")
        svg = _svg(figure, title)
    return Plot(title, svg, [curve.label for curve in curves] if len(curves) > 1 else ())


def ladder(rows: Sequence[tuple[str, Mapping[str, Any]]], metric: str) -> Plot:
    """Named scores under each other on one scale, with their intervals: what is better than what, at a glance."""
    with _axes(f"ladder of {metric}", (4.6, 0.62 + 0.34 * len(rows))) as (figure, axes):
        for place, (_, score) in enumerate(rows):
            if score.get("low") is not None and score.get("high") is not None:
                axes.plot([score["low"], score["high"]], [place] * 2, color=COLOURS[0], lw=5, alpha=0.3)
            solid = place == 0
            axes.plot(
                [score["value"]], [place], "o", ms=7, color=COLOURS[0] if solid else PAPER, mec=COLOURS[0], mew=1.6
            )
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.08)
        axes.set_xlabel(metric)
        return Plot(metric, _svg(figure, f"{metric}: " + ", ".join(f"{name} {s['value']:.4g}" for name, s in rows)))


def plane(scores: Sequence[Line], precision: str, recall: str, best: float | None) -> Plot:
    """Precision over recall, a point a checkpoint, joined in the order of time."""
    there = [line for line in scores if {precision, recall} <= line["scores"].keys()]
    x, y = ([line["scores"][name]["value"] for line in there] for name in (recall, precision))
    with _axes("precision and recall", (4.6, 3.3)) as (figure, axes):
        axes.plot(x, y, "-", color=COLOURS[0], lw=1, alpha=0.35)
        for place, point in enumerate(zip(x, y, strict=True)):
            axes.plot(*point, "o", color=COLOURS[0], ms=5, alpha=0.25 + 0.75 * place / len(x))
        for line in there:
            if best is not None and line["nimg"] / 1000 == best:
                p, r = line["scores"][precision], line["scores"][recall]
                axes.plot([r["low"], r["high"]], [p["value"]] * 2, color=COLOURS[1])
                axes.plot([r["value"]] * 2, [p["low"], p["high"]], color=COLOURS[1])
                axes.plot(r["value"], p["value"], "D", color=COLOURS[1], mec=PAPER, ms=8.5, mew=1.5)
        axes.margins(0.14)
        axes.set_xlim(max(-0.02, axes.get_xlim()[0]), min(1.02, axes.get_xlim()[1]))
        axes.set_ylim(max(-0.02, axes.get_ylim()[0]), min(1.02, axes.get_ylim()[1]))
        axes.set_xlabel("recall: how much of the variety of the reals the fakes reach")
        axes.set_ylabel("precision: how many fakes look real")
        axes.locator_params(nbins=6)
        title = "precision and recall, from pale to dark over the run"
        return Plot(title, _svg(figure, title + ("" if best is None else "; the diamond is the best")))


@contextmanager
def _axes(
    title: str, size: tuple[float, float] = SIZE, margins: dict[str, float] | None = None
) -> Iterator[tuple[Figure, Axes]]:
    """One set of axes in the report's manner: two thin spines, quiet ticks, no frame, text as text.

    title: any two drawings of a page have different ones. margins: those of the axes, fitted to the text if not given.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": title, "text.parse_math": False, "font.size": 9,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.linewidth": 0.5, "lines.linewidth": 1.3, "axes.spines.top": False, "axes.spines.right": False,
        "xtick.major.size": 2.5, "ytick.major.size": 0, "xtick.major.width": 0.5, "axes.axisbelow": True,
        "grid.color": INK, "grid.alpha": 0.12, "grid.linewidth": 0.6, "axes.unicode_minus": True,
    }  # fmt: skip
    with rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the text is drawn by the reader's fonts, not by these
        figure = Figure(figsize=size, layout=None if margins else "constrained", facecolor="none")
        axes = figure.subplots(gridspec_kw=margins)
        axes.set_facecolor("none")
        axes.grid(axis="y")
        yield figure, axes


def _svg(figure: Figure, alt: str) -> Markup:
    """The figure as an element of the page: no prologue, no metadata, no spare ids, colours of the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.S)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    for stand_in, colour in {INK: "currentColor", PAPER: "var(--paper)"}.items():
        text = text.replace(stand_in, colour)
    for i, stand_in in enumerate(COLOURS):
        text = text.replace(stand_in, f"var(--c{i})")
    size = re.search(r'viewBox="[^"]+"', text)
    assert size
    opening = Markup('<svg role="img" aria-label="{}" xmlns:xlink="http://www.w3.org/1999/xlink" {}>')
    return opening.format(alt, Markup(size[0])) + Markup(text[text.index(">") + 1 :])
