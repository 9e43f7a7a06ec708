import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import InputError
from sensorium.metrics.intervals import bootstrap_mean, t_interval
from sensorium.metrics.paired import item_difference, paired_difference, smallest_detectable


def test_a_paired_difference_by_hand():
    first = {0: 0.66, 1: 0.70, 2: 0.64, 3: 0.68, 4: 0.67}
    second = {0: 0.24, 1: 0.26, 2: 0.25, 3: 0.22, 4: 0.23}
    found = paired_difference(first, second)
    d = np.array([0.42, 0.44, 0.39, 0.46, 0.44])
    assert found.mean == pytest.approx(0.43)
    assert found.sd == pytest.approx(d.std(ddof=1))
    half = 2.7764451051977935 * d.std(ddof=1) / math.sqrt(5)
    assert (found.low, found.high) == pytest.approx((0.43 - half, 0.43 + half))
    assert found.effect_size == pytest.approx(0.43 / d.std(ddof=1))
    assert found.detectable == pytest.approx((2.7764451051977935 + 0.94096457723518136) * d.std(ddof=1) / math.sqrt(5))
    assert list(found.pairs) == ["0", "1", "2", "3", "4"]
    assert found.interval.beyond(0.01)
    assert json.loads(json.dumps(found.as_json()))["n"] == 5


def test_pairs_join_by_name_and_not_by_place():
    found = paired_difference({"10": 3.0, "2": 1.0}, {"2": 0.5, "10": 1.0})
    assert found.pairs == {"2": 0.5, "10": 2.0}
    assert list(found.pairs) == ["2", "10"]


def test_rounding_is_no_spread():
    first, second = {0: 0.3, 1: 0.5, 2: 0.7}, {0: 0.1, 1: 0.3, 2: 0.5}
    found = paired_difference(first, second)
    assert len(set(found.pairs.values())) > 1  # 0.19999999999999998 and 0.2
    assert found.low == found.mean == found.high == pytest.approx(0.2)
    assert found.effect_size is None


def test_a_constant_difference_has_no_width_and_no_effect_size():
    found = paired_difference({i: 0.5 for i in range(5)}, {i: 0.25 for i in range(5)})
    assert (found.low, found.mean, found.high, found.sd) == (0.25, 0.25, 0.25, 0)
    assert found.effect_size is None
    assert found.detectable == 0


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=10))
@settings(max_examples=60, deadline=None)
def test_swapping_the_sides_swaps_the_signs(pairs):
    first = {i: a for i, (a, _) in enumerate(pairs)}
    second = {i: b for i, (_, b) in enumerate(pairs)}
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there.mean == pytest.approx(-back.mean)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.low <= there.mean <= there.high
    assert there.detectable == pytest.approx(back.detectable)
    reference = t_interval([a - b for a, b in pairs])
    assert (there.low, there.high) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({0: 1.0, 1: 1.0}, {0: 1.0, 2: 1.0}, "only one side has 1, 2"),
        ({0: 1.0}, {0: 1.0}, "at least 2 pairs"),
        ({}, {}, "at least 2 pairs"),
        ({0: 1.0, 1: math.nan}, {0: 1.0, 1: 1.0}, "finite"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(first, second, says):
    with pytest.raises(InputError, match=says):
        paired_difference(first, second)


def test_the_smallest_detectable_difference_is_found_with_its_power():
    rng = np.random.default_rng(0)
    n, sd = 8, 1.0
    delta = smallest_detectable(sd, n)
    seen = 0
    for _ in range(4000):
        found = t_interval(rng.normal(delta, sd, n))
        seen += found.low > 0
    assert seen / 4000 == pytest.approx(0.8, abs=0.06)
    assert smallest_detectable(sd, 10) < delta < smallest_detectable(sd, 5)
    with pytest.raises(InputError, match="2 pairs"):
        smallest_detectable(1.0, 1)


def test_items_are_joined_by_id_and_clustered():
    ids = [f"i{n:02}" for n in range(40)]
    first = {name: float(n % 3 > 0) for n, name in enumerate(ids)}
    second = {name: float(n % 4 > 1) for n, name in reversed(list(enumerate(ids)))}
    speaker = {name: n // 4 for n, name in enumerate(ids)}
    mean, found = item_difference(first, second, speaker)
    d = [first[name] - second[name] for name in ids]
    assert mean == pytest.approx(np.mean(d))
    assert found == bootstrap_mean(d, [str(speaker[name]) for name in ids])
    assert item_difference(first, second)[1] == bootstrap_mean(d)


def test_items_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="same items"):
        item_difference({"a": 1.0}, {"b": 1.0})
    with pytest.raises(InputError, match="no cluster: b"):
        item_difference({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.0}, {"a": "s"})
