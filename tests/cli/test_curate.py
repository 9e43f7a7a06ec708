from __future__ import annotations

import contextlib
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import CAPTIONS

from sensorium.core.errors import InputError
from sensorium.core.store import locked

GO = ("--concepts", "entries.txt", "--t", 100)


def write(path, texts, name="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{path.stem}-{row}" for row in range(len(texts))]
    pq.write_table(pa.table({"id": ids, name: pa.array(texts, pa.string())}), path)


def kept(folder):
    return sorted(pq.read_table(folder / "rows")["text"].to_pylist())


def test_rows_in_are_rows_out_and_dropped(sensorium, pool, tmp_path):
    ran = sensorium("curate", pool, *GO, "--out", "curated")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "8 rows in = 6 out + 2 dropped + 0 rejected",
        "rows: curated/rows",
        "page: curated/report.html",
    ]
    assert kept(tmp_path / "curated") == sorted(set(CAPTIONS) - {"nothing here", "two dogs"})
    page = (tmp_path / "curated/report.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")


def test_the_same_again_is_kept_and_fresh_is_made_again(sensorium, pool, tmp_path):
    document = sensorium("curate", pool, *GO, "--out", "curated", "--json").document
    assert document["metrics"] == {"rows_in": 8, "rows_out": 6, "dropped": 2, "rejected": 0}
    done = tmp_path / "curated/done.json"
    before = done.stat().st_mtime_ns
    assert sensorium("curate", pool, *GO, "--out", "curated", "--json").document == document
    assert done.stat().st_mtime_ns == before
    assert sensorium("curate", pool, *GO, "--out", "curated", "--fresh", "--json").document == document
    assert done.stat().st_mtime_ns > before
    assert (tmp_path / "curated/.inputs").is_dir(), "what it was made of stays beside it"


def test_columns_ids_and_rules_of_the_user(sensorium, pool, tmp_path):
    write(tmp_path / "other.parquet", ["a dog", "a dog!", "nothing"], "caption")
    ran = sensorium(
        "curate", "other.parquet", *GO, "--columns", "text=caption", "--ids", "content", "--semantics", "strict",
        "--out", "out", "--json",
    )  # fmt: skip
    assert ran.document["metrics"]["rows_out"] == 2, "strict rules take the mark off"
    ids = pq.read_table(tmp_path / "out/rows")["id"].to_pylist()
    assert not any(name.startswith("other") for name in ids)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(sensorium, pool, tmp_path, workers):
    for shard in range(4):
        write(tmp_path / f"many/{shard}.parquet", [f"dog {row}" for row in range(50)] + ["cat"])
    ran = sensorium(
        "curate", "many", "--concepts", "entries.txt", "--size", 40, "--workers", workers, "--out", "out", "--json"
    )
    assert ran.code == 0
    chosen = pq.read_table(tmp_path / "out/rows")["id"].to_pylist()
    assert len(chosen) == ran.document["metrics"]["rows_out"]
    assert {"0-50", "1-50", "2-50", "3-50"} <= set(chosen), "the rare entry keeps all"
    record = json.loads((tmp_path / "out/done.json").read_text("utf-8"))
    assert record["machine"]["workers"] == workers


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--t", "abc"], "--t takes a whole number, not 'abc'."),
        (["--t", "-5"], "Balance.t is -5; it must be a whole number of 1 or more."),
        (["--t", "0"], "Balance.t is 0; it must be"),
        (["--t", "1e3"], "--t takes a whole number, not '1e3'."),
        (["--t", "5", "--size", "7"], "say one of --t, --size and --tail-share (or --match-only), not --t and --size."),
        ([], "say one of --t, --size and --tail-share (or --match-only), not none of them."),
        (["--match-only", "--t", "5"], "--t has no effect with --match-only"),
        (["--match-only", "--seed", "5"], "--seed has no effect with --match-only"),
        (["--tail-share", "6"], "Balance.tail is 6.0; it must be a fraction above 0 and below 1"),
        (["--t", "5", "--t", "6"], "--t is given twice; say it once."),
        (["--t", "5", "--conceps", "x"], "No such option: --conceps (Possible options: --columns, --concepts)"),
        (["--t", "5", "--semantics", "stric"], "unknown value for --semantics 'stric'; did you mean 'strict'?"),
        (["--t", "5", "--ids", "givn"], "unknown value for --ids 'givn'; did you mean 'given'?"),
        (["--t", "5", "--columns", "caption"], "--columns takes pairs like text=caption,image=jpg, not 'caption'."),
        (["--t", "5", "--columns", "text=txt"], "pool pool.parquet has no column 'txt'"),
        (["--t", "5", "--concepts", "wordnt"], "there is no file wordnt; --concepts takes a text file"),
        (["--t", "5", "--seed", "x"], "Invalid value for '--seed': it takes a whole number"),
        (["--t", "5", "--workers", "-2"], "--workers is -2; it is a count"),
    ],
)
def test_every_mistake_is_one_sentence_before_any_work(sensorium, pool, tmp_path, words, says):
    before = sorted(tmp_path.iterdir())
    given = words if "--concepts" in words else ["--concepts", "entries.txt", *words]
    ran = sensorium("curate", pool, *given, "--out", "curated", "--json")
    assert ran.code == 2
    assert ran.error.startswith(says)
    assert ran.document["error"] == ran.error
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_that_could_not_be_leaves_nothing_in_the_way_of_the_corrected_one(sensorium, pool, tmp_path):
    (tmp_path / "wrong.txt").write_text("elephant\n")
    (tmp_path / "ready").mkdir()
    for out in ("new", "ready"):
        wrong = sensorium("curate", pool, "--concepts", "wrong.txt", "--t", 5, "--out", out)
        assert (wrong.code, wrong.error[:49]) == (2, "curated: no text of the pool matches any of the 1")
        assert (tmp_path / out).is_dir() is (out == "ready")
        assert sensorium("curate", pool, *GO, "--out", out).code == 0


