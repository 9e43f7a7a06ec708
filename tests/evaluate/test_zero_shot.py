import io
import json
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sensorium.core.errors import InputError, SettingError
from sensorium.core.execute import Plan, execute
from sensorium.core.stage import Stage, stage
from sensorium.core.store import Store
from sensorium.data.sources import Files
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress
from sensorium.evaluate import zero_shot
from sensorium.evaluate.zero_shot import ZeroShot
from sensorium.models.hub import HubModel, open_model
from sensorium.tasks.classes import ClassFile
from sensorium.tasks.zero_shot import Frequency

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


class Painter:
    """Pictures by mean colour, texts by the colour they name; the plumbing's stand-in for a model."""

    def __init__(self):
        self.batches = []

    def embed_images(self, images, batch=64):
        self.batches.append(len(images))
        return np.array([np.asarray(image, np.float32).mean((0, 1)) + 1 for image in images], np.float32)

    def embed_texts(self, texts, batch=256):
        words = [next(colour for colour in COLOURS if colour in text) for text in texts]
        return np.array([COLOURS[word] for word in words], np.float32) + 1

    def score(self, images, texts):
        return self.embed_images(images) @ self.embed_texts(texts).T


@stage
class Painted(Stage):
    """A finished model."""

    gives = "model"
    seed: int = 0

    def run(self, here):
        return {"parameters": 0}


@pytest.fixture(autouse=True)
def painter(monkeypatch):
    painter = Painter()
    monkeypatch.setattr(zero_shot, "open_model", lambda model, here: painter)
    return painter


def png(colour, noise=0):
    pixels = np.clip(np.full((4, 4, 3), colour) + np.random.default_rng(noise).integers(-30, 30, (4, 4, 3)), 0, 255)
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "png")
    return out.getvalue()


def row(name, shown, label):
    return {
        "id": name,
        "image": {"bytes": png(COLOURS[shown], sum(name.encode()) % 97), "path": None},
        "label": label,
    }


ROWS = [
    row(f"i{n:02}", shown, label)
    for n, (shown, label) in enumerate([("red", "r")] * 4 + [("blue", "b")] * 3 + [("green", "b")] * 3)
]
CLASSES = {"r": "red", "g": "green", "b": "blue", "w": "white"}


def write(folder, rows, shards=1):
    folder.mkdir(parents=True, exist_ok=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("id", pa.string()), ("image", image), ("label", pa.string())])
    for shard in range(shards):
        pq.write_table(pa.Table.from_pylist(rows[shard::shards], schema=schema), folder / f"{shard}.parquet")
    return Files(str(folder / "*.parquet"))


def run(task, out, reuse="any"):
    plan = Plan((task,), Store(out), Machine(devices=0), reuse)
    progress = QuietProgress()
    done = execute(plan, runner=LocalRunner(1), progress=progress)[0]
    folder = plan.folder(task)
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    return done, scores, pq.read_table(folder / "items.parquet"), folder, progress.sentences


