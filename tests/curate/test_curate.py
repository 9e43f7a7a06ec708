"""The stage as a whole: every row accounted for, no influence of shards, kills or piece sizes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import reference
from running import ids, rows, run, texts_pool, write_pool

from sensorium.core.errors import InputError, SettingError, StageFailedError
from sensorium.core.fingerprint import Fingerprints
from sensorium.curate import passes
from sensorium.curate.balance import Balance
from sensorium.curate.curate import Curate
from sensorium.curate.match import Match
from sensorium.curate.metadata import Entries
from sensorium.curate.subset import RandomSubset, ShuffleText
from sensorium.data.sources import Files
from sensorium.data.table_file import read_table

ENTRIES = ("dog", "cat", "quokka", "axolotl", "hot dog", "unicorn")
WORDS = Entries(entries=ENTRIES)


def captions(number=300):
    """Captions with a frequent, a middling and a rare animal, and some with none."""
    chosen = random.Random(5)
    kinds = ["a dog", "a dog and a cat", "hot dog", "nothing", "quokka, dog", "the cat."]
    found = [f"{chosen.choices(kinds, [6, 3, 2, 3, 1, 2])[0]} {row}" for row in range(number)]
    found[17] = "one axolotl"
    return found


def pool_of(folder, texts, num_shards=1, **columns):
    return Files(str(texts_pool(folder, texts, num_shards, **columns)))


@dataclass(frozen=True)
class Short:
    """A step as a user writes it: a score, and a reason for the long ones."""

    longest: int = 12

    columns: ClassVar = ("text",)
    adds: ClassVar = ("length",)

    def __call__(self, table):
        length = pc.fill_null(pc.utf8_length(table["text"]), 0)
        reason = pc.if_else(
            pc.greater(length, self.longest),
            pc.binary_join_element_wise("too long", pc.cast(length, pa.string()), ": "),
            None,
        )
        return table.append_column("length", length).append_column("dropped", reason)


@dataclass(frozen=True)
class AboveMean:
    """A fold as a user writes it: keeps what is longer than the mean."""

    columns: ClassVar = ("text",)
    adds: ClassVar = ()

    def measure(self, table):
        return {"rows": table.num_rows, "characters": pc.sum(pc.utf8_length(table["text"])).as_py() or 0}

    def merge(self, states):
        return {name: sum(state[name] for state in states) for name in ("rows", "characters")}

    def finish(self, state):
        return {"mean": state["characters"] / state["rows"]}

    def apply(self, state, table):
        low = pc.less(pc.cast(pc.utf8_length(table["text"]), pa.float64()), state["mean"])
        return table.append_column("dropped", pc.if_else(low, "short", None))


@dataclass(frozen=True)
class FirstOfText:
    """A gather as a user writes it: the first of equal texts in stored order stays."""

    key: ClassVar = "text"
    columns: ClassVar = ("text",)
    adds: ClassVar = ("copies",)

    def gather(self, table):
        texts = pc.coalesce(table["text"], table["id"]).combine_chunks()
        codes = texts.dictionary_encode().indices.to_numpy()
        first = np.unique(codes, return_index=True)[1]
        reason = np.full(len(codes), "copy", object)
        reason[first] = None
        copies = np.bincount(codes)[codes]
        return table.append_column("copies", pa.array(copies)).append_column("dropped", pa.array(reason, pa.string()))


def accounts(folder):
    """Checks that no row vanished, by id, and returns pool.json."""
    about = json.loads((folder / "pool.json").read_text())
    kept, dropped, rejected = ids(folder), ids(folder, "dropped"), ids(folder, "rejected")
    assert (len(kept), len(dropped), len(rejected)) == (
        about["rows_out"],
        about["dropped"],
        about["rejected"],
    )
    assert about["rows_in"] == len({*kept, *dropped, *rejected}) == len(kept) + len(dropped) + len(rejected)
    assert sum(about["dropped_by_reason"].values()) == about["dropped"]
    assert sorted(rows(folder).schema.names) == list(about["columns"]) or not kept
    return about


def test_matches_and_chances_equal_the_formula(tmp_path):
    texts = [*captions(), None, ""]
    folder, metrics = run(
        Curate(pool=pool_of(tmp_path / "pool", texts), steps=(Match(vocabulary=WORDS), Balance(t=20))),
        tmp_path / "runs",
    )
    known = sorted(ENTRIES)
    found = [reference.matches(text, known, "published-v1") for text in texts]
    counts = np.bincount([entry for row in found for entry in row], minlength=len(known))
    table = pa.concat_tables(
        [
            rows(folder).select(["id", "matches", "keep_probability"]),
            rows(folder, "dropped").select(["id", "matches", "keep_probability"]),
        ]
    )
    for row in table.to_pylist():
        expected = found[int(row["id"][1:])]
        assert row["matches"] == expected
        if expected:
            assert row["keep_probability"] == pytest.approx(
                1 - np.prod([1 - min(1, 20 / counts[entry]) for entry in expected])
            )
        else:
            assert row["keep_probability"] is None
    about = accounts(folder)
    assert about["dropped_by_reason"]["no match"] == sum(not row for row in found)
    assert metrics == {name: about[name] for name in ("rows_in", "rows_out", "dropped", "rejected")}
    assert "r0017" in ids(folder)


def test_statistics_count_rows_as_rows(tmp_path):
    texts = captions()
    folder, _ = run(
        Curate(
            pool=pool_of(tmp_path / "pool", texts, lang=["en", "de", None] * 100),
            steps=(Match(vocabulary=WORDS), Balance(t=20)),
        ),
        tmp_path / "runs",
    )
    statistics = json.loads((folder / "statistics.json").read_text())
    match, balance = (step["facts"] for step in statistics["steps"])
    found = [reference.matches(text, sorted(ENTRIES), "published-v1") for text in texts]
    assert match["matched_rows"] == balance["matched_rows"] == sum(map(bool, found))
    assert match["matches"] == balance["matches"] == sum(map(len, found)) > match["matched_rows"]
    assert match["kept_rows"] == balance["kept_rows"] == statistics["rows_out"]
    assert (match["dead_entries"], match["dead_examples"]) == (1, ["unicorn"])
    assert match["top"][0]["entry"] == "dog"
    assert match["curve"]["before"][0] == match["top"][0]["texts"]
    assert abs(balance["expected_rows"] - statistics["rows_out"]) < 5 * balance["expected_deviation"]
    assert statistics["languages"]["in"] == {"en": 100, "de": 100, "unknown": 100}
    assert sum(statistics["languages"]["out"].values()) == statistics["rows_out"]
    counts = pq.read_table(folder / "counts.parquet").to_pydict()
    assert counts["entry"] == sorted(ENTRIES)
    assert sum(counts["texts"]) == match["matches"]
    card = json.loads((folder / "card.json").read_text())
    assert card["steps"][1]["t"] == 20
    assert len(card["steps"][0]["vocabulary_sha256"]) == len(card["steps"][1]["counts_sha256"]) == 64


ARMS = {
    "raw": (),
    "balanced": (Match(vocabulary=WORDS), Balance(t=20, seed=1)),
    "sized": (Match(vocabulary=WORDS), Balance(size=150)),
    "tail": (Match(vocabulary=WORDS), Balance(tail=0.1)),
    "matched": (Match(vocabulary=WORDS),),
    "random": (RandomSubset(size=57, seed=3),),
    "shuffled": (Match(vocabulary=WORDS), ShuffleText(seed=2), Balance(t=20)),
    "images": (Match(vocabulary=WORDS, semantics="published-v2"), Balance(t=20, by="key")),
    "own": (Short(), AboveMean(), FirstOfText(), Short(longest=11)),
}


@pytest.mark.parametrize("arm", ARMS)
def test_shards_have_no_influence(arm, tmp_path):
    texts = captions()
    keys = [f"image{row // 3}" if row % 10 else None for row in range(len(texts))]
    found = []
    for number in (1, 3, 7):
        pool = pool_of(tmp_path / f"pool{number}", texts, number, key=keys)
        folder, _ = run(Curate(pool=pool, steps=ARMS[arm]), tmp_path / f"runs{number}", workers=1 + (number == 3))
        accounts(folder)
        found.append(rows(folder))
        assert not (folder / "work").exists()
    assert found[0].num_rows > 0
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])


def test_order_of_shards_has_no_influence(tmp_path):
    texts = captions()
    folder = texts_pool(tmp_path / "pool", texts, 4)
    turned = tmp_path / "turned"
    turned.mkdir()
    for number in range(4):
        os.link(folder / f"{number:05d}.parquet", turned / f"{3 - number:05d}.parquet")
    steps = (Match(vocabulary=WORDS), RandomSubset(size=100), ShuffleText(), Balance(t=10))
    one, other = (run(Curate(pool=Files(str(where)), steps=steps), tmp_path / "runs")[0] for where in (folder, turned))
    assert rows(one).equals(rows(other))


def test_many_small_tables_of_a_gather(tmp_path, monkeypatch):
    texts = [f"text {row % 40}" for row in range(200)] + [None] * 3
    pool = pool_of(tmp_path / "pool", texts, 5)
    whole, _ = run(Curate(pool=pool, steps=(FirstOfText(),)), tmp_path / "one")
    monkeypatch.setattr("sensorium.curate.curate.GATHER_ROWS", 20)
    cut, _ = run(Curate(pool=pool, steps=(FirstOfText(),)), tmp_path / "many")
    assert rows(whole).equals(rows(cut))
    assert ids(whole)[:40] == [f"r{row:04d}" for row in range(40)]
    assert accounts(cut)["dropped_by_reason"] == {"copy": 160}


def test_equal_arms(tmp_path):
    pool = pool_of(tmp_path / "pool", captions(), 2)
    balanced = Curate(pool=pool, steps=(Match(vocabulary=WORDS), Balance(t=20)), name="balanced")
    alike = Curate(pool=pool, steps=(RandomSubset(like=balanced, seed=4),))
    assert balanced in alike.inputs()
    folder, metrics = run(alike, tmp_path / "runs")
    assert metrics["rows_out"] == run(balanced, tmp_path / "runs")[1]["rows_out"]
    assert json.loads((folder / "card.json").read_text())["steps"][0]["size"] == metrics["rows_out"]


def test_a_curated_pool_is_a_pool(tmp_path):
    first = Curate(pool=pool_of(tmp_path / "pool", captions(), 2), steps=(Match(vocabulary=WORDS),), name="matched")
    second = Curate(pool=first, steps=(Balance(t=10),))
    once = Curate(pool=first.pool, steps=(Match(vocabulary=WORDS), Balance(t=10)))
    one, other = run(second, tmp_path / "runs")[0], run(once, tmp_path / "runs")[0]
    assert rows(one).equals(rows(other))
    assert json.loads((one / "card.json").read_text())["source"]["fingerprint"]


def test_settings_and_content_are_the_identity(tmp_path):
    pool = pool_of(tmp_path / "pool", captions(20))

    def fingerprint(*steps):
        stage = Curate(pool=pool, steps=steps)
        return Fingerprints(stage)[stage]

    same = [fingerprint(Match(vocabulary=Entries(entries=("a",))), Balance(t=3)) for _ in range(2)]
    others = {
        fingerprint(Match(vocabulary=Entries(entries=("b",))), Balance(t=3)),
        fingerprint(Match(vocabulary=Entries(entries=("a",))), Balance(t=4)),
        fingerprint(Match(vocabulary=Entries(entries=("a",)), semantics="strict"), Balance(t=3)),
        fingerprint(Match(vocabulary=Entries(entries=("a",)))),
        fingerprint(RandomSubset(like=Curate(pool=pool))),
    }
    assert same[0] == same[1]
    assert len(others | {same[0]}) == 6


def test_reasons_are_counted_before_their_colon(tmp_path):
    folder, _ = run(Curate(pool=pool_of(tmp_path / "pool", captions(50), 2), steps=(Short(),)), tmp_path / "runs")
    about = accounts(folder)
    assert set(about["dropped_by_reason"]) == {"too long"}
    assert all(row["dropped"].startswith("too long: 1") for row in rows(folder, "dropped").to_pylist())
    assert about["steps"][0]["step"] == "Short"


def test_dropped_rows_keep_small_columns_only(tmp_path):
    table = pa.table({"id": ["a", "b"], "text": ["x" * 1000, "dog"], "image": [b"1", b"2"], "size": [1, 2]})
    folder, _ = run(Curate(pool=Files(str(write_pool(tmp_path / "pool", table))), steps=(Short(),)), tmp_path / "runs")
    (gone,) = rows(folder, "dropped").to_pylist()
    assert gone == {"id": "a", "dropped": "too long: 1000", "text": "x" * 200, "size": 1, "length": 1000}
    assert rows(folder).to_pylist() == [{"id": "b", "text": "dog", "image": b"2", "size": 2, "length": 3}]


def test_broken_rows_are_rejected_and_not_counted(tmp_path):
    bad = pa.array([b"a dog", b"\xff dog", b"dog"], pa.binary())
    text = pa.StringArray.from_buffers(3, *bad.buffers()[1:])
    other = pa.StringArray.from_buffers(3, *pa.array([b"ok", b"ok", b"\xfe"], pa.binary()).buffers()[1:])
    pool = write_pool(tmp_path / "pool", pa.table({"id": ["a", "b", "c"], "text": text, "note": other}))
    folder, metrics = run(
        Curate(pool=Files(str(pool)), steps=(Match(vocabulary=WORDS), Balance(t=5))), tmp_path / "runs"
    )
    about = accounts(folder)
    assert metrics == {"rows_in": 3, "rows_out": 1, "dropped": 0, "rejected": 2}
    assert about["rejected_by_reason"] == {"invalid UTF-8": 2}
    assert pq.read_table(folder / "counts.parquet")["texts"].to_pylist()[sorted(ENTRIES).index("dog")] == 1


def test_empty_shards_are_no_trouble(tmp_path):
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("score", pa.float32())])
    (tmp_path / "pool").mkdir()
    start = 0
    for shard, count in enumerate((0, 3, 0, 2)):
        names = [str(start + row) for row in range(count)]
        start += count
        table = pa.table([names, [f"dog {name}" for name in names], [0.5] * count], schema=schema)
        pq.write_table(table, tmp_path / "pool" / f"{shard:05d}.parquet")
    for workers in (1, 2):
        folder, metrics = run(
            Curate(pool=Files(str(tmp_path / "pool")), steps=ARMS["balanced"]),
            tmp_path / f"runs{workers}",
            workers,
        )
        assert metrics["rows_out"] == 5
        assert len(list((folder / "rows").iterdir())) == 2
        assert rows(folder).schema.field("score").type == pa.float32()


def test_an_empty_pool(tmp_path):
    empty = pa.table({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    pool = Files(str(write_pool(tmp_path / "none", empty)))
    for steps in (ARMS["balanced"], (RandomSubset(size=1),)):
        with pytest.raises(InputError, match="none has no rows"):
            run(Curate(pool=pool, steps=steps), tmp_path / "runs")
    for steps in ((), (Short(),), (FirstOfText(),)):
        folder, metrics = run(Curate(pool=pool, steps=steps), tmp_path / "runs")
        assert metrics["rows_out"] == metrics["rows_in"] == 0
        (file,) = (folder / "rows").iterdir()
        assert pq.read_schema(file).names[:2] == ["id", "text"]


def test_nothing_matches(tmp_path):
    pool = pool_of(tmp_path / "pool", ["Hello there", "bye"], 2)
    for steps in ((Match(vocabulary=WORDS), Balance(t=5)), (Match(vocabulary=WORDS),)):
        with pytest.raises(InputError, match="no text of the pool matches any of the 6 entries") as caught:
            run(Curate(pool=pool, steps=steps), tmp_path / "runs")
        assert "first text 'Hello there', first entry 'axolotl'" in str(caught.value)
    folders = list((tmp_path / "runs" / "Curate").iterdir())
    assert not any((folder / name).exists() for folder in folders for name in ("rows", "dropped", "done.json"))


def test_a_step_that_drops_everything_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"the step Short dropped every row it was given; the first was .*'text': 'bye'"
    ):
        run(Curate(pool=pool_of(tmp_path / "pool", ["bye"]), steps=(Short(longest=1),)), tmp_path / "runs")


def test_repeated_ids_are_refused(tmp_path):
    table = pa.table({"id": ["a", "b", "a"], "text": ["dog"] * 3})
    with pytest.raises(InputError, match="'a'"):
        run(
            Curate(pool=Files(str(write_pool(tmp_path / "pool", table))), steps=ARMS["matched"]),
            tmp_path / "runs",
        )


def test_missing_ids_are_content_hashes(tmp_path):
    table = pa.table({"text": ["dog", "cat", "dog"]})
    folders = [
        run(
            Curate(pool=Files(str(write_pool(tmp_path / f"pool{number}", table, number))), steps=ARMS["matched"]),
            tmp_path / "runs",
        )[0]
        for number in (1, 2)
    ]
    assert ids(folders[0]) == ids(folders[1])
    assert len(set(ids(folders[0]))) == 3


def test_a_missing_column_is_named(tmp_path):
    table = pa.table({"id": ["a"], "caption": ["dog"]})
    pool = str(write_pool(tmp_path / "pool", table))
    with pytest.raises(InputError, match=r"no column 'text'.*text=caption"):
        run(Curate(pool=Files(pool), steps=ARMS["matched"]), tmp_path / "runs")
    run(Curate(pool=Files(pool, columns={"text": "caption"}), steps=ARMS["matched"]), tmp_path / "runs")
    with pytest.raises(InputError, match="no column 'matches'"):
        run(Curate(pool=Files(pool), steps=(Balance(t=3),)), tmp_path / "runs")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"steps": Match(vocabulary=WORDS)}, "must be a tuple"),
        ({"steps": ("Match",)}, "str is not a frozen dataclass"),
        ({"steps": (Match,)}, "holds? the class Match|hold the class Match"),
        ({"pool": "pool.parquet"}, "Curate.pool takes"),
    ],
)
def test_wrong_settings_are_refused_when_built(wrong, sentence, tmp_path):
    with pytest.raises(SettingError, match=sentence):
        Curate(**{"pool": Files(str(tmp_path)), **wrong})


def test_wrong_vocabularies_are_refused_when_built(tmp_path):
    with pytest.raises(SettingError, match=r"gives vocabulary, but .* gives pool"):
        Match(vocabulary=Curate(pool=Files(str(tmp_path))))
    with pytest.raises(SettingError, match="gives vocabulary, but it is 'words'"):
        Match(vocabulary="words")
    with pytest.raises(SettingError, match="unknown semantics 'published'"):
        Match(vocabulary=WORDS, semantics="published")


@dataclass(frozen=True)
class Loses:
    columns: ClassVar = ()
    adds: ClassVar = ()

    def __call__(self, table):
        return table.slice(1)


def test_a_step_that_loses_rows_is_refused(tmp_path):
    with pytest.raises(StageFailedError, match="Loses was given 2 rows and returned 1"):
        run(Curate(pool=pool_of(tmp_path / "pool", ["a", "b"]), steps=(Loses(),)), tmp_path / "runs")


def contents(folder):
    """Every file but those that hold seconds."""
    skipped = {"done.json", "begun.json", ".lock", "timings.json"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skipped
    }


KILLED = """
import contextlib, os, signal, sys
sys.path[:0] = {path!r}
import test_curate as t
from sensorium.core import files

