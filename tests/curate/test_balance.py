import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import run, texts_pool

from sensorium.core.errors import InputError, SettingError
from sensorium.curate.balance import (
    Balance,
    DrawText,
    entry_probability,
    hash_order,
    keep_probability,
    tail_share,
    tail_threshold,
)
from sensorium.curate.curate import Curate
from sensorium.curate.match import Match
from sensorium.curate.metadata import Entries
from sensorium.curate.steps import expand
from sensorium.data.chance import hash_ids, uniform
from sensorium.data.sources import Files

lists = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=5).map(sorted), max_size=40)


def table_of(matches, **columns):
    ids = [f"r{number}" for number in range(len(matches))]
    return pa.table({"id": ids, "matches": pa.array(matches, pa.list_(pa.int32())), **columns})


def finished(step, *tables):
    """The finished state, as the driver gets it."""
    fold, state = step, None
    while fold is not None:
        state = fold.finish(fold.merge([fold.measure(table) for table in tables]))
        fold = step.then(state)
    return state


def slow_probability(matches, counts, t):
    miss = 1.0
    for entry in matches:
        miss *= 1.0 - (1.0 if counts[entry] < t else t / counts[entry])
    return 1.0 - miss if matches else 0.0


@given(lists, st.integers(1, 12))
def test_probabilities_equal_the_formula(matches, t):
    table = table_of(matches)
    counts = Balance(t=t).measure(table)["counts"]
    expected = np.zeros(10, int)
    for row in matches:
        for entry in row:
            expected[entry] += 1
    assert counts.tolist() == expected[: len(counts)].tolist()
    assert expected[len(counts) :].sum() == 0
    column = table["matches"].combine_chunks()
    found = keep_probability(column, entry_probability(expected, t))
    np.testing.assert_allclose(found, [slow_probability(row, expected, t) for row in matches], rtol=0, atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()


@given(lists, st.integers(1, 12), st.integers(0, 40), st.integers(0, 3))
def test_parts_and_neighbours_have_no_influence(matches, t, cut, seed):
    if not any(matches):
        return
    table, step = table_of(matches), Balance(t=t, seed=seed)
    whole = finished(step, table)
    parts = finished(step, table.slice(cut), table.slice(0, cut))
    assert whole["counts"].tolist() == parts["counts"].tolist()
    kept = step.apply(whole, table)
    cuts = pa.concat_tables([step.apply(parts, table.slice(0, cut)), step.apply(parts, table.slice(cut))])
    assert kept.equals(cuts.select(kept.column_names))


def test_coins_are_hashes_of_the_id():
    matches = [[0]] * 50 + [[0, 1]] * 20 + [[]] * 5
    table, step = table_of(matches), Balance(t=10, seed=3, epoch=2)
    result = step.apply(finished(step, table), table)
    probability = np.array([slow_probability(row, {0: 70, 1: 20}, 10) for row in matches])
    coins = uniform(hash_ids(table["id"]), 3, "balance", 2)
    expected = [None if coin < p else "balanced away" for coin, p in zip(coins, probability, strict=True)]
    assert result["dropped"].to_pylist() == expected[:70] + ["no match"] * 5
    np.testing.assert_allclose(result["keep_probability"], probability)
    other = Balance(t=10, seed=3, epoch=3)
    assert other.apply(finished(other, table), table)["dropped"].to_pylist() != result["dropped"].to_pylist()


def test_size_is_the_expectation_over_many_seeds():
    generator = np.random.default_rng(0)
    matches = [sorted({int(entry) for entry in generator.zipf(1.3, 2) if entry < 200}) for _ in range(3000)]
    table = table_of(matches)
    scores = []
    for seed in range(40):
        step = Balance(t=20, seed=seed)
        result = step.apply(finished(step, table), table)
        p = result["keep_probability"].to_numpy()
        scores.append((result["dropped"].null_count - p.sum()) / np.sqrt((p * (1 - p)).sum()))
    assert abs(np.mean(scores)) < 0.6
    assert 0.6 < np.std(scores) < 1.4


def test_an_entry_with_exactly_t_texts_keeps_all():
    assert entry_probability(np.array([0, 99, 100, 200]), 100).tolist() == [1, 1, 1, 0.5]


@pytest.mark.parametrize("size", [3, 10, 57, 120, 199, 200])
def test_size_finds_the_nearest_threshold(size):
    generator = np.random.default_rng(1)
    matches = [[int(entry)] for entry in np.sort(generator.zipf(1.5, 200).clip(max=40))]
    table, step = table_of(matches), Balance(size=size)
    counts = np.bincount([row[0] for row in matches])
    column = table["matches"].combine_chunks()
    expected = {t: keep_probability(column, entry_probability(counts, t)).sum() for t in range(1, counts.max() + 2)}
    if expected[1] > size + 1:
        with pytest.raises(InputError, match="t = 1 keeps"):
            finished(step, table)
        return
    state = finished(step, table.slice(90), table.slice(0, 90))
    assert abs(expected[state["t"]] - size) <= min(abs(value - size) for value in expected.values()) + 1e-6


def test_size_needs_few_looks_at_a_large_pool():
    matches = [[0, 1]] * 90_000 + [[0]] * 10_000
    table, step = table_of(matches), Balance(size=50_000)
    looks, fold, state = 0, step, None
    while fold is not None:
        state = fold.finish(fold.merge([fold.measure(table)]))
        fold, looks = step.then(state), looks + 1
    assert looks <= 6
    probability = keep_probability(table["matches"].combine_chunks(), entry_probability(state["counts"], state["t"]))
    assert abs(probability.sum() - 50_000) < 2


def test_more_than_there_is_cannot_be_kept():
    with pytest.raises(InputError, match="only 2 rows have a match; give at most 2"):
        finished(Balance(size=3), table_of([[0], [0], []]))
    with pytest.raises(InputError, match="none of the 1 rows"):
        finished(Balance(t=1), table_of([[]]))


def test_tail_share_and_its_threshold():
    counts = np.array([1, 1, 2, 4, 8, 0])
    assert [tail_share(counts, t) for t in (1, 2, 3, 5, 9)] == [0, 2 / 16, 4 / 16, 8 / 16, 1]
    assert tail_threshold(counts, 0.26) == 4
    assert tail_threshold(counts, 0.01) == 1
    assert tail_threshold(counts, 0.99) == 9
    assert tail_share(np.zeros(3, int), 5) == 0
    state = finished(Balance(tail=0.13), table_of([[4]] * 8 + [[3]] * 4 + [[2]] * 2 + [[1], [0]]))
    assert state["t"] == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"t": 0},
        {"t": -5},
        {"t": 1e3},
        {"t": True},
        {"t": "abc"},
        {"size": 0},
        {"tail": 0.0},
        {"tail": 1},
        {"t": 1, "seed": 0.5},
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(settings):
    with pytest.raises(SettingError, match="must be a") as caught:
        Balance(**settings)
    assert str(caught.value).count("\n") == 0


