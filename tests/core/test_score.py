from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorium.core.errors import SettingError
from sensorium.core.score import Score

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(
    value=numbers,
    n=st.integers(0, 10**9),
    of=st.none() | st.integers(0, 10**9),
    low=numbers,
    high=numbers,
    better=st.sampled_from(["higher", "lower"]),
    note=st.text(),
)
def test_a_score_comes_back_from_json(**given_fields):
    score = Score(**given_fields)
    content = json.loads(json.dumps(score.as_json(), allow_nan=False))
    assert Score.from_json(content) == score


def test_zero_is_a_value_and_empty_fields_are_left_out():
    assert Score(value=0.0, n=0).as_json() == {"value": 0.0, "n": 0, "better": "higher", "unit": "fraction"}
    assert Score(value=None, n=0, note="no reference words").as_json()["value"] is None


@pytest.mark.parametrize("field", ["value", "low", "high"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_does_not_exist_is_none_not_nan(field, number):
    with pytest.raises(SettingError, match=f"a score's {field} is"):
        Score(**{"value": 1.0, "n": 1, field: number})


def test_an_unknown_direction_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match="did you mean 'higher'"):
        Score(value=1.0, n=1, better="highr")
