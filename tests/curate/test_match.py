import numpy as np
import pyarrow as pa
import pytest
from running import run

from sensorium.core.errors import SettingError
from sensorium.curate.match import BoundMatch, Match, count_entries, curve, num_matches
from sensorium.curate.metadata import Entries


@pytest.fixture
def bound(tmp_path):
    folder, _ = run(Entries(entries=("dog", "cat", "emu")), tmp_path / "runs")
    return BoundMatch(str(folder), "published-v1", "text")


def test_rows_without_a_match_get_a_reason(bound):
    table = pa.table({"id": ["a", "b", "c"], "text": ["dog cat dog", "cow", None]})
    result = bound(table)
    assert result["matches"].to_pylist() == [[0, 1], [], []]
    assert result["dropped"].to_pylist() == [None, "no match", "no match"]


def test_texts_count_once_per_entry(bound):
    table = pa.table(
        {
            "id": list("abcd"),
            "matches": pa.array([[0, 1], [1], [], None], pa.list_(pa.int32())),
            "dropped": [None, "balanced away", "no match", "before"],
        }
    )
    tally = bound.tally(table)
    assert tally["before"].tolist() == [1, 2, 0]
    assert tally["after"].tolist() == [1, 1, 0]
    assert tally["rows"].tolist() == [3, 2, 1]


def test_figures_for_the_page(bound, tmp_path):
    tally = {"before": np.array([4, 9, 0]), "after": np.array([4, 5, 0]), "rows": np.array([12, 10, 7])}
    facts = bound.publish(tmp_path, None, tally)
    assert facts["top"] == [{"entry": "dog", "texts": 9, "kept": 5}, {"entry": "cat", "texts": 4, "kept": 4}]
    assert facts["curve"] == {"rank": [1, 2, 3], "before": [9, 4, 0], "after": [5, 4, 0]}
    assert (facts["matched_rows"], facts["matches"], facts["dead_examples"]) == (10, 13, ["emu"])
    assert (tmp_path / "counts.parquet").exists()


def test_only_inside_a_curation():
    with pytest.raises(SettingError, match="Curate"):
        Match(vocabulary=Entries(entries=("a",)))(pa.table({"id": ["a"], "text": ["a"]}))


def test_counting():
    matches = pa.array([[0, 2], None, [2]], pa.list_(pa.int32()))
    assert count_entries(matches, 4).tolist() == [1, 0, 2, 0]
    assert num_matches(matches).tolist() == [2, 0, 1]
    assert curve(np.array([2, 7]), np.array([2, 1]))["after"] == [2, 1]
