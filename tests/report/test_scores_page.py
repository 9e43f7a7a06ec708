from __future__ import annotations

import json

import pytest
from tests.report.report_stages import arms, ran

from sensorium.core.score import Score
from sensorium.report.blocks import Figure, Table
from sensorium.report.finished import Finished, collect
from sensorium.report.scores_page import bar_groups, read_scores, scores_contribution, shown


def score(unit="fraction", value=0.5):
    return Score(value=value, n=9, unit=unit)


def test_arms_stand_side_by_side_with_head_and_tail_apart(tmp_path):
    part = scores_contribution(collect(ran(tmp_path / "runs", arms())))
    (section,) = part.sections
    figure, table = section.blocks
    assert section.says == "Name the picture."
    assert isinstance(figure, Figure)
    for word in ("all", "head", "tail", "scores raw", "scores balanced", "60.0", "40.0"):
        assert f">{word}<" in figure.svg
    assert figure.caption == "Lines are 95 % intervals. Share of items right. The dotted line is chance, 10.00 %."
    assert isinstance(table, Table)
    row = next(row for row in table.rows if row[0].content == "top-1" and row[1].content == "scores raw")
    assert [cell.content for cell in row[2:]] == ["60.00 %", "30.00 % to 50.00 %", "40 of 44"]


def test_scores_without_a_value_say_why(tmp_path):
    (section,) = scores_contribution(collect(ran(tmp_path / "runs", arms()))).sections
    row = next(row for row in section.blocks[-1].rows if row[0].content == "tail")
    assert row[2].content == "–"
    assert row[2].note == "no items of the tail"


def test_the_headline_has_the_last_arm_first(tmp_path):
    tiles = scores_contribution(collect(ran(tmp_path / "runs", arms()))).tiles
    assert [(tile.value, tile.note) for tile in tiles] == [
        ("40.00 %", "scores balanced"),
        ("60.00 %", "scores raw"),
    ]


@pytest.mark.parametrize(
    ("names", "main", "groups"),
    [
        (("head", "mean_per_class", "tail", "top1", "top5"), "top1", ["top1", "head", "tail"]),
        (("top1", "top5"), "top1", ["top1", "top5"]),
        (("top1", "top5", "animals", "food"), "top1", ["top1", "animals", "food"]),
        (("wer", "wer.clean", "wer.noisy"), "wer", ["wer", "wer.clean", "wer.noisy"]),
        (("image_to_text_r1", "text_to_image_r1"), "top1", ["image_to_text_r1", "text_to_image_r1"]),
        ((), "top1", []),
    ],
)
def test_which_scores_become_bars(names, main, groups):
    assert bar_groups({"arm": {name: score() for name in names}}, main) == groups


def test_scores_in_other_units_are_no_bars():
    arms_ = {"arm": {"top1": score(), "head": score(), "seconds": score("seconds", 3.0)}}
    assert bar_groups(arms_) == ["top1", "head"]


def test_what_is_no_score_is_left_out(tmp_path):
    content = {
        "top1": score().as_json(),
        "odd": {"v": 1},
        "list": [1],
        "nan": {"value": None, "n": 1, "note": "none"},
    }
    (tmp_path / "scores.json").write_text(json.dumps(content))
    stage = Finished(label="s", gives="scores", fingerprint="f", folder=tmp_path, content={})
    assert set(read_scores(stage)) == {"top1", "nan"}


def test_a_run_without_scores_adds_nothing(tmp_path):
    assert scores_contribution([]).sections == ()
    empty = Finished(label="s", gives="scores", fingerprint="f", folder=tmp_path, content={})
    assert scores_contribution([empty]).sections == ()


def test_units():
    assert [
        shown(0.123, "fraction"),
        shown(12.3, "percent"),
        shown(4.0, "seconds"),
        shown(None, "fraction"),
    ] == [
        "12.30 %",
        "12.30 %",
        "4 seconds",
        "–",
    ]