def test_a_pool_is_scored_and_every_item_told(tmp_path):
    pool = write(tmp_path / "pool", ROWS)
    done, scores, items, folder, _ = run(ZeroShot(model=Painted(), pool=pool, classes=CLASSES), tmp_path / "runs")
    assert scores["top1"]["value"] == 0.7
    assert (scores["top1"]["n"], scores["top1"]["of"]) == (10, 10)
    assert scores["mean_per_class"]["value"] == pytest.approx((1 + 0.5) / 2)
    assert scores["top5"]["value"] is None
    assert 0 < scores["top1"]["low"] < 0.7 < scores["top1"]["high"] < 1
    assert items.column_names == ["id", "label", "prediction", "rank", "group"]
    assert items["id"].to_pylist() == sorted(one["id"] for one in ROWS)
    missed = items.to_pylist()[7]
    assert (missed["label"], missed["prediction"], missed["group"]) == ("b", "g", None)
    assert missed["rank"] > 1
    assert done.metrics["top1"] == 0.7
    assert "top5" not in done.metrics
    assert (done.metrics["items"], done.metrics["given"], done.metrics["classes"]) == (10, 10, 4)
    about = json.loads((folder / "task.json").read_text("utf-8"))
    assert (about["classes"], about["languages"], about["chance"]) == (4, ["en"], 0.25)
    assert pq.read_table(folder / "rejected" / "rows.parquet").num_rows == 0
    assert not (folder / "shards").exists()


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("batch", [1, 4, 64])
def test_shards_order_and_batch_change_nothing(tmp_path, painter, shards, batch):
    first = run(ZeroShot(model=Painted(), pool=write(tmp_path / "a", ROWS), classes=CLASSES), tmp_path / "one")
    mixed = [ROWS[i] for i in np.random.default_rng(shards).permutation(10)]
    painter.batches.clear()
    pool = write(tmp_path / "b", mixed, shards)
    second = run(ZeroShot(model=Painted(), pool=pool, classes=CLASSES, batch=batch), tmp_path / "two")
    assert second[1] == first[1]
    assert second[2].equals(first[2])
    assert set(painter.batches) == {batch}  # one shape: a picture's vector cannot depend on its neighbours' number


def test_what_cannot_be_scored_is_listed_and_counted(tmp_path):
    broken = {"id": "x1", "image": {"bytes": ROWS[0]["image"]["bytes"][:60], "path": None}, "label": "r"}
    empty = {"id": "x2", "image": None, "label": "b"}
    foreign = row("x3", "red", "purple")
    unlabelled = row("x4", "red", None)
    pool = write(tmp_path / "pool", [*ROWS, broken, empty, foreign, unlabelled], 3)
    groups = {"warm": ("r",), "cold": ("b", "g")}
    done, scores, items, folder, _ = run(
        ZeroShot(model=Painted(), pool=pool, classes=CLASSES, groups=groups), tmp_path / "runs"
    )
    assert (scores["top1"]["value"], scores["top1"]["n"], scores["top1"]["of"]) == (0.7, 10, 14)
    assert (scores["warm"]["n"], scores["warm"]["of"]) == (4, 5)
    assert (scores["cold"]["n"], scores["cold"]["of"]) == (6, 7)
    lost = pq.read_table(folder / "rejected" / "rows.parquet").to_pylist()
    assert [one["id"] for one in lost] == ["x1", "x2", "x3", "x4"]
    assert [one["reason"].split(":")[0] for one in lost] == ["image", "image", "unknown label", "no label"]
    assert all(one["shard"] for one in lost)
    assert len(items) + len(lost) == done.metrics["given"] == 14


def test_blank_labels_are_no_class(tmp_path):
    rows = [row("a", "red", "red"), row("b", "blue", "blue"), row("c", "red", " "), row("d", "red", "")]
    pool = write(tmp_path / "pool", rows)
    _, scores, items, folder, _ = run(ZeroShot(model=Painted(), pool=pool, classes="labels"), tmp_path / "runs")
    assert (len(items), scores["top1"]["n"], scores["top1"]["of"]) == (2, 2, 4)
    lost = pq.read_table(folder / "rejected" / "rows.parquet").to_pylist()
    assert [(one["id"], one["reason"]) for one in lost] == [("c", "no label"), ("d", "no label")]


def test_a_killed_run_goes_on_where_it_was(tmp_path, painter, monkeypatch):
    pool = write(tmp_path / "pool", ROWS, 5)
    task = ZeroShot(model=Painted(), pool=pool, classes=CLASSES, batch=2)
    whole = run(task, tmp_path / "whole")
    calls = len(painter.batches)
    real = painter.embed_images

    def dies(images, batch=64):
        if len(painter.batches) >= calls + 3:
            raise KeyboardInterrupt
        return real(images, batch)

    monkeypatch.setattr(painter, "embed_images", dies)
    with pytest.raises(KeyboardInterrupt):
        run(task, tmp_path / "runs")
    monkeypatch.setattr(painter, "embed_images", real)
    again = run(task, tmp_path / "runs")
    assert again[1] == whole[1]
    assert again[2].equals(whole[2])
    assert len(painter.batches) - calls == 5  # nothing twice


