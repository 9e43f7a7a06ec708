from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training_pools import TINY, Finished, tiny, write_pairs

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.fingerprint import Fingerprints
from sensorium.core.stage import Stage, stage
from sensorium.data.order import Draw, Mix
from sensorium.data.sources import Files
from sensorium.data.words import Bytes
from sensorium.models.card import read_card
from sensorium.models.clip import ClipMatcher
from sensorium.models.config_two_tower import ClipConfig, HubTokens, Transformer
from sensorium.models.hub import load
from sensorium.pretrain.config_contrast import ContrastConfig
from sensorium.train.optim import AdamW
from sensorium.train.train import Init, Keeping, Train


@stage
class Kept(Stage):
    """A pool stage that keeps the first rows of another."""

    gives = "pool"
    pool: Files
    rows: int

    def run(self, here):
        table = pa.concat_tables([piece.table for shard in self.pool.shards() for piece in shard.pieces()])
        (here.out / "rows").mkdir()
        kept = table.slice(0, self.rows).append_column("keep", pa.array(np.full(self.rows, 0.5)))
        pq.write_table(kept, here.out / "rows" / "part.parquet")
        files.write_json(here.out / "pool.json", {"attribution": ["Pictures by Somebody, CC BY 4.0"]})
        return {"rows": self.rows}


@pytest.fixture
def pool(tmp_path):
    return write_pairs(tmp_path / "pool", 24)


def refused(stage, root, kind, sentence):
    with pytest.raises(kind, match=sentence):
        Finished(stage, root / "runs")
    left = [path.name for path in (root / "runs" / "Train").rglob("*")]
    assert not {"done.json", "checkpoints", "model.safetensors", "metrics.jsonl"} & set(left)


def test_a_batch_larger_than_the_pool(tmp_path):
    refused(tiny(write_pairs(tmp_path / "p", 5), batch=8), tmp_path, SettingError, "has 5 rows, batch is 8")


def test_an_empty_pool_names_the_stage(pool, tmp_path):
    empty = Kept(pool=pool, rows=0, name="strict filter")
    refused(tiny(empty), tmp_path, InputError, "strict filter has 0 rows")


def test_a_draw_that_gives_less_than_a_batch(pool, tmp_path):
    stage = tiny(Kept(pool=pool, rows=6, name="few"), order=Draw("keep"))
    refused(stage, tmp_path, SettingError, "an epoch draws 3.0 rows of pool few on average, batch is 4")


def test_a_column_that_is_missing(tmp_path):
    (tmp_path / "p").mkdir()
    pq.write_table(pa.table({"id": ["a"], "caption": ["x"], "image": [b""]}), tmp_path / "p" / "s.parquet")
    refused(tiny(Files(str(tmp_path / "p"))), tmp_path, InputError, "has no column 'text'")


def test_a_pool_stage_and_its_card(pool, tmp_path):
    kept = Kept(pool=pool, rows=20, name="kept")
    done = Finished(tiny(kept, name="small clip", order=Draw("keep")), tmp_path / "runs")
    card = read_card(done.folder)
    assert card.made_by == "small clip"
    assert card.data == ("kept",)
    assert card.attribution == ("Pictures by Somebody, CC BY 4.0",)
    assert done.metrics["rows"] == 20


def test_a_small_clip_trains_and_is_read_as_a_released_model(pool, tmp_path):
    tower = Transformer(width=8, layers=1, heads=2)
    tokens = Bytes(vocabulary=260, length=12)
    config = ClipConfig(size=16, patch=8, vision=tower, text=tower, dim=4, vocabulary=260, context=12, tokens=tokens)
    done = Finished(tiny(pool, config=ContrastConfig(towers=config), updates=4), tmp_path / "runs")
    matcher = load(done.folder, devices=0)
    assert isinstance(matcher, ClipMatcher)
    assert matcher.score([np.zeros((16, 16, 3), np.uint8)], ["colour 1", "colour 2"]).shape == (1, 2)
    assert read_card(done.folder).does == ("embed", "classify")


def test_a_missing_tokenizer_is_said_before_the_pool_is_read(pool, tmp_path):
    config = ClipConfig(tokens=HubTokens(name="nobody/nothing"))
    stage = tiny(pool, config=ContrastConfig(towers=config))
    refused(stage, tmp_path, InputError, "the tokenizer nobody/nothing is no folder here")


def test_a_mix_of_two_pools(pool, tmp_path):
    other = write_pairs(tmp_path / "other", 10)
    other = Files(other.uri, ids="content")
    stage = tiny({"new": pool, "seen": other}, order=Mix({"new": 0.5, "seen": 0.5}), batch=8)
    done = Finished(stage, tmp_path / "runs")
    new = sum(name.startswith("p0") for line in done.lines for name in line["ids"])
    assert new == pytest.approx(96, abs=30)
    assert done.metrics["rows"] == 34


def test_accumulation_is_refused_for_in_batch_negatives(pool):
    with pytest.raises(SettingError, match="accumulate=2 would compare each example with its own piece"):
        tiny(pool, accumulate=2)


def test_a_run_starts_from_a_model(pool):
    for wrong in (pool, "mine", None):
        with pytest.raises(SettingError, match="starts from a stage that gives a model, or from HubModel"):
            Init(wrong)
    assert Init(tiny(pool)).model.gives == "model"


def test_a_batch_of_one_has_nothing_to_compare(pool):
    with pytest.raises(SettingError, match="batch is at least 2 here"):
        tiny(pool, batch=1)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"batch": 0}, "batch is at least 1"),
        ({"updates": 0}, "updates is at least 1"),
        ({"optim": AdamW(warmup=24)}, "leaves nothing of 24 updates"),
    ],
)
def test_bad_settings(pool, bad, sentence):
    with pytest.raises(SettingError, match=sentence):
        tiny(pool, **bad)


def test_bad_keeping():
    with pytest.raises(SettingError, match="at least 1, not 0 and 2"):
        Keeping(checkpoint_every=0)


def test_only_what_changes_a_result_is_identity(pool):
    def fingerprint(**settings):
        last = tiny(pool, **settings)
        return Fingerprints(last)[last]

    base = fingerprint()
    assert fingerprint(keeping=Keeping(checkpoint_every=7, memory_bytes=1)) == base
    assert fingerprint(name="other") == base
    changed = [
        {"updates": 25},
        {"seed": 1},
        {"batch": 5},
        {"optim": AdamW(lr=5e-3, warmup=3, weight_decay=0.05, clip=1.0)},
        {"order": Draw("keep")},
        {"config": ContrastConfig(towers=TINY, max_scale=50)},
    ]
    assert len({fingerprint(**settings) for settings in changed} | {base}) == len(changed) + 1


def test_the_stage_needs_no_torch_until_it_runs():
    code = (
        "import sys; import sensorium.train.train; "
        "print([name for name in ('torch', 'transformers', 'lightning_fabric') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_objective_of_the_users_own_runs(tmp_path):
    @dataclass(frozen=True)
    class Own:
        in_batch_negatives: bool = False

    with pytest.raises(SettingError, match="takes a stage that gives pool"):
        Train(pool="folder", objective=Own(), prepare=None)
