import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import run

from sensorium.core.errors import InputError, SettingError
from sensorium.core.fingerprint import Fingerprints
from sensorium.curate.metadata import DIGITS, Entries, EntriesFile, Titles, Union, WordNetEntries
from sensorium.curate.vocabulary import Vocabulary


def made(stage, root):
    return Vocabulary.open(run(stage, root)[0])


def test_entries(tmp_path):
    folder, metrics = run(Entries(entries=("dog", " dog", "cat")), tmp_path)
    assert Vocabulary.open(folder).entries.to_pylist() == ["cat", "dog"]
    assert metrics == {"entries": 2, "given": 3, "empty": 0, "merged": 1}


@pytest.mark.parametrize("entries", [(), "dog", None, ("a", 1), ("a", None)])
def test_wrong_entries_are_refused_at_once(entries):
    with pytest.raises(SettingError, match=r"Entries.entries"):
        Entries(entries=entries)


def test_a_file_has_one_entry_per_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffdog\r\ncat\n\n a\u2028b \ndog\nlast".encode())
    vocabulary = made(EntriesFile(path=path), tmp_path / "runs")
    assert vocabulary.entries.to_pylist() == ["a\u2028b", "cat", "dog", "last"]
    assert vocabulary.best_first().to_pylist() == ["dog", "cat", "a\u2028b", "last"]
    assert vocabulary.facts == {"given": 6, "empty": 1, "merged": 1}


def test_a_file_is_known_by_its_content(tmp_path):
    for name, content in (("a", "dog\n"), ("b", "dog\n"), ("c", "cat\n")):
        (tmp_path / name).write_text(content)
    prints = [Fingerprints(stage)[stage] for stage in (EntriesFile(path=tmp_path / name) for name in "abc")]
    assert prints[0] == prints[1] != prints[2]


def test_faults_of_files_are_one_sentence(tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"dog\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"empty\.txt holds no entry"):
        run(EntriesFile(path=tmp_path / "empty.txt"), tmp_path / "runs")
    with pytest.raises(InputError, match=r"line 2 of .*latin\.txt is not UTF-8"):
        run(EntriesFile(path=tmp_path / "latin.txt"), tmp_path / "runs")
    with pytest.raises(InputError, match="there is no file"):
        run(EntriesFile(path=tmp_path / "absent.txt"), tmp_path / "runs")
    with pytest.raises(SettingError, match="must be a path"):
        EntriesFile(path=7)


SYNSETS = [["dog", "hound"], ["hot dog"], ["Paris"], ["St. Louis"], ["physical entity"], ["."], [], ["7"]]


def test_wordnet_from_a_table(tmp_path):
    pq.write_table(pa.table({"lemmas": SYNSETS}), tmp_path / "synsets.parquet")
    vocabulary = made(WordNetEntries(path=tmp_path), tmp_path / "runs")
    assert set(vocabulary.entries.to_pylist()) == {
        *DIGITS,
        "dog",
        "hot dog",
        "paris",
        "st",
        "physical entity",
    }
    plain = made(WordNetEntries(path=tmp_path / "synsets.parquet", digits=False), tmp_path / "runs")
    assert len(plain) == 6


def test_wordnet_from_its_database(tmp_path):
    line = "00001740 03 {kind} 02 {word} 0 thing 0 001 ~ 00001930 n 0000 | that which is\n"
    licence = "  1 This software and database is being provided to you\n"
    for kind, word in (("noun", "hot_dog"), ("verb", "run"), ("adj", "beautiful(a)"), ("adv", "Soon")):
        (tmp_path / f"data.{kind}").write_text(licence + line.format(kind=kind[0], word=word))
    vocabulary = made(WordNetEntries(path=tmp_path, digits=False), tmp_path / "runs")
    assert vocabulary.entries.to_pylist() == ["beautiful", "hot dog", "run", "soon"]


def test_wordnet_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is no WordNet at"):
        WordNetEntries(path=tmp_path)
    monkeypatch.setenv("SENSORIUM_DATA", str(tmp_path))
    monkeypatch.setattr("sensorium.curate.metadata._DEBIAN", tmp_path / "nothing")
    with pytest.raises(InputError, match="SENSORIUM_DATA"):
        run(WordNetEntries(), tmp_path / "runs")
    pq.write_table(pa.table({"words": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no column 'lemmas'"):
        run(WordNetEntries(path=tmp_path / "other.parquet"), tmp_path / "runs")


def test_wordnet_gives_the_published_number(real_data, tmp_path):
    assert len(made(WordNetEntries(path=real_data / "wordnet"), tmp_path)) == 86_654


def test_titles_by_views(tmp_path):
    (tmp_path / "one").write_text(
        "en Hot_dog 60 0\nen Talk:Dog 900 0\nen Rare 49 0\nde Hund 500 0\nbroken\nen X many 0\n"
    )
    with gzip.open(tmp_path / "two.gz", "wt") as file:
        file.write("en Hot_dog 50 0\nen Rare 65 0\nen Cat 70 0\nen ? 900 0\n")
    stage = Titles(path=(tmp_path / "one", tmp_path / "two.gz"))
    assert made(stage, tmp_path / "runs").best_first().to_pylist() == ["Hot dog", "Cat"]
    with pytest.raises(InputError, match="project fr, at least 70 views"):
        run(Titles(path=tmp_path / "one", project="fr"), tmp_path / "runs")
    with pytest.raises(SettingError, match=r"Titles\.min_hour"):
        Titles(path=tmp_path / "one", min_hour=-1)


def test_caps_of_a_union_count_new_entries_only(tmp_path):
    one = Entries(entries=("a", "b"), name="one")
    two = Entries(entries=("b", "d", "a", "c", "e"), name="two")
    vocabulary = made(Union(parts=(one, two), caps=(None, 2)), tmp_path)
    assert vocabulary.best_first().to_pylist() == ["a", "b", "d", "c"]
    assert vocabulary.about()["parts"] == [{"name": "one", "entries": 2}, {"name": "two", "entries": 2}]
    assert len(made(Union(parts=(one, two)), tmp_path)) == 5
    assert len(made(Union(parts=(one, two), caps=(0, 1)), tmp_path)) == 1


def test_wrong_unions_are_refused():
    one = Entries(entries=("a",))
    with pytest.raises(SettingError, match="2 values for 1 parts"):
        Union(parts=(one,), caps=(1, 2))
    with pytest.raises(SettingError, match=r"Union\.parts"):
        Union(parts=())
    with pytest.raises(SettingError, match=r"Union\.caps"):
        Union(parts=(one,), caps=(-1,))
