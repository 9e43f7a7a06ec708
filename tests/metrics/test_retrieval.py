import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensorium.core.errors import InputError, SettingError
from sensorium.metrics.retrieval import (
    best_ranks,
    hit_at_k,
    ndcg_at_k,
    over_queries,
    precision_at_k,
    ranked_list,
    recall_at_k,
    reciprocal_rank,
)

GOLD = {"q1": ["a"], "q2": ["a", "b"], "q3": ["b", "b"]}
RUNS = {"q1": ["a", "a", "b"], "q2": ["a", "a", "a"], "q3": ["b", "c", "b"]}


def test_repeats_never_push_a_rate_over_one():
    recall = over_queries(RUNS, GOLD, lambda ranked, relevant: recall_at_k(ranked, relevant, 3))
    assert recall.values == {"q1": 1.0, "q2": 0.5, "q3": 1.0}
    assert recall.mean == pytest.approx(0.833333, abs=1e-6)
    assert (recall.repeated_results, recall.repeated_relevant) == (1 + 2 + 1, 1)
    precision = over_queries(RUNS, GOLD, lambda ranked, relevant: precision_at_k(ranked, relevant, 3))
    assert precision.values == {"q1": 1 / 3, "q2": 1 / 3, "q3": 1 / 3}
    ndcg = over_queries(RUNS, GOLD, lambda ranked, relevant: ndcg_at_k(ranked, relevant, 3))
    assert ndcg.values == {"q1": 1.0, "q2": pytest.approx(0.613147, abs=1e-6), "q3": 1.0}


def test_repeats_keep_their_places():
    assert hit_at_k(["x", "x", "a"], ["a"], 2) == 0
    assert reciprocal_rank(["x", "x", "a"], ["a"]) == 1 / 3


ids = st.sampled_from("abcdef")


@given(st.lists(ids, max_size=8), st.lists(ids, min_size=1, max_size=5), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_measures_equal_their_definitions_and_stay_within_bounds(ranked, relevant, k):
    wanted, top = set(relevant), ranked[:k]
    assert recall_at_k(ranked, relevant, k) == len(wanted & set(top)) / len(wanted)
    assert precision_at_k(ranked, relevant, k) == len(wanted & set(top)) / k
    assert hit_at_k(ranked, relevant, k) == float(any(name in wanted for name in top))
    first = next((place for place, name in enumerate(ranked, 1) if name in wanted), None)
    assert reciprocal_rank(ranked, relevant) == (1 / first if first else 0)
    assert 0 <= ndcg_at_k(ranked, relevant, k) <= 1


@given(st.dictionaries(ids, st.integers(0, 3).map(float), min_size=1, max_size=4), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_best_order_alone_has_ndcg_one(gains, k):
    def dcg(order):
        return sum(gains.get(name, 0) / math.log2(1 + place) for place, name in enumerate(order[:k], 1))

    orders = list(itertools.permutations(gains))
    best = max(map(dcg, orders))
    for order in orders:
        found = ndcg_at_k(list(order), gains, k)
        assert found is None if best == 0 else found == pytest.approx(dcg(order) / best)
        assert found is None or found <= 1


def test_queries_without_relevant_ids_have_no_value_and_are_counted():
    found = over_queries({"q1": ["a"]}, {"q1": ["a"], "q2": [], "q3": ["b"]}, lambda r, g: recall_at_k(r, g, 1))
    assert found.values == {"q1": 1.0, "q3": 0.0}  # unanswered is 0, unanswerable is left out
    assert (found.mean, found.without_relevant) == (0.5, ("q2",))
    empty = over_queries({}, {"q": []}, lambda r, g: recall_at_k(r, g, 1))
    assert empty.mean is None
    for measure in (recall_at_k, precision_at_k, hit_at_k, ndcg_at_k, reciprocal_rank):
        assert measure(["a"], [], 1) is None
        assert measure(["a"], {"a": 0.0}, 1) is None


def test_wrong_settings_are_refused():
    with pytest.raises(SettingError, match="k = 0"):
        recall_at_k(["a"], ["a"], 0)
    with pytest.raises(SettingError, match="not the text 'ab'"):
        recall_at_k(["a"], "ab", 1)
    with pytest.raises(InputError, match="gains"):
        ndcg_at_k(["a"], {"a": -1.0}, 1)
    with pytest.raises(InputError, match="without a gold entry: q9"):
        over_queries({"q9": ["a"]}, {"q1": ["a"]}, lambda r, g: recall_at_k(r, g, 1))


SCORES = arrays(np.float64, (4, 6), elements=st.integers(0, 3).map(float))


@given(SCORES, arrays(np.bool_, (4, 6)))
@settings(max_examples=100, deadline=None)
def test_ranks_of_a_matrix_equal_those_of_lists_with_ties_against_the_system(scores, relevant):
    found = best_ranks(scores, relevant)
    for row, good, rank in zip(scores, relevant, found, strict=True):
        gold = np.flatnonzero(good).tolist()
        value = reciprocal_rank(ranked_list(row, range(6), gold), gold)
        assert rank == (0 if value is None else round(1 / value))


def test_a_constant_matrix_ranks_last():
    assert best_ranks(np.zeros((3, 3)), np.eye(3, dtype=bool)).tolist() == [3, 3, 3]
    near = np.array([[0.5, 0.5 - 1e-8]])
    assert best_ranks(near, np.array([[True, False]])).tolist() == [1]
    assert best_ranks(near, np.array([[True, False]]), tied=1e-6).tolist() == [2]


def test_matrices_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="same shape"):
        best_ranks(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(InputError, match="NaN"):
        best_ranks(np.array([[np.nan]]), np.array([[True]]))
    with pytest.raises(InputError, match="NaN"):
        ranked_list(np.array([np.nan]), ["a"], ["a"])
