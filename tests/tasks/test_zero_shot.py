import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data.sources import Files
from sensorium.tasks.classes import ClassList, LabelClass, classes_from
from sensorium.tasks.task import Task, TaskCard
from sensorium.tasks.zero_shot import ITEMS, Frequency, ZeroShotClassification, unit

CARD = TaskCard(name="zero-shot/test")


def ranked(count):
    return ClassList(LabelClass(id=str(n), names={"en": (f"thing {n}",)}, rank=n) for n in range(count))


def task(classes=None, **more):
    return ZeroShotClassification(
        card=CARD, classes=classes or classes_from({"a": "ant", "b": "bee", "c": "cat"}), **more
    )


def test_class_vectors_equal_the_formula():
    rng = np.random.default_rng(0)
    asked: Task = task(templates=("{}", "a {}"))
    texts, owners = asked.prompts()
    vectors = rng.normal(size=(len(texts), 8))
    head = asked.fit(vectors, owners)
    for number in range(3):
        mine = [v / np.linalg.norm(v) for v, owner in zip(vectors, owners, strict=True) if owner == number]
        mean = sum(mine) / len(mine)
        assert head[number] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-12)


def test_scores_are_cosines_whatever_the_lengths():
    rng = np.random.default_rng(1)
    asked = task()
    head = asked.fit(rng.normal(size=(len(asked.prompts()[0]), 8)), asked.prompts()[1])
    inputs = rng.normal(size=(5, 8)).astype(np.float32)
    found = asked.predict(head, inputs)
    assert found == pytest.approx(asked.predict(head, 100 * inputs), abs=1e-6)
    assert np.abs(found).max() <= 1


def test_outcomes_join_labels_predictions_ranks_and_groups():
    asked = task(groups={"head": ("a",), "tail": ("c",)})
    scores = np.array([[0.9, 0.1, 0.1], [0.2, 0.2, 0.1], [0.5, 0.4, 0.3]])
    found = asked.outcomes(["x", "y", "z"], scores, np.array([0, 1, 2]))
    assert found.schema == ITEMS
    assert found.to_pylist() == [
        {"id": "x", "label": "a", "prediction": "a", "rank": 1, "group": "head"},
        {"id": "y", "label": "b", "prediction": None, "rank": 2, "group": None},
        {"id": "z", "label": "c", "prediction": "a", "rank": 3, "group": "tail"},
    ]


def test_scores_equal_those_counted_by_hand():
    rng = np.random.default_rng(2)
    asked = task(ranked(30), groups=Frequency(head=5, tail=10).groups(ranked(30)))
    labels = np.repeat(np.arange(30), 4)
    cosines = rng.normal(size=(120, 30))
    cosines[np.arange(120), labels] += 1.5
    found = asked.score(cosines, labels)
    order = [sorted(range(30), key=lambda c: -row[c]) for row in cosines]
    right = np.array([row[0] == label for row, label in zip(order, labels, strict=True)])
    assert found["top1"].value == right.mean()
    assert found["top5"].value == np.mean([label in row[:5] for row, label in zip(order, labels, strict=True)])
    assert found["mean_per_class"].value == pytest.approx(right.reshape(30, 4).mean(1).mean())
    assert found["head"].value == right[labels < 5].mean()
    assert found["tail"].value == right[labels >= 20].mean()
    assert (found["top1"].n, found["tail"].n) == (120, 40)
    assert found["top1"].low < found["top1"].value < found["top1"].high
    assert "bootstrap over 30 classes" in found["top1"].definition
    assert "ties" not in found["head"].note
    assert found["head"].definition.startswith("share of items whose own class ranks among the first 1")


def test_the_order_of_items_changes_nothing():
    rng = np.random.default_rng(3)
    asked = task(ranked(25))
    labels = rng.integers(0, 25, 100)
    items = asked.outcomes([f"i{n:03}" for n in range(100)], rng.normal(size=(100, 25)), labels)
    assert asked.score_items(items.take(rng.permutation(100))) == asked.score_items(items)


def test_a_constant_model_scores_zero():
    found = task().score(np.ones((6, 3)), np.array([0, 1, 2, 0, 1, 2]))
    assert found["top1"].value == 0


def test_five_classes_have_no_top5():
    found = task().score(np.eye(3), np.arange(3))["top5"]
    assert found.value is None
    assert found.note == "with 3 classes every answer is among the first 5"


def test_an_item_is_never_scored_twice():
    items = task().outcomes(["x", "x"], np.eye(3)[:2], np.array([0, 1]))
    with pytest.raises(InputError, match="scored twice"):
        task().score_items(items)


def test_scores_say_n_of_m():
    asked = task(groups={"one": ("a",)})
    items = asked.outcomes(["x", "y"], np.eye(3)[:2], np.array([0, 1]))
    found = asked.score_items(items, {"": 5, "one": 3})
    assert (found["top1"].n, found["top1"].of) == (2, 5)
    assert (found["one"].n, found["one"].of) == (1, 3)


def test_frequency_sorts_classes_by_rank():
    classes = ranked(10)
    assert Frequency(head=2, tail=3).groups(classes) == {"head": ("0", "1"), "tail": ("7", "8", "9")}
    assert Frequency(head=2, tail=8).fits(classes)
    assert not Frequency(head=3, tail=8).fits(classes)
    assert not Frequency(head=1, tail=1).fits(classes_from({"a": "a", "b": "b"}))
    with pytest.raises(SettingError, match="need 300 classes, there are 10"):
        Frequency().groups(classes)
    with pytest.raises(SettingError, match="head = 0"):
        Frequency(head=0)


def test_groups_must_exist_and_be_disjoint():
    with pytest.raises(SettingError, match="do not exist: z"):
        task(groups={"head": ("z",)})
    with pytest.raises(SettingError, match="'head' and 'tail' share classes: a"):
        task(groups={"head": ("a",), "tail": ("a", "b")})


def test_classes_that_no_picture_can_tell_apart_are_named():
    rng = np.random.default_rng(4)
    asked = task(ranked(40))
    head = unit(rng.normal(size=(40, 8)), "class")
    assert asked.twins(head) == []
    head[31] = head[5] + 1e-8
    head[7] = head[20] = head[12]
    assert asked.twins(head) == [("5", "31"), ("7", "12"), ("12", "20")]


def test_items_come_from_the_pool(tmp_path):
    pq.write_table(
        pa.table({"id": ["x", "y"], "image": [b"1", b"2"], "label": ["a", "b"], "text": ["", ""]}),
        tmp_path / "pool.parquet",
    )
    asked = task(pool=Files(str(tmp_path / "pool.parquet")))
    rows = [row for piece in asked.items() for row in piece.table.to_pylist()]
    assert [(row["id"], row["label"]) for row in rows] == [("x", "a"), ("y", "b")]
    with pytest.raises(SettingError, match="the split 'test' only"):
        list(asked.items("train"))
    with pytest.raises(SettingError, match="no pool"):
        list(task().items())


@pytest.mark.parametrize("vectors", [[[0.0, 0.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_embeddings_without_a_direction_are_refused(vectors):
    with pytest.raises(InputError, match=r"picture 0 is zero or not finite \(1 of 1 are\)"):
        unit(np.array(vectors), "picture")


def test_prompts_that_cancel_out_are_refused():
    asked = task(templates=("{}", "a {}"))
    vectors = np.tile([[1.0, 0.0], [-1.0, 0.0]], (3, 1))
    with pytest.raises(InputError, match="class 0"):
        asked.fit(vectors, asked.prompts()[1])
