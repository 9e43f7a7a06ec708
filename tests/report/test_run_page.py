from __future__ import annotations

import pytest
from tests.report.page_reading import check_page
from tests.report.report_stages import ToyModel, ToyWorld, arms, plan_of, ran

from sensorium.report.finished import collect
from sensorium.report.run_page import About, about_recipe, write_run_page


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("runs") / "r", arms())


def test_a_run_is_one_page_with_everything_in_it(plan, tmp_path):
    path = write_run_page(
        plan, tmp_path / "report.html", "toy/mini", About(title="Toy <b>run</b>", command="sensorium run toy")
    )
    reader = check_page(path.read_text("utf-8"))
    for words in (
        "Toy <b>run</b>",
        "toy/mini",
        "The pool",
        "قلب أحمر",
        "<script>document.title='pwned'</script>",
        "Where the rows went",
        "Concepts before and after",
        "Training",
        "Scores",
        "How this was made",
        "sensorium run toy",
        "the <world>",
        "OpenMoji",
    ):
        assert words in reader.text, words
    assert path.stat().st_size < 1_000_000


def test_the_same_run_gives_the_same_bytes(plan, tmp_path):
    first = write_run_page(plan, tmp_path / "a.html").read_bytes()
    assert first == write_run_page(plan, tmp_path / "b.html").read_bytes()


def test_folders_do_as_well_as_a_plan(plan, tmp_path):
    folders = [stage.folder for stage in collect(plan)]
    reader = check_page(write_run_page(folders, tmp_path / "a.html", "from folders").read_text("utf-8"))
    assert "from folders" in reader.text
    assert "finished" in reader.text


@pytest.mark.parametrize(
    "name", ["pool.json", "statistics.json", "scores.json", "metrics.jsonl", "rows/0.parquet", "task.json"]
)
def test_a_missing_file_leaves_the_rest_of_the_page(tmp_path, name):
    plan = ran(tmp_path / "runs", arms())
    for stage in collect(plan):
        (stage.folder / name).unlink(missing_ok=True)
    check_page(write_run_page(plan, tmp_path / "a.html").read_text("utf-8"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"steps": 1, "top1": 2, "rows_in": []}'])
def test_damaged_files_leave_the_rest_of_the_page(tmp_path, content):
    plan = ran(tmp_path / "runs", arms())
    for stage in collect(plan):
        for name in ("pool.json", "statistics.json", "scores.json", "metrics.jsonl", "task.json"):
            if (stage.folder / name).exists():
                (stage.folder / name).write_bytes(content)
    check_page(write_run_page(plan, tmp_path / "a.html").read_text("utf-8"))


def test_a_run_that_has_not_happened_has_a_page(tmp_path):
    reader = check_page(write_run_page(plan_of(tmp_path / "runs", arms()), tmp_path / "a.html").read_text("utf-8"))
    assert "missing" in reader.text
    assert check_page(write_run_page([], tmp_path / "b.html").read_text("utf-8")).text.count("An empty run") == 2


def test_one_stage_is_enough(tmp_path):
    plan = ran(tmp_path / "runs", (ToyModel(pool=ToyWorld()),))
    assert "ToyModel" in check_page(write_run_page(plan, tmp_path / "a.html").read_text("utf-8")).text


def test_unknown_recipes_are_no_trouble():
    assert about_recipe("no_such_recipe/mini") == About()
    assert about_recipe("just a label") == About()
    assert about_recipe("") == About()


def test_a_recipe_brings_its_title(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(
        "PAPER = {'title': 'A paper', 'year': 2020, 'room': 'curate', 'says': 'It works.'}\n"
    )
    monkeypatch.setattr("sensorium.core.recipe.FOLDER", tmp_path)
    assert about_recipe("toy/base") == About(
        title="A paper",
        says="It works.",
        command="sensorium run toy:base",
        paper={"title": "A paper", "year": 2020, "room": "curate", "says": "It works."},
    )
    assert about_recipe("toy/mini").command == "sensorium run toy"
