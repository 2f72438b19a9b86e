"""The plots of a report: small inline SVG whose text and lines take their colours from the page."""

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

from simulacra.measure.score_records import ScoreLine
from simulacra.messages import text
from simulacra.training.curves import points, thinned
from simulacra.training.run_records import JournalLine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Placeholders for the page's own colours: currentColor, and --c0 … --c3 of the style sheet.
INK, PAPER = "#010203", "#010204"
COLOURS = ("#010210", "#010211", "#010212", "#010213")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))  # lines differ without colour, too
# Title -> journal keys with their labels, all as codes; D and G stand for themselves. Other stats come in between.
LOSSES = {
    "report.plot_loss": {"d_loss": "D", "g_loss": "G"},
    "report.plot_outputs": {
        "D(x)": "report.output_reals",
        "D(G(z)) before": "report.output_d_step",
        "D(G(z)) after": "report.output_g_step",
    },
    "report.plot_accuracy": {"acc_d": "report.accuracy_d", "acc_g": "report.accuracy_g"},
}
MEASUREMENTS = {
    "report.plot_previews": {"diversity": "report.diversity", "distinct": "report.distinct"},
    "report.plot_overfitting": {"overfit": "report.overfit"},
    "report.plot_gradient": {"d_norm": "D", "g_norm": "G"},
    "report.plot_weights": {"d_weight": "D", "g_weight": "G"},
}
SPEED = {"report.plot_speed": {"images_per_second": "report.plot_speed"}}
STEPS = "report.plot_steps"
OTHER_KEYS = {"nimg", "epoch", "seconds", "d_plays", "g_plays", "memory_mib", "overfit_error"}  # not plotted
MOST_STATS = 6  # of a GAN's own that are plotted
FROM_ZERO = {STEPS, *SPEED}
SHARES = {"report.plot_accuracy"}
LOGARITHMIC = {"report.plot_gradient"}
SIZE = (4.6, 2.35)  # inches: at this width the text is of a readable size on a phone
MARGINS = {"left": 0.095, "right": 0.995, "bottom": 0.185, "top": 0.965}  # shares; the same in all, so that axes align
MOST_POINTS = 600  # of a line: more than its pixels


