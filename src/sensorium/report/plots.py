"""Drawings for pages: matplotlib on its SVG canvas, made equal on every run and coloured by the page.

Colours are written as stand-ins and then replaced by the page's variables, so one drawing fits light, dark
and paper. Letters stay letters: they can be searched and copied, and any script shows in the reader's fonts.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sensorium.core.score import Score
from sensorium.report.blocks import Svg
from sensorium.report.judge import Finding
from sensorium.report.text import clean, number, shorten

# Stand-in -> variable of the page, with the value it has outside a page.
_COLOURS = {
    "#010101": "var(--ink, #1d2126)",
    "#020202": "var(--muted, #667080)",
    "#030303": "var(--line, #e3e1dc)",
    "#040404": "var(--card, #ffffff)",
    "#050505": "var(--good-wash, #e3f1ee)",
    "#0a0a01": "var(--s1, #1f7a74)",
    "#0a0a02": "var(--s2, #8d97a5)",
    "#0a0a03": "var(--s3, #d08b2f)",
    "#0a0a04": "var(--s4, #6b63b5)",
    "#0a0a05": "var(--s5, #3d7fb8)",
    "#0a0a06": "var(--s6, #c0596b)",
}
INK, MUTED, LINE, CARD, WASH = list(_COLOURS)[:5]
SERIES = tuple(list(_COLOURS)[5:])
# Dashes besides colours, from the last curve back: lines must differ on paper and without colour vision too.
_DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (1, 1)),
    "-.",
    (0, (4, 2)),
    "-",
)

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sensorium",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "font.size": 11,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "patch.linewidth": 0,
}
BEFORE = "before"
"""The curve that arms start from; it is drawn quietly and takes no arm's colour."""
MAX_POINTS = 400
"""Points kept of a long curve: more cannot be seen."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Names of the two axes, and which of them are logarithmic."""

    x: str = ""
    y: str = ""
    log_x: bool = False
    log_y: bool = False


def rank_curve(curves: Mapping[str, Sequence[tuple[float, float]]], threshold: float | None = None) -> Svg:
    """Counts by rank on two logarithmic axes: how unequal concepts are, before and after.

    Args:
        curves: name -> (rank from 1, count) in order of rank; counts of zero are left out, because a
            logarithm has no place for them. The name "before" is drawn quietly.
        threshold: the balancing count t, drawn as a level.
    """
    series = {}
    for name, points in curves.items():
        seen = [(float(rank), float(count)) for rank, count in points if rank > 0 and count > 0]
        series[name] = [seen[place] for place in _log_spaced(len(seen))]
    return _drawn(series, Axis(x="concept, by rank", y="examples", log_x=True, log_y=True), threshold)


def lines(series: Mapping[str, Sequence[tuple[float, float]]], axis: Axis) -> Svg:
    """Curves over a common axis: losses by update, cost by length.

    Args:
        series: name -> (x, y) points in order of x; values that are not finite are left out.
        axis: names and scales.
    """
    kept = {}
    for name, points in series.items():
        finite = [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        kept[name] = [finite[i] for i in _evenly_spaced(len(finite))]
    return _drawn(kept, axis, None)


def grouped_bars(
    groups: Sequence[str],
    arms: Mapping[str, Sequence[Score | None]],
    unit: str = "fraction",
    chance: float | None = None,
) -> Svg:
    """Bars side by side per group, one per arm, with their intervals: head and tail apart.

    Args:
        groups: names along the axis.
        arms: arm -> one score per group, None where there is none.
        unit: "fraction" is shown in percent.
        chance: what guessing gives on the first group, drawn as a level across it.
    """
    factor = 100.0 if unit == "fraction" else 1.0
    with _style():
        figure, axes = _figure(7.2, 3.3)
        width = 0.8 / max(len(arms), 1)
        colours = palette(list(arms))
        for place, (arm, scores) in enumerate(arms.items()):
            for group, score in enumerate(scores):
                if score is not None and score.value is not None:
                    x = group - 0.4 + width * (place + 0.5)
                    _bar(axes, x, width, score, factor, colours[arm])
            axes.bar([0], [0], color=colours[arm], label=_label(arm))
        if chance is not None:
            axes.plot([-0.46, 0.46], [chance * factor] * 2, color=INK, linewidth=1.2, linestyle=(0, (1, 2)))
        axes.set_xticks(range(len(groups)), [_label(group) for group in groups])
        axes.tick_params(axis="x", labelcolor=INK, length=0)
        axes.grid(visible=False, axis="x")
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=axes.get_ylim()[1] * 1.12)
        axes.set_ylabel("%" if unit == "fraction" else unit)
        _legend(axes, len(arms))
        return _svg(figure)


