from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

import sensorium as sm
from sensorium import api
from sensorium.core import files
from sensorium.core.errors import SettingError
from sensorium.core.execute import Plan
from sensorium.core.score import Score
from sensorium.core.stage import Stage, stage, takes
from sensorium.core.store import Store
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress


@stage
class Part(Stage):
    gives: ClassVar[str] = "pool"
    value: int = 1

    def run(self, here):
        files.write_json(here.out / "value.json", self.value)
        return {"value": self.value}


@stage
class Judge(Stage):
    gives: ClassVar[str] = "scores"
    of: tuple[Stage, ...] = takes("pool")

    def run(self, here):
        value = sum(files.read_json(here.path(part) / "value.json") for part in self.of)
        files.write_json(here.out / "scores.json", {"top1": Score(value=value / 10, n=10).as_json()})
        return {"top1": value / 10}


RECIPE = '''
"""A recipe of the user's."""
from typing import ClassVar
from sensorium.core import files
from sensorium.core.stage import Stage, stage

PAPER = {"title": "Counting", "year": 2026, "room": "curate"}

@stage
class Count(Stage):
    gives: ClassVar[str] = "pool"
    size: int = 3

    def run(self, here):
        files.write_json(here.out / "value.json", self.size)
        return {"size": self.size}

def mini(size: int = 3) -> Stage:
    return Count(name="counted", size=size)
'''


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "counting.py"
    path.write_text(RECIPE)
    yield path
    sys.modules.pop("sensorium_file_counting", None)


@pytest.fixture
def no_page(monkeypatch):
    """The page is another room's business."""
    monkeypatch.setattr(api, "_page", lambda plan, label, *path: plan.store.root / label / "report.html")


def judged() -> Judge:
    return Judge(name="judged", of=(Part(name="part", value=3), Part(name="part", value=4)))


def test_a_stage_is_run_and_its_result_is_at_hand(tmp_path, no_page):
    result = sm.run(judged(), out=tmp_path / "runs", quiet=True)
    assert result.metrics == {"top1": 0.7}
    assert result.scores["top1"] == Score(value=0.7, n=10)
    assert result.path.parent == tmp_path / "runs" / "Judge"
    assert result.page == tmp_path / "runs" / "judged" / "report.html"
    with pytest.raises(SettingError, match="judged gives scores, not a pool"):
        result.table()
    with pytest.raises(SettingError, match="Part gives pool, not scores"):
        _ = sm.run(Part(), out=tmp_path / "runs", quiet=True).scores


def test_a_recipe_is_run_by_path_with_its_parameters(tmp_path, recipe, no_page):
    result = sm.run(str(recipe), out=tmp_path / "runs", quiet=True, size=5)
    assert result.metrics == {"size": 5}
    assert files.read_json(tmp_path / "runs" / "counting" / "mini" / "counted" / "value.json") == 5
    recipe.write_text(RECIPE.replace('{"size": self.size}', '{"size": -self.size}'))
    assert sm.run(str(recipe), out=tmp_path / "runs", quiet=True, size=6).metrics == {"size": -6}


def test_it_works_in_a_running_event_loop_as_in_a_notebook(tmp_path, no_page):
    async def cell():
        return sm.run(judged(), out=tmp_path / "runs", quiet=True, machine=Machine(workers=2))

    assert asyncio.run(cell()).metrics == {"top1": 0.7}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda out: sm.run("no_such_recipe", out=out), "unknown recipe 'no_such_recipe'"),
        (lambda out: sm.run(Part(), out=out, value=3), "value is not an argument of run"),
    ],
)
def test_wrong_calls_are_one_sentence_and_run_nothing(tmp_path, call, said):
    with pytest.raises(SettingError, match=said):
        call(tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_links_have_the_names_of_the_stages(tmp_path):
    last = judged()
    plan = Plan((last,), Store(tmp_path / "runs"), Machine())
    api.carry_out(plan, QuietProgress())
    api.link_stages(plan, "recipe/mini")
    links = tmp_path / "runs" / "recipe" / "mini"
    assert sorted(path.name for path in links.iterdir()) == ["judged", "part", "part-2"]
    assert [files.read_json(links / name / "value.json") for name in ("part", "part-2")] == [3, 4]
    assert not any(os.path.isabs(os.readlink(path)) for path in links.iterdir())


def test_several_jobs_give_the_same(tmp_path):
    values = []
    for jobs in (1, 2):
        plan = Plan((judged(),), Store(tmp_path / str(jobs)), Machine())
        values.append([done.metrics for done in api.carry_out(plan, QuietProgress(), jobs)])
    assert values[0] == values[1] == [{"top1": 0.7}]


def test_show_draws_the_graph_and_runs_nothing(tmp_path, recipe, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sm.show(judged()).splitlines()[-1] == "     1 + 2 -> scores"
    assert sm.show(str(recipe), size=4) == "  1  counted: Count(size=4)\n     nothing -> pool"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counting.py"]


def test_the_package_is_light_and_says_what_it_has():
    script = "import sys, sensorium as sm; print('loky' in sys.modules, 'numpy' in sys.modules, sorted(dir(sm)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False ['Result', '__version__', 'load', 'open', 'run', 'show']\n", done.stderr
    with pytest.raises(AttributeError, match="has no attribute 'rum'; it has: Result"):
        _ = sm.rum


def test_no_public_name_is_a_room():
    rooms = {path.name for path in Path(sm.__file__).parent.iterdir() if path.is_dir()}
    assert not rooms & set(sm.__all__)
