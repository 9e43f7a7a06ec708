from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium.core.errors import StageFailedError
from sensorium.curate.side import Rows, Stream, first_rows, later_rows

STEP = SimpleNamespace(adds=("score",))


def table_of(*ids):
    return pa.table({"id": list(ids), "text": [f"text {name}" for name in ids]})


class Pieces:
    """A shard whose pieces and rejections are chosen by the test."""

    def __init__(self, *pieces):
        self.found = [SimpleNamespace(table=table, rejected=pa.table({"id": list(lost)})) for table, lost in pieces]

    def pieces(self, columns=None):
        return iter(self.found)


def test_columns_and_reasons_come_back_to_all_rows():
    rows = Rows.fresh(table_of("a", "b", "c"), np.arange(3))
    rows.take_back(
        STEP,
        0,
        rows.given(["text"])
        .append_column("score", pa.array([1, 2, 3]))
        .append_column("dropped", pa.array([None, "bad", None])),
    )
    assert rows.given(["score"]).to_pydict() == {"id": ["a", "c"], "score": [1, 3]}
    later = SimpleNamespace(adds=("rank",))
    rows.take_back(later, 1, rows.given([]).append_column("rank", pa.array([10, 30])))
    assert rows.table["rank"].to_pylist() == [10, None, 30]
    assert rows.with_reason()["dropped"].to_pylist() == [None, "bad", None]
    assert rows.by.tolist() == [-1, 0, -1]
    assert rows.side().column_names == ["id", "score", "rank", "__reason__", "__by__"]


def written(path, shard, scores):
    with Stream() as stream:
        for rows, _ in first_rows(shard, None):
            given = rows.given([])
            rows.take_back(
                STEP,
                0,
                given.append_column("score", pa.array([scores[name] for name in given["id"].to_pylist()])),
            )
            stream.group(path, rows.side())


def scores_of(found):
    return [(row["id"], row["score"]) for rows, _ in found for row in rows.table.to_pylist()]


@pytest.mark.parametrize("columns", [None, ()])
def test_side_columns_join_their_rows(tmp_path, columns):
    shard = Pieces((table_of("a", "b"), []), (table_of("c"), []))
    written(tmp_path / "side", shard, {"a": 1, "b": 2, "c": 3})
    found = list(later_rows(Pieces((table_of("a"), []), (table_of("b", "c"), [])), tmp_path / "side", columns))
    assert scores_of(found) == [("a", 1), ("b", 2), ("c", 3)]
    assert [place for rows, _ in found for place in rows.place.tolist()] == [0, 1, 2]


def test_rows_rejected_by_one_pass_only(tmp_path):
    written(tmp_path / "side", Pieces((table_of("a", "b", "d", "e"), ["c"])), {"a": 1, "b": 2, "d": 4, "e": 5})
    # The later pass rejects b and d for columns the first did not read, and misses the fault of c.
    shard = Pieces((table_of("a", "c"), ["b"]), (table_of("e"), ["d"]))
    found = list(later_rows(shard, tmp_path / "side", None))
    assert scores_of(found) == [("a", 1), ("e", 5)]
    assert [place for rows, _ in found for place in rows.place.tolist()] == [0, 3]


def test_an_empty_shard_keeps_its_columns(tmp_path):
    written(tmp_path / "side", Pieces((table_of("a").slice(0, 0), [])), {})
    for columns in (None, ()):
        (rows, _), *rest = later_rows(Pieces((table_of("a").slice(0, 0), [])), tmp_path / "side", columns)
        assert not rest
        assert rows.table.num_rows == 0
        assert "score" in rows.table.column_names


def test_files_appear_whole_or_not_at_all(tmp_path):
    def stops():
        with Stream() as stream:
            stream.group(tmp_path / "one", table_of("a"))
            stream.rows(tmp_path / "two", table_of("a"))
            raise KeyError

    with pytest.raises(KeyError):
        stops()
    assert list(tmp_path.iterdir()) == []
    with Stream() as stream:
        stream.group(tmp_path / "one", table_of("a"))
        stream.group(tmp_path / "one", table_of().slice(0, 0).cast(table_of("a").schema))
        stream.rows(tmp_path / "two", table_of("a"))
        stream.rows(tmp_path / "two", table_of("b"))
    assert pq.ParquetFile(tmp_path / "one").num_row_groups == 2
    assert pq.ParquetFile(tmp_path / "two").num_row_groups == 1


def test_a_changed_type_names_its_column(tmp_path):
    with Stream() as stream:
        stream.rows(tmp_path / "one", table_of("a"))
        with pytest.raises(StageFailedError, match="'text' changed its type"):
            stream.rows(tmp_path / "one", pa.table({"id": ["b"], "text": [1]}))