left, atomic = [{moment}], files.atomic

def moment():
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

@contextlib.contextmanager
def deadly(path):
    moment()
    with atomic(path) as temporary:
        yield temporary
        moment()
    moment()

files.atomic = deadly
t.run(t.Curate(pool=t.Files({pool!r}), steps=t.{steps}), {runs!r}, workers={workers})
"""
EVERYTHING = (
    Match(vocabulary=WORDS),
    FirstOfText(),
    ShuffleText(seed=2),
    Balance(size=150, by="key"),
    RandomSubset(size=90),
)


def killed(tmp_path, pool, moment, workers=1, steps="EVERYTHING"):
    """A run in a process of its own that kills itself before, within or after its n-th writing."""
    path = [str(Path(__file__).parent), *[entry for entry in sys.path if entry.endswith("src")]]
    runs = str(tmp_path / "runs")
    script = KILLED.format(path=path, pool=pool, runs=runs, workers=workers, moment=moment, steps=steps)
    return subprocess.Popen([sys.executable, "-c", script], start_new_session=True)


@pytest.mark.slow
def test_kill_at_any_moment_and_go_on(tmp_path):
    texts = captions(600)
    pool = str(texts_pool(tmp_path / "pool", texts, 3, key=[f"k{row // 2}" for row in range(len(texts))]))
    stage = Curate(pool=Files(pool), steps=EVERYTHING)
    expected, _ = run(stage, tmp_path / "undisturbed")
    chosen = random.Random(1)
    codes = [killed(tmp_path, pool, chosen.randint(1, 60)).wait(60) for _ in range(10)]
    assert codes.count(-signal.SIGKILL) >= 8
    found, metrics = run(stage, tmp_path / "runs")
    assert contents(found) == contents(expected)
    assert metrics["rows_in"] == 600


@pytest.mark.slow
def test_kill_with_workers_and_go_on(tmp_path):
    pool = str(texts_pool(tmp_path / "pool", captions(600), 3))
    stage = Curate(pool=Files(pool), steps=ARMS["balanced"])
    expected, _ = run(stage, tmp_path / "undisturbed")
    process = killed(tmp_path, pool, 0, workers=2, steps="ARMS['balanced']")
    while len([*(tmp_path / "runs").rglob("*.parquet*")]) < 6 and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found, _ = run(stage, tmp_path / "runs")
    assert contents(found) == contents(expected)


def test_a_second_start_keeps_finished_shards(tmp_path, monkeypatch):
    pool = pool_of(tmp_path / "pool", captions(), 4)
    stage = Curate(pool=pool, steps=ARMS["balanced"])
    expected, _ = run(stage, tmp_path / "undisturbed")
    write = passes.Write.handle
    calls = []

    def stopped(self, item):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(item.file)
        return write(self, item)

    monkeypatch.setattr(passes.Write, "handle", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(stage, tmp_path / "runs")
    (begun,) = (tmp_path / "runs" / "Curate").iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in (begun / "rows").iterdir()}
    assert len(before) == 2
    monkeypatch.setattr(passes.Write, "handle", write)
    folder, _ = run(stage, tmp_path / "runs")
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}
    assert len(after) == 4
    assert before.items() <= after.items()
    assert contents(folder) == contents(expected)


LIMITED = """
import resource, sys
sys.path[:0] = {path!r}
import test_curate as t
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    t.run(t.Curate(pool=t.Files({pool!r})), {runs!r})
except t.StageFailedError.__mro__[1] as error:
    print(type(error).__name__, error)
