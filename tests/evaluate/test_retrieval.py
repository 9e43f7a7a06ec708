import io
import json

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
from sensorium.evaluate import retrieval
from sensorium.evaluate.retrieval import Retrieval
from sensorium.models.hub import HubModel, open_model


class Teller:
    """Texts hold numbers, "3 0 9", and mean that colour; the plumbing's stand-in for a model."""

    def __init__(self):
        self.batches = []

    def embed_images(self, images, batch=64):
        self.batches.append(len(images))
        return np.array([np.asarray(image, np.float32).mean((0, 1)) / 20 + 0.5 for image in images], np.float32)

    def embed_texts(self, texts, batch=256):
        return np.array([[float(part) for part in text.split()[:3]] for text in texts], np.float32) + 0.5

    def score(self, images, texts):
        return self.embed_images(images) @ self.embed_texts(texts).T


@stage
class Told(Stage):
    """A finished model."""

    gives = "model"

    def run(self, here):
        return {"parameters": 0}


@pytest.fixture(autouse=True)
def teller(monkeypatch):
    teller = Teller()
    monkeypatch.setattr(retrieval, "open_model", lambda model, here: teller)
    return teller


def png(colour):
    out = io.BytesIO()
    Image.new("RGB", (3, 3), tuple(20 * part for part in colour)).save(out, "png")
    return {"bytes": out.getvalue(), "path": None}


def row(name, key, colour, text=None):
    image = png(colour) if isinstance(colour, tuple) else colour
    return {"id": name, "image": image, "text": text or " ".join(map(str, colour)), "key": key}


BAD = {"bytes": png((1, 2, 3))["bytes"][:40], "path": None}


def write(folder, rows, shards=1):
    folder.mkdir(parents=True, exist_ok=True)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("id", pa.string()), ("image", image), ("text", pa.string()), ("key", pa.string())])
    for shard in range(shards):
        pq.write_table(pa.Table.from_pylist(rows[shard::shards], schema=schema), folder / f"{shard}.parquet")
    return Files(str(folder / "*.parquet"))


def run(task, out):
    plan = Plan((task,), Store(out), Machine(devices=0))
    done = execute(plan, runner=LocalRunner(1), progress=QuietProgress())[0]
    folder = plan.folder(task)
    read = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("scores", "task")}
    lost = pq.read_table(folder / "rejected" / "rows.parquet").to_pylist()
    return done, read["scores"], pq.read_table(folder / "items.parquet"), lost, read["task"]


