"""HoldOut: two parts that never meet, whatever the shards."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import run, texts_pool

from sensorium.core.errors import InputError, SettingError
from sensorium.curate.balance import DrawText
from sensorium.curate.curate import Curate
from sensorium.curate.split import HoldOut
from sensorium.data.sources import Files


def kept(table, **settings):
    reasons = HoldOut(**settings)(table)["dropped"].to_pylist()
    return {name for name, reason in zip(table["id"].to_pylist(), reasons, strict=True) if reason is None}


def table(count, **columns):
    return pa.table({"id": [f"r{number}" for number in range(count)], **columns})


def test_the_parts_are_a_partition_and_the_share_is_kept():
    pool = table(20_000)
    held, rest = kept(pool, part="held", share=0.1), kept(pool, part="rest", share=0.1)
    assert held | rest == set(pool["id"].to_pylist())
    assert not held & rest
    assert 0.09 < len(held) / 20_000 < 0.11


def test_equal_texts_stay_together():
    pool = table(400, text=[f"caption {number % 40}" for number in range(400)])
    held, rest = kept(pool, part="held", share=0.3, by="text"), kept(pool, part="rest", share=0.3, by="text")
    texts = dict(zip(pool["id"].to_pylist(), pool["text"].to_pylist(), strict=True))
    assert {texts[name] for name in held}.isdisjoint({texts[name] for name in rest})


def test_rows_without_a_value_go_by_their_id():
    pool = table(400, key=pa.array([None] * 400, pa.string()))
    assert kept(pool, part="held", share=0.3, by="key") == kept(pool, part="held", share=0.3)


@settings(max_examples=20, deadline=None)
@given(st.permutations(list(range(30))), st.integers(1, 29))
def test_order_and_shards_do_not_matter(places, cut):
    pool = table(30)
    turned = pool.take(pa.array(places))
    whole = kept(pool, part="held", share=0.4)
    assert kept(turned.slice(0, cut), part="held", share=0.4) | kept(turned.slice(cut), part="held", share=0.4) == whole


def test_another_seed_gives_other_parts():
    pool = table(200)
    assert kept(pool, part="held", share=0.5, seed=1) != kept(pool, part="held", share=0.5, seed=2)


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.0}, {"part": "test"}])
def test_bad_settings_are_refused(wrong):
    with pytest.raises(SettingError):
        HoldOut(**wrong)


@pytest.mark.parametrize("step", [HoldOut(by="tags"), DrawText(by="tags")])
def test_lists_have_no_equals(tmp_path, step):
    pool = Files(str(texts_pool(tmp_path / "pool", ["a", "b"], tags=[["x"], ["x"]])))
    with pytest.raises(InputError, match=r"^column 'tags' is list<element: string>; it must be text or numbers"):
        run(Curate(pool=pool, steps=(step,)), tmp_path / "runs")
