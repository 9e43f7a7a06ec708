from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sensorium.cli.new import check_name, recipe_text
from sensorium.core.errors import SettingError


def test_the_written_recipe_shows_and_runs_at_once(sensorium, tmp_path):
    ran = sensorium("new", "recipe", "my_system")
    assert ran.out == "wrote my_system.py; try: sensorium show ./my_system.py; sensorium run ./my_system.py\n"
    shown = sensorium("show", "./my_system.py").out
    assert "my_system: my_system (2026)" in shown
    assert "curated: Curate(steps=[EnoughWords(words=4), Match(vocabulary=<entries>), Balance(t=50)])" in " ".join(
        shown.split()
    )
    ran = sensorium("run", "./my_system.py", "--json")
    assert ran.code == 0
    metrics = ran.document["metrics"]
    assert metrics["rows_in"] == 1000 == metrics["rows_out"] + metrics["dropped"]
    assert 0 < metrics["rows_out"] < 500
    reasons = json.loads((tmp_path / "runs/my_system/mini/curated/statistics.json").read_text("utf-8"))
    assert "too few words" in json.dumps(reasons)
    assert (tmp_path / "runs/my_system/mini/report.html").is_file()


def test_its_options_shape_the_result(sensorium, recipe, pool):
    everything = sensorium("run", recipe, "--words", 1, "--t", 10_000, "--json").document["metrics"]
    assert everything["dropped"] == 0
    own = sensorium("run", recipe, "--pool", pool, "--entries", "dog,cat", "--words", 2, "--t", 9, "--json").document
    assert own["metrics"] == {"rows_in": 8, "rows_out": 5, "dropped": 3, "rejected": 0}


def test_an_existing_file_stays_unless_told_otherwise(sensorium, tmp_path):
    (tmp_path / "mine.py").write_text("mine")
    assert sensorium("new", "recipe", "mine").error.startswith("mine.py exists; choose another name, or say --force")
    assert (tmp_path / "mine.py").read_text() == "mine"
    assert sensorium("new", "recipe", "mine", "--force", "--json").document == {"path": "mine.py"}
    assert (tmp_path / "mine.py").read_text("utf-8") == recipe_text("mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize("name", ["", "Mine", "2nd", "my-system", "a/b", "../up", "class", "a.py", "x" * 99])
def test_what_is_no_module_name_is_refused(name):
    with pytest.raises(SettingError, match="is not a recipe name; use small letters"):
        check_name(name)


def test_only_recipes_are_made(sensorium, tmp_path):
    assert (
        sensorium("new", "recipes", "mine").error
        == "unknown thing to make 'recipes'; did you mean 'recipe'? Known: recipe."
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [88, 110])
def test_the_written_file_is_tidy(tmp_path, length):
    path = tmp_path / "mine.py"
    path.write_text(recipe_text("mine"), "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--select", "E,F,W,I,B,UP,RUF,SIM,N,ANN,D", "--ignore", "D203,D213,D413"]
    for words in (["check", *rules], ["format", "--check"]):
        command = [*ruff, *words, "--isolated", f"--line-length={length}", "--no-cache", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