def test_a_folder_with_another_run_or_other_files_is_refused_as_it_is(sensorium, pool, tmp_path):
    sensorium("curate", pool, *GO, "--out", "curated")
    before = {path: path.read_bytes() for path in (tmp_path / "curated").rglob("*") if path.is_file()}
    ran = sensorium("curate", pool, "--concepts", "entries.txt", "--t", 1, "--out", "curated")
    assert ran.code == 2
    assert ran.error.startswith("curated holds another run (")
    assert {path: path.read_bytes() for path in (tmp_path / "curated").rglob("*") if path.is_file()} == before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").touch()
    assert sensorium("curate", pool, *GO, "--out", "photos").error.startswith("photos holds other files (holiday.jpg")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["holiday.jpg"]
    assert sensorium("curate", pool, *GO, "--out", "entries.txt").code == 2


def test_a_folder_that_is_being_written_is_refused(sensorium, pool, tmp_path):
    from sensorium.core.store import locked

    with locked(tmp_path / "curated"):
        ran = sensorium("curate", pool, *GO, "--out", "curated")
    assert ran.code == 2
    assert f"is being written by process {os.getpid()}" in ran.error


def test_the_result_may_not_lie_in_the_pool(sensorium, pool, tmp_path):
    write(tmp_path / "many/0.parquet", ["a dog"])
    for out in ("many", "many/curated", "many/../many/x/y"):
        assert sensorium("curate", "many", *GO, "--out", out).error.startswith(f"--out {out} lies inside the pool many")
    assert sensorium("curate", "many/0.parquet", *GO, "--out", "many/curated").code == 0


