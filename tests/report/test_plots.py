from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest

from sensorium.core.score import Score
from sensorium.report import plots
from sensorium.report.judge import Finding

CURVES = {
    "before": [(r, 100 / r) for r in range(1, 50)],
    "raw": [(1, 9), (2, 3)],
    "balanced": [(1, 4), (2, 4)],
}
SCORES = {
    "raw": [Score(value=0.04, n=10, low=0.02, high=0.06), None],
    "new": [Score(value=0.16, n=10), Score(value=0.5, n=3)],
}


def findings():
    values = {"holds": (0.1, 0.12), "undecided": (-0.1, 0.2), "fails": (-0.2, -0.25)}
    return [
        Finding(
            says=f"it {verdict}",
            verdict=verdict,
            values=seen,
            mean=sum(seen) / 2,
            low=min(seen),
            high=max(seen),
        )
        for verdict, seen in values.items()
    ]


DRAWINGS = {
    "rank": lambda: plots.rank_curve(CURVES, 30),
    "lines": lambda: plots.lines({"a": [(0, 1.0), (1, 0.5)], "b": [(0, 2.0)]}, plots.Axis(x="update", y="loss")),
    "bars": lambda: plots.grouped_bars(["all", "tail"], SCORES, chance=0.1),
    "findings": lambda: plots.findings(findings(), [(0.05, float("inf")), (-0.1, 0.1), (0, float("inf"))]),
    "seeds": lambda: plots.seeds({"raw": [0.1, 0.2], "new": [0.3, 0.35]}, "top1"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_well_formed_coloured_by_the_page_and_equal_each_time(name):
    svg = DRAWINGS[name]()
    assert svg == DRAWINGS[name]()
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib
    assert not {"script", "style", "metadata", "image", "foreignObject"} & {element.tag for element in root.iter()}
    colours = set(re.findall(r": *#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", svg)))
    assert not colours, f"colours that no page can change: {colours}"
    assert "var(--s1" in svg
    assert "http" not in svg
    assert "font-family" not in svg


def test_two_drawings_share_no_ids():
    ids = [set(re.findall(r'id="([^"]+)"', DRAWINGS[name]())) for name in ("rank", "lines", "bars")]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]


def test_every_reference_has_its_target():
    for name in DRAWINGS:
        svg = DRAWINGS[name]()
        used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
        assert used <= set(re.findall(r'id="([^"]+)"', svg))


@pytest.mark.parametrize(
    "text", ["<b>&\"'", "$x^2$ \\frac", "猫 قلب क", "#010101", "null \x00", "a\nb", "\ud800", "z" * 5000]
)
def test_labels_are_text_whatever_they_hold(text):
    svg = plots.lines({text: [(0, 1), (1, 2)], "b": [(0, 2), (1, 1)]}, plots.Axis())
    svg.encode("utf-8")
    texts = ["".join(element.itertext()) for element in ET.fromstring(svg).iter("text")]
    expected = plots.clean(plots.shorten(text.replace("\n", " "), 36))
    assert expected in texts


def test_a_users_settings_for_matplotlib_change_nothing():
    plain = DRAWINGS["bars"]()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "text.usetex": False}):
        assert DRAWINGS["bars"]() == plain
        assert mpl.rcParams["font.size"] == 30


def test_long_curves_are_thinned_and_keep_their_ends():
    points = [(rank, 1e6 / rank) for rank in range(1, 200_001)]
    svg = plots.rank_curve({"only": points})
    assert len(svg) < 60_000
    evenly = plots._evenly_spaced(100_000)
    spaced = plots._log_spaced(100_000)
    assert (evenly[0], evenly[-1], spaced[0], spaced[-1]) == (0, 99_999, 0, 99_999)
    assert max(len(evenly), len(spaced)) <= plots.MAX_POINTS


def test_values_that_cannot_be_drawn_are_left_out():
    axis = plots.Axis(log_y=True)
    nan, infinite = float("nan"), float("inf")
    assert plots.lines({"a": [(0, 1), (1, nan), (2, infinite), (3, 2)]}, axis) == plots.lines(
        {"a": [(0, 1), (3, 2)]}, axis
    )
    assert plots.rank_curve({"a": [(1, 5), (2, 0)]}) == plots.rank_curve({"a": [(1, 5)]})
    assert "<svg" in plots.rank_curve({"a": []})
    assert "<svg" in plots.grouped_bars(["all"], {"a": [None]})
    assert "<svg" in plots.seeds({"a": [0.5]})


def test_the_last_arm_stands_out_and_the_first_of_several_is_grey():
    chosen = plots.palette(["before", "raw", "random", "balanced"])
    assert chosen["balanced"] == plots.SERIES[0]
    assert chosen["raw"] == plots.SERIES[1]
    assert len(set(chosen.values())) == 4
    assert plots.palette(["only"]) == {"before": plots.MUTED, "only": plots.SERIES[0]}


def test_equal_in_another_process():
    code = "from sensorium.report import plots; print(plots.rank_curve({'a': [(1, 5), (2, 3)]}, 3))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == plots.rank_curve({"a": [(1, 5), (2, 3)]}, 3)