def test_classes_come_from_a_file_the_labels_or_the_pool_stage(tmp_path):
    rows = [{**one, "label": {"r": "red", "b": "blue"}[one["label"]]} for one in ROWS[:7]]
    pool = write(tmp_path / "pool", rows)
    labels = run(ZeroShot(model=Painted(), pool=pool, classes="labels"), tmp_path / "labels")
    assert labels[1]["top1"]["value"] == 1
    entries = [
        {"label": c, "names": {"en": [c]}, "rank": n, "group": "head" if n else "tail"}
        for n, c in enumerate(("red", "blue"))
    ]
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({"classes": entries}), "utf-8")
    found = run(ZeroShot(model=Painted(), pool=pool, classes=ClassFile(str(path))), tmp_path / "file")
    assert found[1]["top1"]["value"] == found[1]["head"]["value"] == found[1]["tail"]["value"] == 1
    assert set(found[2]["group"].to_pylist()) == {"head", "tail"}
    with pytest.raises(InputError, match="brings no class list"):
        run(ZeroShot(model=Painted(), pool=pool), tmp_path / "none")


def test_classes_beside_the_rows_of_a_pool_stage_are_used(tmp_path):
    pool = LabelledPool()
    found = run(ZeroShot(model=Painted(), pool=pool, groups=Frequency(head=1, tail=2)), tmp_path / "runs")
    assert found[1]["top1"]["value"] == 1
    assert {name: score["n"] for name, score in found[1].items() if name in ("head", "tail")} == {
        "head": 2,
        "tail": 4,
    }


@stage
class LabelledPool(Stage):
    """Three classes, two pictures each, as the worlds write them."""

    gives = "pool"

    def run(self, here):
        colours = ("red", "green", "blue")
        write(here.out / "rows", [row(f"p{n}", colours[n % 3], str(n % 3)) for n in range(6)])
        entries = [{"label": n, "names": {"en": [c]}, "rank": n + 1} for n, c in enumerate(colours)]
        (here.out / "classes.json").write_text(json.dumps({"classes": entries}), "utf-8")
        (here.out / "pool.json").write_text("{}", "utf-8")
        return {"rows": 6}


def test_classes_with_the_same_prompts_are_told_and_missed(tmp_path):
    pool = write(tmp_path / "pool", ROWS[:4])
    found = run(ZeroShot(model=Painted(), pool=pool, classes={"r": "red", "s": "red"}), tmp_path / "runs")
    assert found[1]["top1"]["value"] == 0
    assert "1 pairs of classes have one embedding, such as r and s" in found[4][0]
    assert json.loads((found[3] / "task.json").read_text("utf-8"))["twins"] == [["r", "s"]]


def test_an_id_that_occurs_twice_stops_the_score(tmp_path):
    pool = write(tmp_path / "pool", [*ROWS, ROWS[0]], 2)
    with pytest.raises(InputError, match="'i00' is twice"):
        run(ZeroShot(model=Painted(), pool=pool, classes=CLASSES), tmp_path / "runs")


def test_nothing_to_score_is_said(tmp_path):
    for rows, says in (
        ([], "no rows to score"),
        ([row("x", "red", "z")], "none of the 1 rows could be scored"),
    ):
        pool = write(tmp_path / says[:4], rows)
        with pytest.raises(InputError, match=says):
            run(ZeroShot(model=Painted(), pool=pool, classes=CLASSES), tmp_path / "runs")


