import numpy as np
import pyarrow as pa
import pytest

from sensorium.core.errors import StageFailedError
from sensorium.curate.account import Account
from sensorium.curate.passes import cut_reason, merge_files, small, table_of
from sensorium.curate.side import Rows
from sensorium.curate.states import add_up, write_state


def test_rows_of_a_key_go_to_one_table():
    rows = pa.table(
        {"id": [str(row) for row in range(400)], "key": [row % 7 if row % 5 else None for row in range(400)]}
    )
    found = table_of(rows, "key", 16)
    for key in range(7):
        assert len({int(one) for one, value in zip(found, rows["key"].to_pylist(), strict=True) if value == key}) == 1
    alone = found[[row for row in range(400) if row % 5 == 0]]
    assert len(set(alone.tolist())) > 8
    assert (table_of(rows, "id", 1) == 0).all()


def test_single_cases_are_cut_from_reasons():
    assert cut_reason(pa.array(["too long: 17", "no match", None, "a:\nb"])).to_pylist() == [
        "too long",
        "no match",
        None,
        "a",
    ]


def test_small_columns_of_dropped_rows():
    table = pa.table(
        {
            "id": ["a", "b"],
            "text": ["é" * 300, "x"],
            "image": [{"bytes": b"1", "path": "p"}] * 2,
            "vector": [[0.1, 0.2]] * 2,
            "matches": [[1], [2]],
        }
    )
    rows = Rows(table, np.arange(2), pa.array(["bad", None]), np.array([0, -1], np.int16), added=("matches",))
    assert small(rows).to_pylist() == [{"id": "a", "dropped": "bad", "text": "é" * 200, "matches": [1]}]


class Sums:
    def merge(self, states):
        assert len(states) <= 16
        return add_up(states)


@pytest.mark.parametrize("number", [1, 15, 16, 17, 50])
def test_states_are_merged_a_few_at_a_time(number, tmp_path):
    paths = [tmp_path / f"{one}.npz" for one in range(number)]
    for one, path in enumerate(paths):
        write_state(path, {"sum": one})
    assert merge_files(Sums(), paths)["sum"] == number * (number - 1) // 2


def test_an_account_that_does_not_add_up_is_an_error(tmp_path):
    class Stage:
        pool = None

        def label(self):
            return "mine"

    result = {"alive": 3, "rows": 5, "rejected": {}, "dropped": [[0, "bad", 1]], "columns": {}}
    with pytest.raises(StageFailedError, match="mine cannot account for every row"):
        Account(Stage(), ["step"], [result], {}, {}).pool(None)
