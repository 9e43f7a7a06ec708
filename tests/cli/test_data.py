from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium.data import download


def test_sets_are_listed_with_their_licences(sensorium):
    rows = sensorium("data", "list", "--json").document
    assert len(rows) > 50
    assert {"name", "here", "modality", "rows", "bytes", "licence", "title"} <= set(rows[0])
    assert not any(row["here"] for row in rows)
    lines = sensorium("data", "list").out.splitlines()
    assert lines[0].split() == ["name", "here", "modality", "rows", "bytes", "licence", "title"]
    assert len(lines) == len(rows) + 1


def test_a_set_is_told_whole(sensorium):
    card = sensorium("data", "show", "kodak", "--json").document
    assert card["name"] == "kodak"
    text = sensorium("data", "show", "kodak").out
    assert text.startswith("kodak: ")
    assert all(f"  {column}: " in text for column in card["columns"])
    assert "licence: " in text
    assert all(file["sha256"] in text for file in card["files"])


@pytest.mark.parametrize("as_json", [False, True])
def test_an_unknown_set_has_a_nearest_name(sensorium, as_json):
    ran = sensorium("data", "show", "kodac", *(["--json"] if as_json else []))
    assert (ran.code, ran.error[:49]) == (2, "unknown data set 'kodac'; did you mean 'kodak'? K")
    if as_json:
        assert ran.document == {"error": ran.error, "code": 2}


def test_get_says_where_a_set_comes_from_when_there_is_no_mirror(sensorium, tmp_path):
    ran = sensorium("data", "get", "kodak")
    assert ran.code == 2
    assert "give the base URL of a mirror that has kodak/data.parquet" in ran.error
    assert sensorium("data", "get", "kodak", "--base-url", "ftp://x").error.startswith("base_url is 'ftp://x'")
    assert not list(tmp_path.iterdir())


def test_get_prints_what_to_set(sensorium, monkeypatch):
    def fetched(name, to, base_url, *, progress):
        assert (name, to, base_url) == ("kodak", Path("sets"), "https://mirror")
        progress.say("kodak/data.parquet: as recorded.")
        return [to / name / "data.parquet"]

    monkeypatch.setattr(download, "get", fetched)
    words = ("data", "get", "kodak", "--to", "sets", "--base-url", "https://mirror")
    ran = sensorium(*words)
    assert ran.out == "1 files in sets; use them with SENSORIUM_DATA=sets\n"
    assert ran.err == "kodak/data.parquet: as recorded.\n"
    ran = sensorium(*words, "--json")
    assert (ran.document, ran.err) == (["sets/kodak/data.parquet"], "")


