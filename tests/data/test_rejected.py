import pyarrow.parquet as pq

from sensorium.data import rejected


def test_tables_and_counts(tmp_path):
    one = rejected.table(
        "a", [("1", "truncated"), ("2", "invalid JSON: Expecting ','"), ("3", "invalid JSON: no\nvalue")]
    )
    assert one.schema == rejected.SCHEMA
    assert one.to_pylist()[1] == {"id": "2", "shard": "a", "reason": "invalid JSON: Expecting ','"}
    pq.write_table(one, tmp_path / "a.parquet")
    pq.write_table(rejected.table("b", [("4", "truncated"), ("5", "truncated")]), tmp_path / "b.parquet")
    pq.write_table(rejected.table("c", []), tmp_path / "c.parquet")
    assert list(rejected.count_reasons(tmp_path).items()) == [("truncated", 3), ("invalid JSON", 2)]
    assert rejected.count_reasons(tmp_path / "none") == {}


def test_names_that_are_not_utf8_are_escaped():
    found = rejected.table("a\udce9", [("\ud800", "bad \udcff")]).to_pylist()
    assert found == [{"id": "\\ud800", "shard": "a\\udce9", "reason": "bad \\udcff"}]