def test_exactly_one_rule_for_the_threshold():
    with pytest.raises(SettingError, match="not none"):
        Balance()
    with pytest.raises(SettingError, match="not t and size"):
        Balance(t=1, size=2)


def test_one_text_of_an_image_is_drawn_uniformly():
    drawn = np.zeros(3)
    table = pa.table({"id": ["a", "b", "c", "d", "e"], "key": ["x", "x", "x", "y", None]})
    for seed in range(600):
        result = DrawText(seed=seed).gather(table)["drawn"].to_pylist()
        assert sum(result[:3]) == 1
        assert result[3:] == [True, True]
        drawn += result[:3]
    assert (np.abs(drawn - 200) < 60).all()


@given(st.lists(st.sampled_from(["x", "y", "z", None]), max_size=20), st.randoms())
def test_the_drawn_text_does_not_depend_on_the_order(keys, random):
    table = pa.table({"id": [str(number) for number in range(len(keys))], "key": pa.array(keys, pa.string())})
    order = list(range(len(keys)))
    random.shuffle(order)
    one = DrawText().gather(table)
    other = DrawText().gather(table.take(pa.array(order, pa.int64())))
    pick = {row["id"] for row in one.to_pylist() if row["drawn"]}
    assert pick == {row["id"] for row in other.to_pylist() if row["drawn"]}
    assert len(pick) == len({key for key in keys if key}) + keys.count(None)


def test_with_images_counts_are_over_all_texts_and_one_text_stays():
    draw, balance = expand([Balance(t=2, by="key")])
    assert isinstance(draw, DrawText)
    table = table_of([[0], [0], [0], [0, 1]], drawn=pa.array([True, False, True, True]))
    state = finished(balance, table)
    assert state["counts"].tolist() == [4, 1]
    assert state["matched"] == 3
    result = balance.apply(state, table)
    assert result["dropped"][1].as_py() == "another text of its image was drawn"
    assert result["keep_probability"].to_pylist() == [0.5, 0.5, 0.5, 1]


def test_hash_order_falls_back_on_ids():
    ids = pa.array(["c", "a", "b"])
    assert hash_order(ids, np.array([1, 1, 0], np.uint64)).tolist() == [2, 1, 0]


def test_no_row_wins_its_coin(tmp_path):
    pool = Files(str(texts_pool(tmp_path / "pool", ["a dog"] * 500)))
    words = Match(vocabulary=Entries(entries=("dog",)))
    never = next(seed for seed in range(100) if not wins(500, seed))
    with pytest.raises(InputError, match=r"with t = 1 balancing kept none of the rows that match"):
        run(Curate(pool=pool, steps=(words, Balance(t=1, seed=never))), tmp_path / "runs")


def wins(number, seed):
    """Rows r0000, r0001, ... that are kept with a chance of 1 in `number`."""
    names = pa.array([f"r{row:04d}" for row in range(number)])
    return int((uniform(hash_ids(names), seed, "balance", 0) < 1 / number).sum())
