from __future__ import annotations

from dataclasses import dataclass

import pytest

from sensorium.core.errors import SettingError, StageFailedError
from sensorium.core.score import Score
from sensorium.train.watch import Watch, Watching


@dataclass(frozen=True)
class Series:
    """A task that gives one value after another."""

    values: tuple

    def build(self):
        given = iter(self.values)
        return lambda models: next(given)


def watching(*values, **settings):
    return Watching(Watch(task=Series(values), every=5, **settings))


def test_when_to_measure():
    watch = watching()
    assert [update for update in range(1, 13) if watch.due(update, 12)] == [5, 10, 12]


def test_the_earliest_best_and_the_end_of_patience():
    watch = watching(1.0, 3.0, 3.0, 2.0, patience=2)
    assert [watch.measure({}, update) for update in (5, 10)] == [(1.0, True), (3.0, True)]
    assert watch.measure({}, 15) == (3.0, False)
    assert not watch.over
    assert watch.measure({}, 20) == (2.0, False)
    assert watch.over
    assert watch.state == {"best": 3.0, "update": 10, "without": 2}


def test_lower_can_be_better():
    watch = watching(2.0, 1.0, better="lower")
    assert [watch.measure({}, update)[1] for update in (5, 10)] == [True, True]
    scores = [Score(value=value, n=1, better="lower") for value in (2.0, 3.0)]
    watch = watching(*scores)
    assert [watch.measure({}, update)[1] for update in (5, 10)] == [True, False]


def test_a_task_without_a_value_stops_the_run():
    with pytest.raises(StageFailedError, match="no value after update 5: no rows"):
        watching(Score(value=None, n=0, note="no rows")).measure({}, 5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_stops_the_run(value):
    with pytest.raises(StageFailedError, match=rf"gave {value} after update 5; it must be finite"):
        watching(value, 1.0).measure({}, 5)


def test_bad_settings():
    for bad in ({"every": 0}, {"every": 1, "patience": 0}):
        with pytest.raises(SettingError, match="at least 1"):
            Watch(task=Series(()), **bad)