class TestPeek:
    def test_rows_come_from_as_many_shards_as_are_needed(self, sensorium, tmp_path):
        for shard in range(3):
            rows = [{"id": f"{shard}-{row}", "text": "x"} for row in range(2)]
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{shard}.parquet")
        for count, wanted in ((1, 1), (3, 3), (5, 5), (100, 6)):
            found = sensorium("data", "peek", "*.parquet", "--rows", count, "--json").document
            assert [row["id"] for row in found["rows"]] == [f"{n // 2}-{n % 2}" for n in range(wanted)]
        assert (found["shards"], found["columns"]) == (3, {"id": "string", "text": "string"})

    def test_values_are_short_and_cannot_steer_the_terminal(self, sensorium, tmp_path):
        row = {
            "id": "a\x1b[31m",
            "text": "line\nline\x07" + "x" * 300,
            "image": {"bytes": b"\x89PNG" * 500, "path": "[red].png"},
            "tags": list(range(20)),
            "none": None,
        }
        schema = pa.schema(
            [
                ("id", pa.string()),
                ("text", pa.string()),
                ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                ("tags", pa.list_(pa.int64())),
                ("none", pa.string()),
            ]
        )
        pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / "odd.parquet")
        line = sensorium("data", "peek", "odd.parquet").out.splitlines()[-1]
        assert line.startswith("id=a\\x1b[31m; text=line\\nline\\x07xxx")
        assert "; image=<2,000 bytes> [red].png; " in line
        assert line.endswith("'... 12 more']; none=-")
        assert len(line) < 400
        document = sensorium("data", "peek", "odd.parquet", "--json").document
        assert document["rows"][0]["image"] == {"bytes": "<2,000 bytes>", "path": "[red].png"}

    def test_columns_may_be_renamed_and_notes_are_told(self, sensorium, tmp_path):
        pq.write_table(pa.table({"id": ["a"], "caption": ["x"]}), tmp_path / "a.parquet")
        (tmp_path / "notes.txt").touch()
        out = sensorium("data", "peek", ".", "--columns", "text=caption").out
        assert out.splitlines()[-1] == "id=a; text=x"
        assert "note: left out" in out

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["gone.parquet"], "there is no file or folder gone.parquet"),
            (["kodac"], "there is no file, folder or set kodac; did you mean the set 'kodak'?"),
            (["kodak"], "the data set 'kodak' is not here (SENSORIUM_DATA is not set)"),
            ([".", "--rows", "0"], "Invalid value for '--rows'"),
        ],
    )
    def test_mistakes(self, sensorium, words, says):
        ran = sensorium("data", "peek", *words)
        assert ran.code == 2
        assert ran.error.startswith(says)

    def test_a_pool_without_rows_is_shown_by_its_columns(self, sensorium, tmp_path):
        pq.write_table(pa.table({"id": pa.array([], pa.string())}), tmp_path / "none.parquet")
        assert sensorium("data", "peek", "none.parquet", "--json").document["rows"] == []

    def test_rows_that_cannot_be_used_are_shown_with_their_reason(self, sensorium, tmp_path):
        lines = ['{"id": "1", "text": "x"}', *['{"id": "2", "text'] * 7, '{"id": "3", "text": "y"}', ""]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        out = sensorium("data", "peek", "a.jsonl", "--rows", 2).out.splitlines()
        assert out[2:5] == ["rows: 9, shards: 1", "id=1; text=x", "id=3; text=y"]
        assert out[5].startswith("rejected: a:2: invalid JSON")
        assert out[7:] == ["rejected: 5 more of the rows looked at"]
        document = sensorium("data", "peek", "a.jsonl", "--json").document
        assert (document["num_rows"], len(document["rows"]), len(document["rejected"])) == (9, 2, 7)
        assert document["rejected"][0]["id"] == "a:2"

    def test_a_pool_of_rejects_is_not_read_to_its_end(self, sensorium, tmp_path, monkeypatch):
        monkeypatch.setattr("sensorium.cli.data.MANY_REJECTED", 3)
        pq.write_table(pa.table({"id": pa.nulls(50), "text": ["x"] * 50}), tmp_path / "a.parquet")
        document = sensorium("data", "peek", "a.parquet", "--rows", 5, "--json").document
        assert (document["rows"], len(document["rejected"])) == ([], 5)

    def test_values_that_json_or_python_have_no_word_for(self, sensorium, tmp_path):
        far = pa.array([10**15], pa.int64()).view(pa.timestamp("ms"))
        pq.write_table(pa.table({"id": ["1"], "s": [float("nan")], "at": far}), tmp_path / "a.parquet")
        ran = sensorium("data", "peek", "a.parquet", "--json")
        assert "NaN" not in ran.out
        assert ran.document["rows"] == [{"id": "1", "s": "nan", "at": 10**15}]
        assert sensorium("data", "peek", "a.parquet").out.splitlines()[-1] == f"id=1; s=nan; at={10**15}"

    def test_ids_may_come_from_elsewhere(self, sensorium, tmp_path):
        pq.write_table(pa.table({"id": [1.5, 2.5], "text": ["x", "y"]}), tmp_path / "a.parquet")
        assert "column 'id' of pool a.parquet is double" in sensorium("data", "peek", "a.parquet").error
        rows = sensorium("data", "peek", "a.parquet", "--ids", "content", "--json").document["rows"]
        assert [(len(row["id"]), row["text"]) for row in rows] == [(32, "x"), (32, "y")]