def world(seed=0, pictures=12, texts=3):
    """Pictures with several texts each, some of which describe another picture better."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 12, (pictures, 3))
    rows = []
    for number, colour in enumerate(colours):
        for text in range(texts):
            said = np.clip(colour + rng.integers(-3, 4, 3), 0, 12)
            rows.append(row(f"r{number:02}-{text}", f"k{number:02}", tuple(map(int, colour)), " ".join(map(str, said))))
    return rows


def by_hand(rows):
    """Ranks by plain loops."""
    unit = lambda v: np.asarray(v, float) / np.linalg.norm(v)  # noqa: E731
    pictures, texts = {}, {}
    for one in sorted(rows, key=lambda one: one["id"]):
        pixels = np.asarray(Image.open(io.BytesIO(one["image"]["bytes"])), np.float32).mean((0, 1)) / 20 + 0.5
        pictures.setdefault(one["key"], unit(pixels))
        texts[one["id"]] = one["key"], unit(np.array([float(p) for p in one["text"].split()]) + 0.5)
    ranks = {}
    for key, vector in pictures.items():
        mine = max(vector @ text for owner, text in texts.values() if owner == key)
        ranks[key] = 1 + sum(owner != key and vector @ text >= mine - 1e-6 for owner, text in texts.values())
    for name, (key, text) in texts.items():
        mine = text @ pictures[key]
        ranks[name] = 1 + sum(other != key and text @ vector >= mine - 1e-6 for other, vector in pictures.items())
    return ranks


def test_ranks_and_rates_equal_those_by_hand(tmp_path):
    rows = world()
    done, scores, items, lost, about = run(
        Retrieval(model=Told(), pool=write(tmp_path / "pool", rows), key="key"), tmp_path / "runs"
    )
    expected = by_hand(rows)
    assert {one["id"]: one["rank"] for one in items.to_pylist()} == expected
    for direction, count in (("image_to_text", 12), ("text_to_image", 36)):
        ranks = [one["rank"] for one in items.to_pylist() if one["group"] == direction]
        assert len(ranks) == scores[f"{direction}_r1"]["n"] == count
        for k in (1, 5, 10):
            assert scores[f"{direction}_r{k}"]["value"] == pytest.approx(np.mean([rank <= k for rank in ranks]))
            assert done.metrics[f"{direction}_r{k}"] == scores[f"{direction}_r{k}"]["value"]
    assert 0 < scores["text_to_image_r1"]["value"] < 1
    assert scores["text_to_image_r1"]["definition"].startswith("text to image: share of queries")
    assert lost == []
    assert (about["images"], about["texts"]) == (12, 36)


@pytest.mark.parametrize("shards", [1, 3, 7])
@pytest.mark.parametrize("batch", [1, 5, 64])
def test_shards_order_and_batch_change_nothing(tmp_path, shards, batch):
    rows = [*world(1), row("a-broken", "k03", BAD, "1 2 3"), row("z-broken", "k04", BAD, "1 2 3")]
    first = run(Retrieval(model=Told(), pool=write(tmp_path / "a", rows), key="key"), tmp_path / "one")
    mixed = [rows[i] for i in np.random.default_rng(shards).permutation(len(rows))]
    task = Retrieval(model=Told(), pool=write(tmp_path / "b", mixed, shards), key="key", batch=batch)
    second = run(task, tmp_path / "two")
    assert second[1] == first[1]
    assert second[2].equals(first[2])
    assert second[4] == first[4]
    assert [one["id"] for one in first[4]["broken_images"]] == ["a-broken"]


def test_each_row_is_a_pair_without_a_key(tmp_path):
    rows = [row("a", None, (9, 0, 0)), row("b", "b", (0, 9, 0)), row("c", None, (0, 0, 9))]
    whole = write(tmp_path / "pool", rows)
    table = pq.read_table(tmp_path / "pool" / "0.parquet")
    pq.write_table(table.drop_columns(["key"]), tmp_path / "keyless.parquet")
    keyless = Files(str(tmp_path / "keyless.parquet"))
    for number, (key, pool) in enumerate([("", whole), ("key", whole), ("key", keyless)]):
        _, scores, items, _, _ = run(Retrieval(model=Told(), pool=pool, key=key, ks=(1,)), tmp_path / str(number))
        assert scores["image_to_text_r1"]["value"] == scores["text_to_image_r1"]["value"] == 1
        assert set(items["label"].to_pylist()) == {"a", "b", "c"}
    with pytest.raises(InputError, match="no column 'keys'"):
        run(Retrieval(model=Told(), pool=whole, key="keys"), tmp_path / "runs")


def test_texts_that_pictures_share_are_ties_and_misses(tmp_path):
    rows = [row("a", "a", (9, 0, 0)), row("b", "b", (9, 0, 0)), row("c", "c", (0, 0, 9))]
    _, scores, items, _, about = run(
        Retrieval(model=Told(), pool=write(tmp_path / "pool", rows), key="key", ks=(1, 2)), tmp_path / "runs"
    )
    assert scores["text_to_image_r1"]["value"] == pytest.approx(1 / 3)
    assert scores["text_to_image_r2"]["value"] == 1
    assert items["prediction"].to_pylist()[:2] == [None, None]
    assert about["shared_texts"] == 1


def test_a_rate_that_cannot_miss_has_no_value(tmp_path):
    rows = [row("a", "a", (9, 0, 0)), row("b", "b", (0, 9, 0)), row("b2", "b", (0, 9, 0), "0 8 0")]
    _, scores, _, _, _ = run(
        Retrieval(model=Told(), pool=write(tmp_path / "pool", rows), key="key", ks=(1, 2, 10)), tmp_path / "runs"
    )
    assert scores["text_to_image_r2"]["value"] is None
    assert scores["text_to_image_r2"]["note"] == "with 2 pictures every answer is among the first 2"
    assert scores["image_to_text_r2"]["value"] == 1
    assert scores["image_to_text_r10"]["value"] is None


def test_what_cannot_be_used_is_listed_and_counted(tmp_path):
    rows = [
        row("a0", "a", BAD, "9 0 0"),  # another row of this picture decodes: its text counts
        row("a1", "a", (9, 0, 0)),
        row("a2", "a", (9, 0, 0)),  # the same text again
        row("a3", "a", (9, 0, 0), " "),
        row("b0", "b", (0, 9, 0)),
        row("c0", "c", BAD, "0 0 9"),
        row("c1", "c", None, "0 0 8"),
    ]
    done, scores, _, lost, about = run(
        Retrieval(model=Told(), pool=write(tmp_path / "pool", rows, 2), key="key", ks=(1,)), tmp_path / "runs"
    )
    assert [one["id"] for one in lost] == ["a1", "a2", "a3", "c0", "c1"]
    reasons = {one["id"]: one["reason"] for one in lost}
    assert reasons["a1"] == reasons["a2"] == "text repeated for the same image"
    assert reasons["a3"] == "no text"
    assert reasons["c0"].startswith("image: ")
    assert reasons["c1"] == "no image"
    assert [one["id"] for one in about["broken_images"]] == ["a0"]
    texts = scores["text_to_image_r1"]
    assert (texts["n"], texts["of"]) == (2, 7)
    assert (scores["image_to_text_r1"]["n"], scores["image_to_text_r1"]["of"]) == (2, 3)
    assert texts["n"] + len(lost) == done.metrics["given"] == 7


def test_an_id_that_occurs_twice_stops_the_score(tmp_path):
    pool = write(tmp_path / "pool", [row("a", "a", (9, 0, 0)), row("a", "b", (0, 9, 0))])
    with pytest.raises(InputError, match="'a' is twice"):
        run(Retrieval(model=Told(), pool=pool, key="key"), tmp_path / "runs")


@pytest.mark.parametrize(
    "rows", [[], [row("a", "a", (9, 0, 0))], [row("a", "a", BAD, "1 2 3"), row("b", "b", (9, 0, 0))]]
)
def test_fewer_than_two_pictures_are_refused(tmp_path, rows):
    with pytest.raises(InputError, match="at least 2"):
        run(Retrieval(model=Told(), pool=write(tmp_path / "pool", rows), key="key"), tmp_path / "runs")


@pytest.mark.parametrize("settings", [{"ks": ()}, {"ks": (0,)}, {"ks": (1, 1)}, {"batch": 0}])
def test_settings_that_cannot_work_are_refused(tmp_path, settings):
    with pytest.raises(SettingError):
        Retrieval(model=Told(), pool=write(tmp_path, [row("a", "a", (9, 0, 0))]), **settings)


def test_a_model_without_pictures_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval, "open_model", lambda model, here: object())
    with pytest.raises(SettingError, match="object embeds no pictures and texts"):
        run(Retrieval(model=Told(), pool=write(tmp_path / "pool", world())), tmp_path / "runs")


def test_the_pictures_are_embedded_in_one_shape(tmp_path, teller):
    run(Retrieval(model=Told(), pool=write(tmp_path / "pool", world()), key="key", batch=5), tmp_path / "runs")
    assert set(teller.batches) == {5}


def test_a_real_network_scores_the_same_on_any_shards_and_order(tmp_path, clip_folder, noise, monkeypatch):
    monkeypatch.setattr(retrieval, "open_model", open_model)
    words = ["red dog", "blue cat", "a photo", "the white cat", "green", "a dog of the cat"]
    rows = []
    for number in range(24):
        data = io.BytesIO()
        Image.fromarray(noise(number // 2)).save(data, "png")
        text = f"{words[number % 6]} {words[number // 6]}"
        rows.append(row(f"r{number:02}", f"k{number // 2:02}", {"bytes": data.getvalue(), "path": None}, text))
    model = HubModel(str(clip_folder()))
    pool = write(tmp_path / "pool", rows)
    first = run(Retrieval(model=model, pool=pool, key="key"), tmp_path / "one")
    assert 0 < first[1]["text_to_image_r5"]["value"] < 1
    for shards in (3, 7):
        mixed = [rows[i] for i in np.random.default_rng(shards).permutation(len(rows))]
        pool = write(tmp_path / f"{shards}", mixed, shards)
        found = run(Retrieval(model=model, pool=pool, key="key"), tmp_path / f"runs{shards}")
        assert found[1] == first[1]
        assert found[2].equals(first[2])
