import gzip
import json

import pytest
import zstandard
from tests.data.pool_makers import jsonl, read

from sensorium.core.errors import InputError
from sensorium.data import jsonl as module
from sensorium.data.sources import Files, open_pool

SEPARATORS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\r", "\x1c", "\x1d", "\x1e"]


def test_only_lf_ends_a_line(tmp_path):
    lines = [
        json.dumps({"id": str(number), "text": f"left{mark}right"}, ensure_ascii=False).encode()
        for number, mark in enumerate(SEPARATORS)
    ]
    content = b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n\r\n   \n"
    (tmp_path / "plain.jsonl").write_bytes(content)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(content[:50]) + gzip.compress(content[50:]))
    pack = zstandard.ZstdCompressor()
    (tmp_path / "packed.jsonl.zst").write_bytes(pack.compress(content[:50]) + pack.compress(content[50:]))
    (tmp_path / "other.json").write_bytes(content.rstrip())
    for name in ("plain.jsonl", "packed.jsonl.gz", "packed.jsonl.zst", "other.json"):
        rows, rejected = read(tmp_path / name)
        assert not rejected
        assert [row["text"] for row in rows.values()] == [f"left{mark}right" for mark in SEPARATORS]


def test_broken_lines_are_rejected_by_id_or_line(tmp_path):
    lines = [
        b'{"id": "plain", "text": "fine"}',
        b'{"id": "pair", "text": "\\ud83c\\udf78"}',
        b'{"id": "high", "text": "\\ud83c"}',
        b'{"id": "latin1", "text": "r\xe9sum\xe9"}',
        b'{"id": "overlong", "text": "\xc0\xaf"}',
        b'{"id": "nul", "text": "a\\u0000b"}',
        b'{"id": "cut", "text": ',
        b"[1, 2]",
        b'{"text": "nameless"}',
        b'{"id": null, "text": "nameless"}',
        b'{"id": "", "text": "nameless"}',
    ]
    rows, rejected = read(jsonl(tmp_path / "rows.jsonl", lines))
    assert {name: row["text"] for name, row in rows.items()} == {"plain": "fine", "pair": "🍸", "nul": "a\0b"}
    reasons = dict(rejected)
    assert reasons["high"].startswith("invalid UTF-8")
    assert reasons["latin1"].startswith("invalid UTF-8")
    assert reasons["overlong"].startswith("invalid UTF-8")
    assert "line 7" in reasons["rows:7"]
    assert reasons["rows:7"].startswith("invalid JSON")
    assert reasons["rows:8"].startswith("not a JSON object")
    assert sum(reason == "no id" for _, reason in rejected) == 3
    assert len(rows) + len(rejected) == len(lines)


def test_ids_of_rejected_lines_get_the_same_prefix(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"id": 1, "text": "x"}, b'{"id": 2, "text": "\xe9"}'])
    rows, rejected = read(Files(path, ids="shard"))
    assert list(rows) == ["a/1"]
    assert rejected[0][0] == "a/2"


def test_types_come_from_all_rows_of_all_files(tmp_path):
    rows = [{"id": n, "note": None, "tags": []} for n in range(500)]
    rows += [{"id": 500 + n, "note": "x", "tags": [{"name": "a", "value": n}]} for n in range(5)]
    whole = read(jsonl(tmp_path / "rows.jsonl", rows))
    for number in range(6):
        jsonl(tmp_path / "shards" / f"{number}.jsonl", rows[number * 100 : number * 100 + 100])
    cut = read(tmp_path / "shards")
    assert cut == whole
    assert len(whole[0]) == 505
    assert sum(row["note"] is not None for row in whole[0].values()) == 5
    schemas = {shard.schema() for shard in open_pool(Files(tmp_path / "shards"))}
    assert len(schemas) == 1


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_cut_compressed_file_keeps_what_came_before(tmp_path, suffix):
    content = b"".join(b'{"id": %d, "text": "%s"}\n' % (n, str(n * 7919 % 10007).encode() * 20) for n in range(5000))
    packed = gzip.compress(content) if suffix == "gz" else zstandard.ZstdCompressor().compress(content)
    path = tmp_path / f"rows.jsonl.{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    rows, rejected = read(path)
    assert list(rows) == [str(n) for n in range(len(rows))]
    assert suffix == "zst" or len(rows) > 0
    assert len(rejected) == 1
    assert "damaged" in rejected[0][1]


def test_a_line_without_end_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 3 << 20)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": "' + b"x" * (9 << 20) + b'"}\n{"id": 2}\n' + b"y" * (5 << 20))
    rows, rejected = read(path)
    assert list(rows) == ["1", "2"]
    assert [reason.split(":")[0] for _, reason in rejected] == ["line too long", "line too long"]


@pytest.mark.parametrize("size", [200, 997, 5000])
def test_a_big_file_is_cut_into_stretches_of_whole_lines(tmp_path, monkeypatch, size):
    lines = [{"id": n, "text": "x" * (n % 90)} for n in range(300)]
    lines.insert(100, b"broken")
    path = jsonl(tmp_path / "rows.jsonl", lines)
    whole = read(path)
    monkeypatch.setattr(module, "SPLIT_BYTES", size)
    shards = open_pool(Files(path))
    assert len(shards) > 2
    assert len({shard.name for shard in shards}) == len(shards)
    assert sum(shard.num_rows for shard in shards) == 301
    found = read(shards)
    assert found == whole
    assert list(found[0]) == [str(n) for n in range(300)]
    assert found[1] == [("rows:101", "invalid JSON: Expecting value: column 1 (line 101)")]


@pytest.mark.parametrize("text", ['[\n{"a": 1},\n{"a": 2}\n]', '[{"a": 1}, {"a": 2}]', '{\n "a": 1\n}'])
def test_other_json_is_refused_by_name(tmp_path, text):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(InputError, match=r"rows\.json is one JSON"):
        Files(tmp_path / "rows.json").shards()


def test_an_empty_file_is_an_empty_shard(tmp_path):
    jsonl(tmp_path / "a.jsonl", [])
    jsonl(tmp_path / "b.jsonl", [{"id": 1, "text": "x"}])
    assert list(read(tmp_path)[0]) == ["1"]
    assert [shard.num_rows for shard in open_pool(Files(tmp_path))] == [0, 1]


def test_pieces_hold_at_most_the_rows_asked_for(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"id": n} for n in range(10)])
    (shard,) = open_pool(Files(path))
    assert [piece.table.num_rows for piece in shard.pieces(rows=4)] == [4, 4, 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"id": "1"}'.encode("utf-16"), "invalid UTF-8: in the line (line 1)"),
        (b"<html>404</html>\n", "invalid JSON: Expecting value: column 1 (line 1)"),
        (b"\n[1]\n", "not a JSON object: but list (line 2)"),
    ],
)
def test_a_pool_without_a_readable_line_says_why(tmp_path, content, reason):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(InputError) as error:
        Files(str(tmp_path)).shards()
    assert str(error.value) == f"no line of {tmp_path}/a.jsonl can be read: {reason}."
    jsonl(tmp_path / "b.jsonl", [{"id": "1", "text": "x"}])
    found, rejected = read(tmp_path)
    assert (list(found), [why for _, why in rejected]) == (["1"], [reason])
