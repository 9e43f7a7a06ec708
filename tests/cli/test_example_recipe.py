from __future__ import annotations

import pyarrow as pa
import pytest

import sensorium as sm
from sensorium.cli import example_recipe
from sensorium.cli.example_recipe import Captions, EnoughWords, mini
from sensorium.curate.steps import kind_of
from sensorium.engine.machine import Machine


def test_few_words_are_dropped_and_every_row_stays_in_the_table():
    table = pa.table({"id": ["0", "1", "2", "3"], "text": ["a red dog", "dog", None, "  a  dog  here "]})
    kept = EnoughWords(words=3)(table)
    assert kept["id"].equals(table["id"])
    assert kept["dropped"].to_pylist() == [None, "too few words", "too few words", None]
    assert kind_of(EnoughWords()) == "step"


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_pieces_change_nothing(pieces):
    texts = ["a dog", "a red dog", "", "one two three four"] * 5
    table = pa.table({"id": [str(row) for row in range(20)], "text": texts})
    parts = [EnoughWords()(table.slice(start, 7)) for start in range(0, 20, pieces)]
    whole = EnoughWords()(table)["dropped"].to_pylist()
    assert [parts[row // pieces]["dropped"][row % pieces].as_py() for row in range(20)] == whole


def test_captions_are_frequent_and_rare(tmp_path):
    result = sm.run(Captions(rows=400), out=tmp_path / "runs", machine=Machine(), quiet=True)
    texts = result.table()["text"].to_pylist()
    count = [sum(thing in text for text in texts) for thing in example_recipe.THINGS]
    assert sum(count) == 400
    assert count[0] > 3 * count[-1] > 0


def test_the_graph_is_built_without_running_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mini(seed=3).gives == "pool"
    assert not list(tmp_path.iterdir())
