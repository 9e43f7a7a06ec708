import pytest
from running import run, texts_pool

from sensorium.core.errors import InputError, SettingError
from sensorium.curate.balance import Balance
from sensorium.curate.curate import Curate
from sensorium.curate.explain import explain, explain_in
from sensorium.curate.match import Match
from sensorium.curate.metadata import Entries
from sensorium.curate.vocabulary import Vocabulary
from sensorium.data.sources import Files


def test_matches_counts_and_chances():
    vocabulary = Vocabulary.build([("x", ["dog", "cat", "hot dog"])])
    found = explain("a hot dog, dog", vocabulary, [5, 40, 10], t=10)
    assert [(facts.entry, facts.count, facts.p) for facts in found.entries] == [
        ("dog", 40, 0.25),
        ("hot dog", 10, 1.0),
    ]
    assert [(span.begin, span.end) for span in found.entries[0].spans] == [(6, 9), (11, 14)]
    assert found.keep_probability == 1.0
    assert "p = 0.25" in str(found)
    nothing = explain("cow", vocabulary, [5, 40, 10], t=10)
    assert (nothing.entries, nothing.keep_probability) == ((), 0.0)
    assert "no entry matches" in str(nothing)


def test_wrong_arguments():
    vocabulary = Vocabulary.build([("x", ["dog"])])
    with pytest.raises(InputError, match="2 counts were given for 1 entries"):
        explain("dog", vocabulary, [1, 2], t=1)
    with pytest.raises(SettingError, match="t is 0"):
        explain("dog", vocabulary, [1], t=0)


def test_in_a_finished_pool(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", ["dog"] * 40 + ["dog cat"] * 10)))
    words = Entries(entries=("cat", "dog", "emu"))
    folder, _ = run(Curate(pool=pool, steps=(Match(vocabulary=words), Balance(t=20))), tmp_path / "runs")
    assert explain_in("my dog", folder).keep_probability == pytest.approx(0.4)
    assert explain_in("emu", folder).keep_probability == 1
    matched, _ = run(Curate(pool=pool, steps=(Match(vocabulary=words),)), tmp_path / "runs")
    with pytest.raises(InputError, match="not matched and balanced"):
        explain_in("dog", matched)
