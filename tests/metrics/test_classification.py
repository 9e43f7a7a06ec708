import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensorium.core.errors import InputError, SettingError
from sensorium.metrics.classification import (
    class_accuracies,
    class_mean_score,
    group_scores,
    mean_per_class,
    neighbour_votes,
    predictions,
    rate_score,
    top_k_accuracy,
    true_ranks,
)
from sensorium.metrics.intervals import wilson


def slow_ranks(scores, labels):
    found = []
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda c: (-row[c], c == label))  # the true class last among equals
        found.append(1 + order.index(label))
    return found


SMALL = arrays(np.float64, (6, 4), elements=st.integers(0, 3).map(float))


@given(SMALL, arrays(np.int64, 6, elements=st.integers(0, 3)))
@settings(max_examples=100, deadline=None)
def test_ranks_equal_a_sort_with_the_true_class_last(scores, labels):
    ranks = true_ranks(scores, labels)
    assert ranks.tolist() == slow_ranks(scores, labels)
    assert ((predictions(scores) == labels) == (ranks == 1)).all()


@given(SMALL, arrays(np.int64, 6, elements=st.integers(0, 3)), st.permutations(range(4)))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_classes_decides_nothing(scores, labels, order):
    moved = np.argsort(order)[labels]
    assert true_ranks(scores[:, order], moved).tolist() == true_ranks(scores, labels).tolist()


def test_one_score_for_all_classes_is_never_a_hit():
    scores, labels = np.zeros((5, 5)), np.arange(5)
    assert true_ranks(scores, labels).tolist() == [5] * 5
    assert predictions(scores).tolist() == [-1] * 5


def test_scores_closer_than_the_tolerance_are_tied():
    scores = np.array([[0.5, 0.5 - 1e-7, 0.1]])
    assert true_ranks(scores, np.array([0])).tolist() == [1]
    assert true_ranks(scores, np.array([0]), tied=1e-6).tolist() == [2]
    assert true_ranks(scores, np.array([1]), tied=1e-6).tolist() == [2]
    assert predictions(scores, tied=1e-6).tolist() == [-1]
    assert predictions(scores).tolist() == [0]


def test_a_class_without_a_score_is_no_hit_for_any_k():
    scores = np.array([[1.0, -np.inf, -np.inf]])
    ranks = true_ranks(scores, np.array([2]))
    assert ranks.tolist() == [4]
    assert top_k_accuracy(ranks, 3) == 0
    assert predictions(np.full((1, 3), -np.inf)).tolist() == [-1]


@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        (np.array([[1.0, np.nan]]), [0], "NaN"),
        (np.zeros((2, 3)), [0], "one each"),
        (np.zeros((1, 3)), [3], "reach from 3 to 3"),
        (np.zeros((1, 3)), [-1], "reach from -1"),
        (np.zeros(3), [0], "shape"),
        (np.zeros((1, 0)), [0], "shape"),
    ],
)
def test_ranks_refuse_what_does_not_fit(scores, labels, says):
    with pytest.raises(InputError, match=says):
        true_ranks(scores, np.array(labels))


def test_top_k_counts_ranks():
    ranks = np.array([1, 2, 5, 6])
    assert [top_k_accuracy(ranks, k) for k in (1, 2, 5, 6)] == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(InputError, match="at least one"):
        top_k_accuracy(np.zeros(0), 1)
    with pytest.raises(SettingError, match="top-0"):
        top_k_accuracy(ranks, 0)


def test_the_mean_per_class_weighs_classes_equally():
    labels = np.array([0] * 8 + [1] * 2)
    hits = np.array([True] * 8 + [False] * 2)
    assert mean_per_class(hits, labels, 3) == 0.5
    assert np.array_equal(class_accuracies(hits, labels, 3), [1.0, 0.0, np.nan], equal_nan=True)
    with pytest.raises(InputError):
        mean_per_class(np.zeros(0, bool), np.zeros(0, np.int64), 3)


def test_the_class_mean_has_an_interval_when_there_are_classes_enough():
    labels = np.repeat(np.arange(30), 4)
    hits = np.arange(120) % 7 < 4
    found = class_mean_score(hits, labels, 30, of=125, definition="share")
    assert found.value == pytest.approx(mean_per_class(hits, labels, 30))
    assert found.low < found.value < found.high
    assert (found.n, found.of) == (120, 125)
    assert "over 30 classes" in found.definition
    few = class_mean_score(hits[:8], labels[:8], 30)
    assert few.low is None
    assert few.note == "no interval: 2 classes"
    assert class_mean_score(np.ones(120, bool), labels, 30).note == "no interval: all classes are equal"
    assert class_mean_score(hits[:0], labels[:0], 30).value is None


def test_rate_scores_say_n_of_m_and_how_the_interval_came_about():
    found = rate_score(np.array([True] * 7 + [False] * 3), of=12, definition="top-1 accuracy")
    expected = wilson(7, 10)
    assert (found.value, found.n, found.of) == (0.7, 10, 12)
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.definition == "top-1 accuracy; 95% interval: Wilson"
    empty = rate_score([], of=3)
    assert (empty.value, empty.n, empty.of, empty.note) == (None, 0, 3, "no items")


def test_groups_of_classes_are_scored_on_their_items():
    labels = np.array([0, 0, 1, 2, 3, 3])
    hits = np.array([True, False, True, False, True, True])
    found = group_scores(hits, labels, {"head": [0, 1], "tail": [3], "empty": [7]}, of={"head": 4}, definition="x")
    assert found["head"].value == pytest.approx(2 / 3)
    assert (found["head"].n, found["head"].of) == (3, 4)
    assert found["tail"].value == 1
    assert found["empty"].value is None
    assert "items of the 2 classes of head" in found["head"].definition


def test_neighbours_that_cast_no_vote_are_never_hits():
    train = np.eye(6)
    test = 0.9 * train[[0, 1, 3, 4, 5, 2]] + 0.01
    labels = np.arange(6)
    votes = neighbour_votes(test, train, labels, k=1, num_classes=6)
    ranks = true_ranks(votes, labels)
    assert top_k_accuracy(ranks, 1) == top_k_accuracy(ranks, 5) == top_k_accuracy(ranks, 6) == pytest.approx(2 / 6)
    with pytest.raises(SettingError, match="k = 20 neighbours among 6"):
        neighbour_votes(test, train, labels, k=20, num_classes=6)


def test_neighbour_votes_equal_a_slow_vote():
    rng = np.random.default_rng(0)
    train, test, labels = rng.normal(size=(40, 8)), rng.normal(size=(10, 8)), rng.integers(0, 5, 40)
    found = neighbour_votes(test, train, labels, k=7, num_classes=5)
    for row, vector in zip(found, test, strict=True):
        cosine = [float(v @ vector / np.linalg.norm(v) / np.linalg.norm(vector)) for v in train]
        expected = [-np.inf] * 5
        for i in sorted(range(40), key=lambda i: -cosine[i])[:7]:
            expected[labels[i]] = max(expected[labels[i]], 0) + np.exp((cosine[i] - 1) / 0.07)
        assert row == pytest.approx(expected)


def test_equally_near_neighbours_all_vote():
    train, labels = np.array([[1.0, 0], [1.0, 0], [0, 1.0]]), np.array([0, 1, 2])
    votes = neighbour_votes(np.array([[2.0, 0]]), train, labels, k=1, num_classes=3)
    assert votes[0, 0] == votes[0, 1] > 0
    assert predictions(votes).tolist() == [-1]
    with pytest.raises(InputError, match="rows 0"):
        neighbour_votes(np.zeros((1, 2)), train, labels, k=1, num_classes=3)
