from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from sensorium.core.errors import SettingError, StageFailedError
from sensorium.curate.balance import Balance, DrawText
from sensorium.curate.steps import checked, expand, kind_of, reason_where, with_columns
from sensorium.curate.subset import RandomSubset


@dataclass(frozen=True)
class Plain:
    columns: tuple = ("text",)
    adds: tuple = ()

    def __call__(self, table):
        return table


@dataclass
class Thawed:
    columns: tuple = ()
    adds: tuple = ()

    def __call__(self, table):
        return table


@dataclass(frozen=True)
class HalfFold:
    columns: tuple = ()
    adds: tuple = ()

    def measure(self, table):
        return {}


@dataclass(frozen=True)
class NoStep:
    columns: tuple = ()
    adds: tuple = ()


@dataclass(frozen=True)
class NoColumns:
    adds: tuple = ()

    def __call__(self, table):
        return table


def test_kinds():
    assert [kind_of(step) for step in (Plain(), RandomSubset(size=1), DrawText())] == [
        "step",
        "fold",
        "gather",
    ]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Plain, r"class Plain; write Plain\(\.\.\.\)"),
        (Thawed(), "not a frozen dataclass"),
        (HalfFold(), "no 'merge'"),
        (NoStep(), "NoStep is no step"),
        (NoColumns(), "'columns'"),
        ("Match", "str is not a frozen dataclass"),
        (lambda table: table, "function is not a frozen dataclass"),
    ],
)
def test_what_is_no_step_is_refused(wrong, sentence):
    with pytest.raises(SettingError, match=sentence):
        kind_of(wrong)


def test_a_step_may_stand_for_several():
    assert len(list(expand((Plain(), Balance(t=1, by="key"), Balance(t=2))))) == 4


@dataclass(frozen=True)
class Adds:
    columns: tuple = ()
    adds: tuple = field(default=("new",))


def test_promises_are_checked():
    table = pa.table({"id": ["a", "b"], "text": ["x", "y"]})
    good = table.append_column("new", pa.array([1, 2]))
    assert checked(Adds(), table, good) is good
    for wrong, sentence in (
        (None, "returned NoneType"),
        (good.slice(0, 1), "was given 2 rows and returned 1"),
        (good.drop_columns(["id"]), "column 'id'"),
        (good.take(pa.array([1, 0])), "column 'id'"),
        (table, "adds the column 'new'"),
    ):
        with pytest.raises(StageFailedError, match=sentence):
            checked(Adds(), table, wrong)


def test_columns_are_replaced_in_place():
    table = with_columns(pa.table({"id": ["a"], "x": [1], "y": [2]}), {"x": pa.array([5]), "z": pa.array([7])})
    assert table.to_pylist() == [{"id": "a", "x": 5, "y": 2, "z": 7}]


def test_reasons():
    first = reason_where(np.array([True, False, False]), "one")
    assert reason_where(np.array([False, True, False]), "two", first).to_pylist() == ["one", "two", None]