@dataclass(frozen=True)
class Curve:
    """A line of a plot; its interval is drawn if `low` and `high` are given."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Plot:
    """A plot within the page. `keys`: labels of its lines, in the order of their colours."""

    title: str
    svg: Markup
    keys: Sequence[str] = field(default=())


def journal_plots(
    lines: Sequence[JournalLine], alarms: Sequence[tuple[float, float]], best: float | None
) -> list[Plot]:
    """Losses, D's outputs, accuracies, other stats, balance and speed over thousands of images shown.

    alarms: spans to shade. best: the moment to mark.
    """
    panels: list[tuple[str, list[Curve]]] = [*_panels(lines, LOSSES)]
    panels += [(key.replace("_", " "), [Curve(key, *points(lines, key))]) for key in _other_stats(lines)]
    panels += [*_panels(lines, MEASUREMENTS), (STEPS, _step_rates(lines)), *_panels(lines, SPEED)]
    filled = [(title, [curve for curve in curves if len(curve.x)]) for title, curves in panels]
    return [_line_plot(title, curves, best=best, alarms=alarms) for title, curves in filled if curves]


def _panels(lines: Sequence[JournalLine], panels: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, list[Curve]]]:
    for title, curves in panels.items():
        yield title, [Curve(text(label), *points(lines, key)) for key, label in curves.items()]


def score_plots(
    scores: Sequence[ScoreLine], names: Sequence[str], best: float | None, floors: Mapping[str, Any]
) -> list[Plot]:
    """Each score of `names` with its interval over the run, and its floor of reals against reals, if `floors` has it.

    The two directions of a translator, and their mean, are lines of one plot.
    """
    directions = scores[-1].get("directions", {}) if scores else {}
    labels = {key: text("report.direction", a=value["from"], b=value["to"]) for key, value in directions.items()}
    labels["mean"] = text("report.mean")
    plots = []
    for base in names:
        curves = []
        versions = dict.fromkeys(name for line in scores for name in line["scores"] if name.partition(":")[0] == base)
        for name in sorted(versions, key=lambda name: name.endswith(":mean")):  # the last one is marked
            scored = [line for line in scores if name in line["scores"]]
            x = [line["nimg"] / 1000 for line in scored]
            records: list[Any] = [line["scores"][name] for line in scored]
            columns = [[record.get(key) for record in records] for key in ("value", "low", "high")]
            value, low, high = ([float("nan") if v is None else float(v) for v in column] for column in columns)
            direction = name.partition(":")[2]
            curves.append(Curve(labels.get(direction, direction) or name, x, value, low, high))
        plots.append(_line_plot(base, curves, best=best, floor=floors.get(base), dot=True))
    return plots


def _other_stats(lines: Sequence[JournalLine]) -> list[str]:
    """Stats that this GAN alone reports, such as a penalty."""
    common = {key for curves in (LOSSES | MEASUREMENTS | SPEED).values() for key in curves} | OTHER_KEYS
    numbers = {key: None for line in lines for key, value in line.items() if isinstance(value, int | float)}
    return [key for key in numbers if key not in common][:MOST_STATS]


def _step_rates(lines: Sequence[JournalLine]) -> list[Curve]:
    """Steps of each player per 1,000 images, from one journal line to the next."""
    counted: list[Mapping[str, Any]] = [{"nimg": 0, "d_plays": 0, "g_plays": 0}]
    counted += [line for line in lines if {"d_plays", "g_plays"} <= line.keys()]
    pairs = [(a, b) for a, b in pairwise(counted) if b["nimg"] > a["nimg"]]
    x = [b["nimg"] / 1000 for _, b in pairs]
    rates = {
        key: [1000 * (b[key] - a[key]) / (b["nimg"] - a["nimg"]) for a, b in pairs] for key in ("d_plays", "g_plays")
    }
    return [Curve("D", x, rates["d_plays"]), Curve("G", x, rates["g_plays"])]


def _line_plot(
    title: str,
    curves: Sequence[Curve],
    *,
    best: float | None = None,
    alarms: Sequence[tuple[float, float]] = (),
    floor: float | None = None,
    dot: bool = False,
) -> Plot:
    """One plot; title: a code, or a name that stands for itself."""
    from matplotlib.ticker import LogLocator, NullFormatter

    heading = text(title)
    with _axes(heading, SIZE, MARGINS) as (figure, axes):
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
            axes.annotate(text("report.reals_against_reals"), (0, floor), (2, 3), color=INK, size=8, alpha=0.8,
                          xycoords=("axes fraction", "data"), textcoords="offset points")  # fmt: skip
        if title in LOGARITHMIC and all(y > 0 for curve in curves for y in curve.y):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if title in SHARES:
            axes.set_ylim(-0.02, 1.02)
        elif not any(y for curve in curves for y in curve.y):
            axes.set_ylim(-0.02, 1.02)  # nothing but zeros
        elif title in FROM_ZERO:
            axes.set_ylim(0, 1.08 * max(y for curve in curves for y in curve.y))
        axes.set_xlabel(text("report.thousands_of_images"))
        svg = _svg(figure, heading)
    return Plot(heading, svg, [curve.label for curve in curves] if len(curves) > 1 else ())


def ladder(rows: Sequence[tuple[str, Mapping[str, Any]]], metric: str) -> Plot:
    """Named scores below each other on one scale, with their intervals, so that they compare at a glance."""
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


def plane(scores: Sequence[ScoreLine], precision: str, recall: str, best: float | None) -> Plot:
    """Precision over recall, one point per checkpoint, joined in the order of time."""
    scored = [line for line in scores if {precision, recall} <= line["scores"].keys()]
    x, y = ([line["scores"][name]["value"] for line in scored] for name in (recall, precision))
    title = text("report.plot_plane")
    with _axes(title, (4.6, 3.3)) as (figure, axes):
        axes.plot(x, y, "-", color=COLOURS[0], lw=1, alpha=0.35)
        for place, point in enumerate(zip(x, y, strict=True)):
            axes.plot(*point, "o", color=COLOURS[0], ms=5, alpha=0.25 + 0.75 * place / len(x))
        for line in scored:
            if best is not None and line["nimg"] / 1000 == best:
                p, r = line["scores"][precision], line["scores"][recall]
                axes.plot([r["low"], r["high"]], [p["value"]] * 2, color=COLOURS[1])
                axes.plot([r["value"]] * 2, [p["low"], p["high"]], color=COLOURS[1])
                axes.plot(r["value"], p["value"], "D", color=COLOURS[1], mec=PAPER, ms=8.5, mew=1.5)
        axes.margins(0.14)
        axes.set_xlim(max(-0.02, axes.get_xlim()[0]), min(1.02, axes.get_xlim()[1]))
        axes.set_ylim(max(-0.02, axes.get_ylim()[0]), min(1.02, axes.get_ylim()[1]))
        axes.set_xlabel(text("report.recall"))
        axes.set_ylabel(text("report.precision"))
        axes.locator_params(nbins=6)
        return Plot(title, _svg(figure, title if best is None else text("report.plot_plane_best")))


@contextmanager
def _axes(
    title: str, size: tuple[float, float] = SIZE, margins: dict[str, float] | None = None
) -> Iterator[tuple[Figure, Axes]]:
    """Axes in the report's style: two thin spines, quiet ticks, no frame, text as text.

    title: unique in the page. margins: of the axes; fitted to the text if not given.
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
    """The figure as an element of the page: no prologue, no metadata, no unused ids, colours of the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _two_decimals, tag[0]), svg)  # never a tick's label
    svg = re.sub(r"\s*\n\s*", " ", svg)
    for placeholder, colour in {INK: "currentColor", PAPER: "var(--paper)"}.items():
        svg = svg.replace(placeholder, colour)
    for i, placeholder in enumerate(COLOURS):
        svg = svg.replace(placeholder, f"var(--c{i})")
    size = re.search(r'viewBox="[^"]+"', svg)
    assert size
    opening = Markup('<svg role="img" aria-label="{}" xmlns:xlink="http://www.w3.org/1999/xlink" {}>')
    return opening.format(alt, Markup(size[0])) + Markup(svg[svg.index(">") + 1 :])


def _two_decimals(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}"
