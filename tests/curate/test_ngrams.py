import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import run, texts_pool

from sensorium.core.errors import InputError, SettingError
from sensorium.curate.ngrams import NGrams, count_piece
from sensorium.curate.vocabulary import Vocabulary
from sensorium.data.sources import Files

CORPUS = [
    "new york is a city",
    "the city of new york, york",
    "a new city",
    "york (new york)",
    None,
    "",
    "the new york",
] * 3


def best(stage, root):
    return Vocabulary.open(run(stage, root)[0]).best_first().to_pylist()


def test_words_by_count_then_pairs_by_information(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", CORPUS)))
    found = best(NGrams(pool=pool, min_count=6, pair_min_count=6, top_k=2), tmp_path / "runs")
    # york 18, new 15, city 9, a 6, the 6; pairs "new york" 12 and the rest below 6.
    assert found == ["york", "new", "city", "a", "the", "new york"]
    assert best(NGrams(pool=pool, min_count=6, top_k=0), tmp_path / "runs") == [
        "york",
        "new",
        "city",
        "a",
        "the",
    ]
    pairs = best(NGrams(pool=pool, words=False, top_k=1, pair_min_count=3), tmp_path / "runs")
    assert len(pairs) == 1


def test_information_is_the_formula(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", CORPUS)))
    words = [text.replace(",", " , ").replace("(", " ( ").replace(")", " ) ").split() for text in CORPUS if text]
    flat = [word for text in words for word in text if word not in ",()"]
    count = {word: flat.count(word) for word in flat}
    pairs = [f"{a} {b}" for text in words for a, b in itertools.pairwise(text) if not {a, b} & set(",()")]

    def information(pair):
        first, second = pair.split()
        return math.log2(pairs.count(pair) * len(flat) / (count[first] * count[second]))

    limit = 2.0
    expected = sorted(
        {pair for pair in pairs if information(pair) >= limit}, key=lambda pair: (-information(pair), pair)
    )
    stage = NGrams(pool=pool, words=False, pmi_min=limit, top_k=None, pair_min_count=1)
    assert best(stage, tmp_path / "runs") == expected


def test_scripts_without_blanks(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", ["犬猫", "犬猫。猫犬", "a犬"])))
    found = best(NGrams(pool=pool, min_count=1, pair_min_count=1), tmp_path / "runs")
    assert found[:2] == ["犬", "猫"]
    assert set(found[3:]) == {"犬猫", "猫犬", "a犬"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ab c,犬", max_size=12), min_size=1, max_size=10))
def test_counts_equal_a_scan(pool):
    import pyarrow as pa

    words, pairs = count_piece(pa.array(pool))
    flat = {}
    for text in pool:
        for word in text.replace(",", " ").replace("犬", " 犬 ").split():
            flat[word] = flat.get(word, 0) + 1
    assert dict(zip(words["word"].to_pylist(), words["count"].to_pylist(), strict=True)) == flat
    assert sum(pairs["count"].to_pylist()) <= max(0, sum(flat.values()))


def test_shards_have_no_influence(tmp_path):
    hashes = []
    for number in (1, 3, 7):
        pool = Files(str(texts_pool(tmp_path / f"pool{number}", CORPUS, number)))
        folder, metrics = run(NGrams(pool=pool, min_count=2, pair_min_count=2), tmp_path / f"runs{number}")
        assert metrics["corpus_words"] == 60
        assert not (folder / "work").exists()
        hashes.append(Vocabulary.open(folder).sha256)
    assert len(set(hashes)) == 1


def test_a_limit_that_no_pair_can_reach_is_refused(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", CORPUS)))
    with pytest.raises(InputError, match=r"PMI cannot exceed log2 of all 60 words, 5.9"):
        run(NGrams(pool=pool, pmi_min=30), tmp_path / "runs")


def test_a_corpus_without_frequent_words(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", ["one two", "three"])))
    with pytest.raises(InputError, match="at least 100 occurrences among 3"):
        run(NGrams(pool=pool), tmp_path / "runs")


@pytest.mark.parametrize(
    "wrong", [{"min_count": 0}, {"top_k": -1}, {"pmi_min": math.inf}, {"words": False, "top_k": 0}]
)
def test_wrong_settings(wrong, tmp_path):
    with pytest.raises(SettingError, match="NGrams"):
        NGrams(pool=Files("x"), **wrong)
