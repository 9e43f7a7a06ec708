"""EntriesOf: a vocabulary from anything that lists entries."""

from dataclasses import dataclass

import pytest
from running import run

from sensorium.core.errors import SettingError
from sensorium.core.fingerprint import Fingerprints
from sensorium.curate.entries_of import EntriesOf
from sensorium.curate.vocabulary import Vocabulary


@dataclass(frozen=True)
class Table:
    """A source of entries."""

    words: tuple[str, ...]

    def identity(self):
        return list(self.words)

    def entries(self):
        return {"en": self.words, "de": ["Hund"]}


def test_entries_of_all_parts_are_there_once(tmp_path):
    folder, metrics = run(EntriesOf(source=Table(("dog", "cat", "dog"))), tmp_path)
    vocabulary = Vocabulary.open(folder)
    assert sorted(vocabulary[number] for number in range(len(vocabulary))) == ["Hund", "cat", "dog"]
    assert metrics["entries"] == 3


def test_other_entries_are_another_result():
    first, second = EntriesOf(source=Table(("dog",))), EntriesOf(source=Table(("cat",)))
    prints = Fingerprints(first, second)
    assert prints[first] != prints[second]


def test_what_lists_nothing_is_refused():
    with pytest.raises(SettingError, match="needs identity"):
        EntriesOf(source=("dog",))
