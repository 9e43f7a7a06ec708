from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import SettingError
from sensorium.train.optim import AdamW


def test_the_rate_rises_and_falls_as_the_formula_says():
    optim = AdamW(warmup=4)
    assert [optim.factor(update, 100) for update in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert optim.factor(4, 100) == 1.0
    assert optim.factor(52, 100) == pytest.approx(0.5)
    assert optim.factor(99, 100) == pytest.approx((1 + math.cos(math.pi * 95 / 96)) / 2)
    assert AdamW(schedule="linear").factor(25, 100) == 0.75
    assert AdamW(schedule="constant", warmup=2).factor(50, 100) == 1.0
    assert AdamW(final=0.1).factor(100, 100) == pytest.approx(0.1)


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 200),
    st.integers(0, 50),
    st.sampled_from(["cosine", "linear", "constant"]),
    st.floats(0, 1),
)
def test_the_rate_stays_between_0_and_its_largest_value(num_updates, warmup, schedule, final):
    optim = AdamW(warmup=warmup, schedule=schedule, final=final)
    factors = [optim.factor(update, num_updates) for update in range(num_updates)]
    assert all(0 <= factor <= 1 + 1e-12 for factor in factors)
    fallen = factors[warmup:]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(fallen))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"lr": 0}, "above 0"),
        ({"weight_decay": -1}, "0 or more"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"betas": (0.9,)}, "two betas"),
        ({"final": 2}, "final"),
        ({"clip": 0}, "clip is above 0"),
    ],
)
def test_bad_settings(bad, sentence):
    with pytest.raises(SettingError, match=sentence):
        AdamW(**bad)
