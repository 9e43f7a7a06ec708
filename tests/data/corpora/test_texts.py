"""Texts without media: tables and lines."""

from __future__ import annotations

import gzip

from sensorium.data.corpora import texts

from .conftest import json_lines, parquet, put


def test_a_table_of_texts():
    table = texts.texts([("a", "hello", "k"), ("b", "", None)], "en")
    assert table.schema == texts.SCHEMA
    assert table.to_pylist()[1] == {"id": "b", "text": "", "lang": "en", "key": None}


def test_only_lf_ends_a_line(tmp_path):
    content = "one\r\ntwo\u2028still two\n\nfour\x0bfour"
    assert texts.lines(put(tmp_path / "a.txt", content)) == ["one", "two\u2028still two", "", "four\x0bfour"]
    assert texts.lines(put(tmp_path / "a.gz", gzip.compress(content.encode()))) == texts.lines(tmp_path / "a.txt")
    assert texts.lines(put(tmp_path / "b.txt", "one\n")) == ["one"]
    assert texts.lines(put(tmp_path / "c.txt", "")) == []


def test_prepared_files(tmp_path):
    json_lines(tmp_path / "a.jsonl.zst", [{"title": "x", "list": ["a", "b"]}, {"title": "y", "list": []}])
    (rows,) = texts.json_lines(tmp_path / "a.jsonl.zst")
    assert [row["title"] for row in rows] == ["x", "y"]
    assert rows[0]["list"] == ["a", "b"]
    parquet(tmp_path / "a.parquet", language=["en"], text=["hello"])
    (table,) = texts.tables(tmp_path / "a.parquet", {"lang": "language"})
    assert set(table.column_names) == {"id", "lang", "text"}