except ValueError as error:
    print(type(error).__name__, error)
    sys.exit(2)
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(tmp_path):
    noise = np.random.default_rng(30).integers(33, 126, (900, 4096), dtype=np.uint8)
    texts = [row.tobytes().decode() for row in noise]
    pool = str(texts_pool(tmp_path / "pool", texts, 1))
    path = [str(Path(__file__).parent), *[entry for entry in sys.path if entry.endswith("src")]]
    script = LIMITED.format(path=path, limit=1_000_000, pool=pool, runs=str(tmp_path / "runs"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "StorageError could not write" in done.stdout
    assert "file too large" in done.stdout
    assert not list((tmp_path / "runs").rglob("rows/*"))
    assert not list((tmp_path / "runs").rglob("done.json"))
    folder, metrics = run(Curate(pool=Files(pool)), tmp_path / "runs")
    assert metrics["rows_out"] == len(ids(folder)) == 900


def test_memory_follows_the_piece(tmp_path):
    # 200,000 rows; one more column of bytes makes pieces of some hundred rows.
    texts = ["a dog and a cat " + str(row) for row in range(2000)]
    pool = pool_of(tmp_path / "pool", texts, 1, image=pa.array([b"x" * 50_000] * 2000, pa.binary()))
    before = pa.total_allocated_bytes()
    peak = pa.default_memory_pool().max_memory()
    folder, _ = run(Curate(pool=pool, steps=(Match(vocabulary=WORDS), Balance(t=500))), tmp_path / "runs")
    assert pa.total_allocated_bytes() - before < 50 << 20
    assert pa.default_memory_pool().max_memory() < max(peak, 500 << 20)
    assert rows(folder).num_rows > 0


def test_what_the_pool_left_out_is_told(tmp_path):
    folder = texts_pool(tmp_path / "pool", captions(20))
    (folder / "notes.txt").write_text("x")
    done, _ = run(Curate(pool=Files(str(folder)), steps=(Match(vocabulary=WORDS),)), tmp_path / "runs")
    assert json.loads((done / "pool.json").read_text())["notes"] == ["left out, not parquet: notes.txt"]


def test_rows_rejected_to_the_last_say_why(tmp_path):
    table = pa.table({"id": pa.array(["", None], pa.string()), "text": ["a dog", "a cat"]})
    pool = Files(str(write_pool(tmp_path / "pool", table)))
    with pytest.raises(InputError, match=r"all 2 rows of pool .* were rejected, the first '00000:0': no id\.$"):
        run(Curate(pool=pool, steps=(Match(vocabulary=WORDS),)), tmp_path / "runs")


def test_pictures_that_are_not_there_to_the_last_say_why(tmp_path):
    table = pa.table({"id": ["1", "2"], "text": ["a dog", "nothing"], "image": ["a.jpg", "b.jpg"]})
    pool = Files(str(write_pool(tmp_path / "pool", table)))
    with pytest.raises(InputError, match=r"no row is left, and 1 rows were rejected, the first '1': file not found\.$"):
        run(Curate(pool=pool, steps=(Match(vocabulary=WORDS),)), tmp_path / "runs")


@dataclass(frozen=True)
class Rewrites:
    """A step during which somebody else writes into the pool."""

    path: str

    columns: ClassVar = ("text",)
    adds: ClassVar = ()

    def __call__(self, table):
        texts = pa.array(["a dog and more"] * table.num_rows)
        pq.write_table(pa.table({"id": table["id"], "text": texts}), self.path)
        return table


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path):
    folder = texts_pool(tmp_path / "pool", captions(20), num_shards=2)
    last = Curate(pool=Files(str(folder)), steps=(Rewrites(str(folder / "00001.parquet")),))
    with pytest.raises(InputError, match=r"00001\.parquet of pool .* changed while being read; run again"):
        run(last, tmp_path / "runs")
    assert not list((tmp_path / "runs").rglob("pool.json"))
    assert not list((tmp_path / "runs").rglob("rows"))


@pytest.mark.parametrize("name", ["a:b", "s3:x", "~", os.fsdecode(b"caf\xe9")])
def test_results_lie_anywhere(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    pool = pool_of(tmp_path / "pool", captions(40), num_shards=2, key=[str(row // 2) for row in range(40)])
    steps = (Match(vocabulary=WORDS), Balance(t=5, by="key"), ShuffleText())
    done, metrics = run(Curate(pool=pool, steps=steps), name)
    assert sum(read_table(path).num_rows for path in (done / "rows").iterdir()) == metrics["rows_out"] > 0
