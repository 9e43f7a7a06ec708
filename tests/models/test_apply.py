"""A model on files: values equal the model's own, every row is accounted for, and a stopped run goes on."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.models import tiny_models

from sensorium.core import files
from sensorium.core.errors import BusyError, InputError, SettingError
from sensorium.data.sources import Files
from sensorium.engine.machine import Machine
from sensorium.models import apply as applying
from sensorium.models.apply import Ready, Wish, apply, use
from sensorium.models.card import Card, write_card

CLASSES = ("dog", "red circle", "blue square")
CPU = Machine(devices=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "model"
    tiny_models.clip_folder(folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(tiny_models.pictures(4)):
        Image.fromarray(picture).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts.txt").write_text(f"a dog\n\n{'dog ' * 30}\nred circle\n")
    return tmp_path / "texts.txt"


def read(folder, name="rows"):
    return pa.concat_tables(pq.read_table(path) for path in sorted((folder / name).glob("*.parquet")))


def test_pictures_are_embedded_as_the_model_does(model, pictures):
    ready = use(model, CPU)
    table = ready(pictures)
    assert table["id"].to_pylist() == [f"{number}.png" for number in range(4)]
    assert set(table["kind"].to_pylist()) == {"image"}
    wanted = ready.embed_images(tiny_models.pictures(4))
    np.testing.assert_allclose(np.stack(table["embedding"].to_numpy()), wanted, atol=1e-6)
    assert ready.rejected.to_pylist()[0]["id"] == "broken.png"


def test_texts_are_embedded_and_cut_ones_are_marked(model, texts):
    ready = use(model, CPU)
    table = ready(texts)
    assert table["id"].to_pylist() == ["texts.txt:1", "texts.txt:3", "texts.txt:4"]
    assert table["cut"].to_pylist() == [False, True, False]
    assert ready.rejected.to_pylist() == [{"id": "texts.txt:2", "shard": "text-texts.txt", "reason": "empty"}]


def test_pictures_are_named(model, pictures):
    ready = use(model, CPU)
    table = ready(pictures, classes=CLASSES, template="a photo of the {}")
    logits = ready.score(tiny_models.pictures(4), [f"a photo of the {name}" for name in CLASSES])
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert table["label"].to_pylist() == [CLASSES[k] for k in shares.argmax(1)]
    np.testing.assert_allclose(table["score"].to_numpy(), shares.max(1), atol=1e-4)
    np.testing.assert_allclose(table["similarity"].to_numpy(), logits.max(1) / ready.logit_scale, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_batches_change_nothing(model, pictures, batch):
    ready = use(model, CPU)
    one, other = ready(pictures), ready(pictures, batch=batch)
    assert one["id"].to_pylist() == other["id"].to_pylist()
    np.testing.assert_allclose(
        np.stack(one["embedding"].to_numpy()), np.stack(other["embedding"].to_numpy()), atol=1e-5
    )


def test_a_folder_of_results_is_a_pool(model, pictures, texts, tmp_path):
    done = apply(model, [pictures, texts], tmp_path / "out", machine=CPU)
    assert (done.does, done.rows_in, done.rows_out) == ("embed", 9, 7)
    assert sum(done.reasons.values()) == 2
    about = files.read_json(tmp_path / "out" / "pool.json")
    assert about["rows_in"] == about["rows_out"] + about["dropped"] + about["rejected"]
    assert sorted(row["id"] for row in read(tmp_path / "out", "rejected").to_pylist()) == [
        "broken.png",
        "texts.txt:2",
    ]
    pool = Files(str(tmp_path / "out"))
    ids = [
        name
        for shard in pool.shards()
        for piece in shard.pieces(["embedding"])
        for name in piece.table["id"].to_pylist()
    ]
    assert sorted(ids) == sorted(read(tmp_path / "out")["id"].to_pylist())
    assert len(ids) == 7


def test_pictures_and_names_in_parquet(model, tmp_path, pictures):
    content = [path.read_bytes() for path in sorted(pictures.glob("?.png"))]
    pq.write_table(pa.table({"id": list("abcd"), "jpg": content}), tmp_path / "in.parquet")
    wish = Wish(classes=CLASSES, columns={"image": "jpg"})
    apply(model, tmp_path / "in.parquet", tmp_path / "out", wish, machine=CPU)
    table = read(tmp_path / "out")
    assert table["id"].to_pylist() == list("abcd")
    assert table["label"].to_pylist() == use(model, CPU)(pictures, classes=CLASSES)["label"].to_pylist()


def test_a_stopped_run_goes_on_and_gives_the_same_bytes(model, pictures, texts, tmp_path, monkeypatch):
    apply(model, [pictures, texts], tmp_path / "whole", machine=CPU)
    results, seen = applying.Work.results, []

    def stop_at_the_second(self, chunk):
        seen.append(chunk.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return results(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(applying.Work, "results", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            apply(model, [pictures, texts], tmp_path / "out", machine=CPU)
    assert len(list((tmp_path / "out" / "rows").iterdir())) == 1
    monkeypatch.setattr(applying.Work, "results", lambda self, chunk: seen.append(chunk.name) or results(self, chunk))
    apply(model, [pictures, texts], tmp_path / "out", machine=CPU)
    assert seen[1:] == [seen[1], seen[1]]
    for path in (tmp_path / "whole").rglob("*.*"):
        if path.is_file() and not path.name.startswith("."):
            assert (tmp_path / "out" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
    monkeypatch.setattr(applying, "use", lambda *_: pytest.fail("a finished run loaded the model"))
    assert apply(model, [pictures, texts], tmp_path / "out", machine=CPU).rows_out == 7


def test_results_of_another_model_input_or_wish_are_never_mixed(model, pictures, texts, tmp_path):
    apply(model, pictures, tmp_path / "out", machine=CPU)
    shutil.copytree(model, tmp_path / "edited")
    text = (tmp_path / "edited" / "config.json").read_text("utf-8")
    (tmp_path / "edited" / "config.json").write_text(text.replace("quick_gelu", "gelu"), encoding="utf-8")
    for arguments in (
        (tmp_path / "edited", pictures, tmp_path / "out"),
        (model, texts, tmp_path / "out"),
        (model, pictures, tmp_path / "out", Wish(classes=CLASSES)),
    ):
        with pytest.raises(BusyError, match="another model, input or wish"):
            apply(*arguments, machine=CPU)
    with pytest.raises(BusyError, match="holds other files"):
        apply(model, pictures, pictures, machine=CPU)
    shutil.copytree(model, tmp_path / "copied")
    assert apply(tmp_path / "copied", pictures, tmp_path / "out", Wish(batch=3), machine=CPU).rows_out == 4


def test_a_sentence_encoder_takes_texts_only(tmp_path, texts, pictures):
    tiny_models.sentence_folder(tmp_path / "encoder")
    ready = use(str(tmp_path / "encoder"), CPU)
    assert len(ready(texts)) == 3
    with pytest.raises(InputError, match="cannot embed images; its inputs are: text"):
        ready(pictures)
    with pytest.raises(SettingError, match="does not classify; it does: embed"):
        ready(texts, classes=CLASSES)
    with pytest.raises(InputError, match="cannot embed images"):
        apply(tmp_path / "encoder", pictures, tmp_path / "out", machine=CPU)


def test_texts_are_not_named(model, texts):
    with pytest.raises(InputError, match="cannot classify texts"):
        use(model, CPU)(texts, classes=CLASSES)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"does": "classify"}, "at least two"),
        ({"classes": ["dog"]}, "at least two"),
        ({"classes": ["dog", "dog"]}, "'dog' is given twice"),
        ({"does": "embed", "classes": CLASSES}, "no effect on 'embed'"),
        ({"template": "a {}"}, "no effect on 'embed'"),
        ({"classes": CLASSES, "template": "a photo"}, "one {} for the class name"),
        ({"batch": 0}, "at least 1 row"),
        ({"does": "transcribe"}, "does not transcribe; it does: embed, classify"),
        ({"klasses": CLASSES}, "not a setting here"),
    ],
)
def test_settings_without_effect_are_refused(model, pictures, wish, words):
    with pytest.raises(SettingError, match=words):
        use(model, CPU)(pictures, **wish)


def test_a_verb_of_a_later_release_is_one_sentence(model, tmp_path, pictures):
    shutil.copytree(model, tmp_path / "model")
    write_card(tmp_path / "model", Card(does=("transcribe",), inputs=("audio",)))
    with pytest.raises(SettingError, match="not supported yet"):
        use(tmp_path / "model", CPU)(pictures)


def test_attribution_travels_to_the_results(model, tmp_path, pictures):
    shutil.copytree(model, tmp_path / "model")
    card = Card(does=("embed",), inputs=("image", "text"), attribution=("OpenMoji, CC BY-SA 4.0",))
    write_card(tmp_path / "model", card)
    apply(tmp_path / "model", pictures, tmp_path / "out", machine=CPU)
    assert files.read_json(tmp_path / "out" / "pool.json")["attribution"] == ["OpenMoji, CC BY-SA 4.0"]


def test_a_ready_model_is_still_the_model(model):
    ready = use(model, CPU)
    assert isinstance(ready, Ready)
    assert ready.embed_texts(["dog"]).shape == (1, 8)
    assert repr(ready) == "<model: embed, classify>"
    with pytest.raises(AttributeError):
        ready.no_such_thing  # noqa: B018


def test_progress_counts_every_row(model, pictures, tmp_path):
    from contextlib import contextmanager

    class Counter:
        rows = 0

        @contextmanager
        def task(self, title, total=None, unit="items"):
            yield self

        def advance(self, count=1.0, **notes):
            self.rows += count

    counter = Counter()
    apply(model, pictures, tmp_path / "out", machine=CPU, progress=counter)
    assert counter.rows == 5