def test_a_model_without_pictures_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zero_shot, "open_model", lambda model, here: object())
    with pytest.raises(SettingError, match="object embeds no pictures and texts"):
        run(ZeroShot(model=Painted(), pool=write(tmp_path / "pool", ROWS), classes=CLASSES), tmp_path / "runs")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch": 0}, "batch = 0"),
        ({"classes": "classes.json"}, r"ClassFile\('classes.json'\)"),
        ({"groups": "head"}, "groups = 'head'"),
        ({"names": "some"}, "names = 'some'"),
        ({"templates": "generl"}, "did you mean 'general'"),
        ({"templates": ("a photo",)}, "every template holds {}"),
        ({"languages": ("sw",)}, "no language 'sw'"),
        ({"languages": "en"}, "languages are a list"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_the_stage_is_built(tmp_path, settings, says):
    with pytest.raises(SettingError, match=says):
        ZeroShot(model=Painted(), pool=write(tmp_path, ROWS), **settings)


def test_the_identity_follows_content_and_settings_but_not_the_batch(tmp_path):
    pool = write(tmp_path / "pool", ROWS)

    def identity(**more):
        task = ZeroShot(**{"model": Painted(), "pool": pool, "classes": CLASSES, **more})
        return Plan((task,), Store(tmp_path / "runs"), Machine(devices=0)).fingerprints[task]

    same = identity()
    assert identity(batch=7) == same
    changed = [
        identity(model=Painted(seed=1)),
        identity(classes={**CLASSES, "r": "crimson red"}),
        identity(templates="plain"),
        identity(languages=("de",)),
        identity(groups=None),
        identity(names="first"),
    ]
    assert len({same, *changed}) == 7
    copy = write(tmp_path / "copy", ROWS)
    assert identity(pool=copy) == same
    other = write(tmp_path / "pool2", ROWS[1:])
    assert identity(pool=other) != same


def test_scores_are_finite_numbers(tmp_path):
    pool = write(tmp_path / "pool", ROWS[:1])
    _, scores, _, _, _ = run(ZeroShot(model=Painted(), pool=pool, classes=CLASSES), tmp_path / "runs")
    assert all(
        math.isfinite(value) for score in scores.values() for value in score.values() if isinstance(value, float)
    )
    assert scores["mean_per_class"]["note"] == "no interval: 1 classes"


def noisy(noise, count=37):
    out = []
    for number in range(count):
        data = io.BytesIO()
        Image.fromarray(noise(number)).save(data, "png")
        label = "rgbw"[number % 4]
        out.append({"id": f"n{number:02}", "image": {"bytes": data.getvalue(), "path": None}, "label": label})
    return out


def test_a_real_network_scores_the_same_on_any_shards_order_and_batch(tmp_path, clip_folder, noise, monkeypatch):
    monkeypatch.setattr(zero_shot, "open_model", open_model)
    rows, model = noisy(noise), HubModel(str(clip_folder()))
    first = run(ZeroShot(model=model, pool=write(tmp_path / "a", rows), classes=CLASSES), tmp_path / "one")
    assert 0 < first[1]["top1"]["value"] < 0.8
    for shards, batch in ((1, 64), (3, 64), (7, 4), (2, 1)):
        mixed = [rows[i] for i in np.random.default_rng(shards).permutation(len(rows))]
        pool = write(tmp_path / f"{shards}", mixed, shards)
        found = run(ZeroShot(model=model, pool=pool, classes=CLASSES, batch=batch), tmp_path / f"runs{shards}")
        assert found[1] == first[1]
        assert found[2].equals(first[2])


def test_other_weights_in_the_same_folder_give_another_score(tmp_path, clip_folder, noise, monkeypatch):
    monkeypatch.setattr(zero_shot, "open_model", open_model)
    pool, folder = write(tmp_path / "pool", noisy(noise)), clip_folder()
    task = ZeroShot(model=HubModel(str(folder)), pool=pool, classes=CLASSES)
    first = run(task, tmp_path / "runs")
    weights = folder / "model.safetensors"
    before = weights.stat()
    other = (clip_folder("other", seed=1) / "model.safetensors").read_bytes()
    assert len(other) == before.st_size
    weights.write_bytes(other)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = run(task, tmp_path / "runs")
    assert second[3] != first[3]
    assert not second[2].equals(first[2])
    monkeypatch.setattr(zero_shot, "open_model", None)  # an unchanged run is answered from the store
    assert run(task, tmp_path / "runs")[2].equals(second[2])
