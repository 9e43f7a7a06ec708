from __future__ import annotations

from tests.report.report_stages import arms, ran

from sensorium.report.contributions import contributions
from sensorium.report.finished import collect


def test_kinds_stand_in_the_order_of_the_page(tmp_path):
    found = contributions(collect(ran(tmp_path / "runs", arms())))
    titles = [section.title for section in found.sections]
    assert titles == ["The pool", "Where the rows went", "Concepts before and after", "Training", "Scores"]
    assert [tile.label for tile in found.tiles] == ["rows in", "rows out", "top-1", "top-1"]
    assert len(found.attributions) == 1


def test_nothing_adds_nothing():
    found = contributions([])
    assert (found.tiles, found.sections, found.attributions) == ((), (), ())
