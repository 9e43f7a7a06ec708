"""A package that sensorium does not know: its recipe is found by path and by entry point, its parts just work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sensorium.api import carry_out
from sensorium.core.errors import SettingError
from sensorium.core.execute import Plan
from sensorium.core.recipe import find, recipes
from sensorium.core.stage import Stage
from sensorium.core.store import Store
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress

HERE = Path(__file__).parent
SOURCE = HERE / "src"
FILE = SOURCE / "sensorium_outside" / "tone_of_voice.py"
ENTRY = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["entry-points"]["sensorium.recipes"]


@pytest.fixture
def forget(monkeypatch):
    """The package is as if never imported, before and after."""

    def clean() -> None:
        for name in list(sys.modules):
            if name.startswith(("sensorium_outside", "sensorium_file_")):
                del sys.modules[name]

    monkeypatch.setattr(sys, "path", list(sys.path))
    clean()
    yield
    clean()


def install(site: Path) -> Path:
    """What pip leaves of a package: its modules and a .dist-info with entry points."""
    shutil.copytree(SOURCE, site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / "sensorium_outside-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sensorium-outside\nVersion: 1.0.0\n")
    lines = [f"{name} = {target}" for name, target in ENTRY.items()]
    (info / "entry_points.txt").write_text("\n".join(["[sensorium.recipes]", *lines, ""]))
    return site


@pytest.fixture
def installed(forget, tmp_path, monkeypatch):
    site = install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    return site


def run(last: Stage, root: Path, jobs: int = 1, workers: int = 1) -> Plan:
    plan = Plan((last,), Store(root), Machine(devices=0, workers=workers))
    carry_out(plan, QuietProgress(), jobs)
    return plan


def labels(plan: Plan) -> list[str]:
    return [stage.label() for stage in plan.order]


def test_the_recipe_is_listed_with_its_card_and_nothing_is_imported(installed):
    found = {recipe.name: recipe for recipe in recipes()}["tone_of_voice"]
    assert found.origin == "entry point"
    assert found.paper()["title"] == "Tone of voice, from outside"
    assert found.variants() == ["mini"]
    assert not [name for name in sys.modules if name.startswith("sensorium_outside")]


def test_it_runs_by_entry_point_with_its_options(installed, tmp_path):
    pytest.importorskip("lightning_fabric")
    recipe, name = find("tone_of_voice")
    variant = recipe.variant(name)
    last = variant.build(**variant.read_options({"words": "3", "updates": "30", "labels": "calm,loud"}))
    plan = run(last, tmp_path / "runs")
    assert labels(plan) == ["texts", "tone", "score"]
    texts, tone, score = plan.order
    dropped = pq.read_table(plan.folder(texts) / "dropped").to_pylist()
    assert {row["dropped"] for row in dropped} == {"fewer than 3 words"}
    assert plan.done(texts).metrics == {"rows_in": 76, "rows_out": 72, "dropped": 4, "rejected": 0}
    assert plan.done(tone).metrics["examples"] == 30 * 16
    assert (plan.folder(tone) / "model.safetensors").exists()
    assert plan.done(score).metrics["top1"] > 0.9
    assert run(variant.build(words=3, updates=30), tmp_path / "runs").waiting() == []


def test_its_names_in_the_store_are_those_of_the_package(installed, tmp_path):
    last = find("tone_of_voice")[0].variant("mini").build()
    assert type(last).__module__ == "sensorium_outside.judge"
    again = find("sensorium_outside.tone_of_voice:mini")[0].variant("mini").build()
    plans = [Plan((graph,), Store(tmp_path), Machine()) for graph in (last, again)]
    assert plans[0].fingerprints[last] == plans[1].fingerprints[again]


def test_it_is_found_by_path_too_and_is_the_same(forget, tmp_path, monkeypatch):
    """A file beside others of its package; the parts are imported by name, so they are the same parts."""
    monkeypatch.syspath_prepend(str(SOURCE))
    by_path = find(f"{FILE}:mini")[0].variant("mini").build()
    by_name = find("sensorium_outside.tone_of_voice")[0].variant("mini").build()
    plans = [Plan((graph,), Store(tmp_path), Machine()) for graph in (by_path, by_name)]
    assert plans[0].fingerprints[by_path] == plans[1].fingerprints[by_name]


@pytest.mark.parametrize("file", ["steps.py", "tone_config.py", "nearest_mean.py"])
def test_editing_a_part_outside_is_a_change_of_source(installed, tmp_path, file):
    """A step, a config or a task stands in a field of our stages; its file counts as well."""
    last = find("tone_of_voice")[0].variant("mini").build()
    before = Plan((last,), Store(tmp_path), Machine())
    with (installed / "sensorium_outside" / file).open("a") as part:
        part.write("\n# edited\n")
    after = Plan((last,), Store(tmp_path), Machine())
    changed = [
        stage.label()
        for stage in after.order
        if before.fingerprints.lineage(stage) != after.fingerprints.lineage(stage)
    ]
    assert before.fingerprints[last] == after.fingerprints[last]
    expected = {
        "steps.py": ["texts", "tone", "score"],
        "tone_config.py": ["tone", "score"],
        "nearest_mean.py": ["score"],
    }
    assert changed == expected[file]


def test_its_parts_travel_to_worker_processes(installed, tmp_path):
    texts = find("tone_of_voice")[0].variant("mini").build().model.pool
    shards = tmp_path / "pool"
    shards.mkdir()
    rows = (SOURCE / "sensorium_outside" / "sample.jsonl").read_text().splitlines(keepends=True)
    for number in range(4):
        (shards / f"{number}.jsonl").write_text("".join(rows[number::4]))
    from sensorium.curate.curate import Curate
    from sensorium.data.sources import Files

    tables = []
    for workers in (1, 2):
        stage = Curate(pool=Files(str(shards)), steps=texts.steps)
        plan = run(stage, tmp_path / f"runs-{workers}", workers=workers)
        assert plan.done(stage).metrics["dropped"] == 4
        tables.append(pq.read_table(plan.folder(stage) / "rows"))
    assert tables[0].equals(tables[1])


def test_a_wrong_option_is_one_sentence(installed):
    variant = find("tone_of_voice")[0].variant("mini")
    with pytest.raises(SettingError, match="did you mean '--words'"):
        variant.read_options({"word": "3"})
    with pytest.raises(SettingError, match="words is at least 1, not 0"):
        variant.build(words=0)


@pytest.mark.slow
def test_the_command_lists_and_runs_it(tmp_path):
    site = install(tmp_path / "site")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sensorium", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "tone_of_voice" in [row["recipe"] for row in json.loads(command("list", "--json"))]
    assert "--words" in command("show", "tone_of_voice")
    result = json.loads(command("run", "tone_of_voice", "--updates", "20", "--devices", "0", "--json"))
    assert result["metrics"]["top1"] > 0.8
    assert Path(tmp_path / result["page"]).exists()


@pytest.mark.slow
def test_pip_installs_it(tmp_path, forget, monkeypatch):
    pytest.importorskip("hatchling")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    source = tmp_path / "source"
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    site = tmp_path / "site"
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(site), str(source)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.syspath_prepend(str(site))
    found = {recipe.name: recipe for recipe in recipes()}["tone_of_voice"]
    assert found.file == site / "sensorium_outside" / "tone_of_voice.py"
    assert labels(Plan((found.variant("mini").build(),), Store(tmp_path / "runs"), Machine())) == [
        "texts",
        "tone",
        "score",
    ]
