from __future__ import annotations

import json

from tests.report.report_stages import arms, ran

from sensorium.report.blocks import Figure, Table
from sensorium.report.finished import Finished, collect
from sensorium.report.model_page import loss_curve, model_contribution, read_lines


def model(folder, lines, **metrics):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_bytes(lines)
    return Finished(label="m", gives="model", fingerprint="f", folder=folder, content={"metrics": metrics})


def test_all_arms_share_one_picture_and_one_table(tmp_path):
    (section,) = model_contribution(collect(ran(tmp_path / "runs", arms()))).sections
    figure, table = section.blocks
    assert isinstance(figure, Figure)
    assert "model raw" in figure.svg
    assert "model balanced" in figure.svg
    assert isinstance(table, Table)
    assert [column.title for column in table.columns] == [
        "model",
        "updates",
        "examples",
        "parameters",
        "time",
    ]
    assert [cell.content for cell in table.rows[0]][:4] == ["model raw", "29", "232", "1,234"]


def test_torn_and_foreign_lines_are_passed_over(tmp_path):
    lines = b'{"update": 1, "loss": 2.0}\n[1]\n"x"\n\xff\xfe\n\n{"update": 2, "loss": null}\n{"update": 3, "lo'
    assert loss_curve(read_lines(model(tmp_path / "m", lines))) == [(1.0, 2.0)]


def test_after_a_resume_the_later_line_counts():
    lines = [{"update": u, "loss": 1.0 * u} for u in (1, 2, 3)] + [{"update": 2, "loss": 9.0}]
    assert loss_curve(lines) == [(1.0, 1.0), (2.0, 9.0), (3.0, 3.0)]


def test_games_with_several_turns_show_the_first():
    assert loss_curve([{"update": 1, "loss/critic": 0.5, "loss/actor": 0.1}]) == [(1.0, 0.5)]


def test_values_that_are_no_numbers_are_left_out():
    lines = [
        {"update": 1, "loss": float("nan")},
        {"update": True, "loss": 1},
        {"loss": 2},
        {"update": 2, "loss": "x"},
    ]
    assert loss_curve(lines) == []


def test_models_without_a_log_or_figures_add_nothing(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    silent = Finished(label="hub", gives="model", fingerprint="f", folder=folder, content={})
    assert model_contribution([silent]).sections == ()
    assert model_contribution([]).sections == ()


def test_costs_without_a_log_are_still_shown(tmp_path):
    found = model(tmp_path / "m", b"", parameters=7)
    (section,) = model_contribution([found]).sections
    assert json.dumps([cell.content for cell in section.blocks[0].rows[0]]) == '["m", "7", "\\u2013"]'