class TestNames:
    def test_brackets_are_letters_in_tables_errors_and_pages(self, sensorium, pool, tmp_path):
        captions = ["a [red] dog", "dog [/items]", "[bold]dog[/bold]", "list[str] and [link](x) dog"]
        for name in ("[WIP] pool/[id].parquet", "a[/b].parquet"):
            write(tmp_path / name, captions)
            out = f"out of {name[:3].replace('/', '')}"
            assert sensorium("curate", name, *GO, "--out", out).code == 0
            assert kept(tmp_path / out) == sorted(captions[:2] + captions[3:])
            assert f"rows: {out}/rows" in sensorium("curate", name, *GO, "--out", out).out
            assert "dog [/items]" in (tmp_path / out / "report.html").read_text("utf-8")
            peek = sensorium("data", "peek", name).out
            assert all(f"text={caption}" in peek for caption in captions)
        broken = tmp_path / "broken [" / "x].parquet"
        broken.parent.mkdir()
        broken.write_bytes(b"PAR1 no more")
        assert (
            "broken [/x].parquet is not a readable Parquet file"
            in sensorium("curate", "broken [/x].parquet", *GO, "--out", "no").error
        )

    def test_a_folder_is_read_as_it_is_called(self, sensorium, pool, tmp_path):
        write(tmp_path / "[D_DATA]/.cache/pool v1 #2 (50%)/00000.parquet", ["right dog"])
        write(tmp_path / "D/.cache/pool v1 #2 (50%)/00000.parquet", ["wrong dog"])
        ran = sensorium("curate", "[D_DATA]/.cache/pool v1 #2 (50%)", *GO, "--out", "[D_DATA]/.cache/out")
        assert ran.code == 0
        assert kept(tmp_path / "[D_DATA]/.cache/out") == ["right dog"]

    def test_files_of_other_suffixes_are_read_if_they_are_parquet(self, sensorium, pool, tmp_path):
        write(tmp_path / "odd/a.pq", ["a dog"])
        write(tmp_path / "odd/b.PARQUET", ["one cat"])
        assert sensorium("curate", "odd", *GO, "--out", "out").code == 0
        assert kept(tmp_path / "out") == ["a dog", "one cat"]

    def test_a_range_with_a_gap_names_what_is_missing(self, sensorium, pool, tmp_path):
        for number in (0, 1, 3):
            write(tmp_path / f"web/{number:05d}.parquet", ["a dog"])
        ran = sensorium("curate", "web/{00000..00003}.parquet", *GO, "--out", "out")
        assert ran.code == 2
        assert ran.error == "web/{00000..00003}.parquet names 4 files, but 1 of them is missing: 00002.parquet."
        assert sensorium("curate", "web", *GO, "--out", "out").out.startswith("3 rows in = 3 out")


@pytest.mark.parametrize("out", ["s3://bucket/x", "file:///tmp/x", "memory://x"])
def test_the_result_lies_on_this_machine(sensorium, pool, tmp_path, out):
    before = sorted(tmp_path.iterdir())
    ran = sensorium("curate", pool, *GO, "--out", out)
    assert (ran.code, "looks like a URI; results are written into a folder of this machine" in ran.error) == (2, True)
    assert sorted(tmp_path.iterdir()) == before


def test_a_pattern_for_all_folders_does_not_find_the_result(sensorium, pool, tmp_path):
    write(tmp_path / "crawl/deep/a.parquet", CAPTIONS)
    ran = sensorium("curate", "crawl/**/*.parquet", *GO, "--out", "crawl/out")
    assert (ran.code, ran.error[:33]) == (2, "--out crawl/out lies inside the p")
    assert sensorium("curate", "crawl/**/*.parquet", *GO, "--out", "out").code == 0


def test_what_took_long_is_kept_when_an_input_fails(sensorium, pool, tmp_path, monkeypatch):
    (tmp_path / "other.txt").write_text("unicorn\n")
    words = ("curate", pool, "--concepts", "other.txt", "--t", 5, "--out", "curated")
    assert sensorium(*words).error.startswith("curated: no text of the pool matches")
    assert not (tmp_path / "curated").exists()
    monkeypatch.setattr("sensorium.cli.curate.SOON_SECONDS", 0.0)
    assert sensorium(*words).code == 2
    assert (tmp_path / "curated/begun.json").exists()


def test_another_run_that_began_meanwhile_is_left_alone(sensorium, pool, tmp_path, monkeypatch):
    def begins(*_):
        stack.enter_context(locked(tmp_path / "curated"))
        (tmp_path / "curated/rows").mkdir()
        raise InputError("one file is broken.")

    monkeypatch.setattr("sensorium.api.finish_at", begins)
    with contextlib.ExitStack() as stack:
        assert sensorium("curate", pool, *GO, "--out", "curated").error == "one file is broken."
        assert (tmp_path / "curated/rows").is_dir()