def _bar(axes: Axes, x: float, width: float, score: Score, factor: float, colour: str) -> None:
    value = (score.value or 0.0) * factor
    axes.bar([x], [value], width * 0.86, color=colour)
    top = value
    if score.low is not None and score.high is not None:
        low, high = score.low * factor, score.high * factor
        axes.plot([x, x], [low, high], color=INK, linewidth=1.1)
        top = max(top, high)
    text = f"{value:.1f}" if abs(value) < 1000 else number(value)
    axes.annotate(text, (x, top), (0, 4), textcoords="offset points", ha="center", fontsize=9.5, color=INK)


def findings(items: Sequence[Finding], regions: Sequence[tuple[float, float]]) -> Svg:
    """One strip per expectation: the region it asks for, every seed, the mean and its interval.

    Args:
        items: the judged expectations.
        regions: low and high of what each asks for; infinite where open.
    """
    with _style():
        figure = Figure(figsize=(7.2, 0.35 + 1.02 * len(items)), layout="constrained")
        FigureCanvasSVG(figure)
        grid = figure.subplots(len(items), 1, squeeze=False)
        for axes, item, region in zip(grid[:, 0], items, regions, strict=True):
            _strip(axes, item, region)
        return _svg(figure)


def _strip(axes: Axes, item: Finding, region: tuple[float, float]) -> None:
    bounds = [bound for bound in region if math.isfinite(bound)]
    seen = [item.low, item.high, *item.values, *bounds, 0.0]
    reach = (max(seen) - min(seen)) or 1.0
    low, high = min(seen) - 0.08 * reach, max(seen) + 0.08 * reach
    axes.set_xlim(low, high)
    axes.set_ylim(-1, 1)
    axes.axvspan(max(region[0], low), min(region[1], high), color=WASH)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for bound in bounds:
        axes.axvline(bound, color=SERIES[0], linewidth=1.2, linestyle=(0, (4, 3)))
    colour = {"holds": SERIES[0], "undecided": SERIES[2], "fails": SERIES[5]}[item.verdict]
    axes.plot([item.low, item.high], [0, 0], color=colour, linewidth=5, alpha=0.45)
    axes.plot(item.values, [0.0] * len(item.values), "o", color=CARD, markeredgecolor=colour, markersize=6)
    axes.plot([item.mean], [0], "D", color=colour, markersize=7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_title(_label(item.says, 90), loc="left", fontsize=10.5, color=INK)


def seeds(arms: Mapping[str, Sequence[float]], unit: str = "") -> Svg:
    """Every seed's score of every arm, the means as bars, equal seeds joined: paired differences at a glance.

    Args:
        arms: arm -> values in the order of the seeds.
        unit: name of the vertical axis.
    """
    with _style():
        figure, axes = _figure(7.2, 3.2)
        columns = list(arms.values())
        for joined in zip(*columns, strict=False) if len(columns) > 1 else ():
            axes.plot(range(len(joined)), joined, color=LINE, linewidth=1.2)
        for place, (colour, values) in enumerate(zip(_colours(arms), columns, strict=True)):
            mean = math.fsum(values) / len(values)
            axes.plot([place - 0.22, place + 0.22], [mean, mean], color=colour, linewidth=3)
            axes.plot([place] * len(values), values, "o", color=CARD, markeredgecolor=colour, markersize=6)
            axes.annotate(number(mean), (place + 0.26, mean), va="center", fontsize=10, color=INK)
        axes.set_xticks(range(len(arms)), [_label(arm, 24) for arm in arms])
        axes.tick_params(axis="x", labelcolor=INK, length=0)
        axes.grid(visible=False, axis="x")
        axes.set_xlim(-0.6, len(arms) - 0.3)
        axes.set_ylabel(_label(unit))
        return _svg(figure)


def palette(arms: Sequence[str]) -> dict[str, str]:
    """A colour per arm, the same in every figure of a page: the last arm, what a page is about, stands out.

    The first of several is grey, because it is the baseline by habit.
    """
    names = [arm for arm in arms if arm != BEFORE]
    chosen = {BEFORE: MUTED}
    for place, name in enumerate(names):
        between = SERIES[2 + (place - 1) % (len(SERIES) - 2)]
        chosen[name] = SERIES[0] if place == len(names) - 1 else SERIES[1] if place == 0 else between
    return chosen


def _drawn(series: Mapping[str, Sequence[tuple[float, float]]], axis: Axis, level: float | None) -> Svg:
    with _style():
        figure, axes = _figure(7.2, 3.5)
        colours = palette(list(series))
        for place, (name, points) in enumerate(series.items()):
            if not points:
                continue
            xs, ys = zip(*points, strict=True)
            dash = (0, (2, 2)) if name == BEFORE else _DASHES[-1 - (len(series) - 1 - place) % len(_DASHES)]
            marker = "o" if len(points) == 1 else ""
            axes.plot(xs, ys, color=colours[name], linestyle=dash, marker=marker, label=_label(name))
        if level is not None and level > 0:
            axes.axhline(level, color=MUTED, linewidth=1.2, linestyle=(0, (2, 3)))
            text = f"t = {number(level)}"
            axes.annotate(
                text,
                (1, level),
                (-4, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=10,
                color=MUTED,
            )
        _scales(axes, axis)
        _legend(axes, len(series))
        return _svg(figure)


def _scales(axes: Axes, axis: Axis) -> None:
    axes.set_xlabel(axis.x)
    axes.set_ylabel(axis.y)
    plain = FuncFormatter(lambda value, _: number(value))
    for logarithmic, one, scale in (
        (axis.log_x, axes.xaxis, axes.set_xscale),
        (axis.log_y, axes.yaxis, axes.set_yscale),
    ):
        if logarithmic:
            scale("log")
            one.set_major_locator(LogLocator(numticks=9))
            one.set_minor_formatter(NullFormatter())
            one.set_tick_params(which="minor", length=0)
        one.set_major_formatter(plain)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots()


def _legend(axes: Axes, count: int) -> None:
    if 1 < count <= 8:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(count, 4), borderaxespad=0.2, handlelength=2.2)


def _colours(arms: Mapping[str, object]) -> list[str]:
    chosen = palette(list(arms))
    return [chosen[arm] for arm in arms]


def _label(text: str, limit: int = 36) -> str:
    return clean(shorten(text.replace("\n", " "), limit))


def _style() -> AbstractContextManager[None]:
    # From the defaults up, so that a user's matplotlibrc cannot change a page.
    return matplotlib.style.context(["default", _STYLE])


def _log_spaced(count: int) -> list[int]:
    if count <= MAX_POINTS:
        return list(range(count))
    steps = (round(math.exp(math.log(count) * step / (MAX_POINTS - 1))) - 1 for step in range(MAX_POINTS))
    return sorted({min(max(step, 0), count - 1) for step in steps})


def _evenly_spaced(count: int) -> list[int]:
    if count <= MAX_POINTS:
        return list(range(count))
    return sorted({round(step * (count - 1) / (MAX_POINTS - 1)) for step in range(MAX_POINTS)})


def _svg(figure: Figure) -> Svg:
    """The drawing as clean inline markup: no ids but those it refers to, no size but its proportions."""
    written = io.StringIO()
    with warnings.catch_warnings():
        # Letters are left to the reader's fonts; that ours lacks some only makes the measured width a guess.
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*")
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(_without_doctype(written.getvalue()))
    _tidy(root)
    return Svg(ET.tostring(root, encoding="unicode"))


def _without_doctype(text: str) -> str:
    return text[text.index("<svg") :]


def _tidy(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rsplit("}", 1)[-1] in ("metadata", "style"):
                parent.remove(child)
    written = ET.tostring(root, encoding="unicode")
    used = set(re.findall(r"#([A-Za-z][\w-]*)", written))
    # Two drawings of one page must not share ids, whose names matplotlib takes from what they hold.
    own = "d" + hashlib.sha256(written.encode()).hexdigest()[:8]
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
        if element.tag != "text":
            element.text = None
        element.tail = None
        for key in list(element.attrib):
            value = element.attrib.pop(key)
            name = key.rsplit("}", 1)[-1]
            if name != "id":
                element.set(name, re.sub(r"#(?=[mp][0-9a-f]{10}\b)", f"#{own}-", value))
            elif value in used:
                element.set(name, f"{own}-{value}")
        if "style" in element.attrib:
            element.set("style", _styled(element.attrib["style"]))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    # What matplotlib says in a style element would apply to the whole page.
    root.set("style", "stroke-linejoin: round")
    root.set("aria-hidden", "true")


def _styled(style: str) -> str:
    """A style with the page's fonts and colours."""
    kept = "; ".join(part for part in re.split(r"; *", style) if part and not part.startswith("font-family"))
    return re.sub(r"#[0-9a-f]{6}", lambda match: _COLOURS.get(match[0], match[0]), kept)
