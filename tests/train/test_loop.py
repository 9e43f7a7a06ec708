from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from training_pools import TINY, Finished, digest, lines, tiny, write_pairs

from sensorium.core.errors import SettingError, StageFailedError
from sensorium.core.execute import Plan
from sensorium.core.store import Store
from sensorium.data.prepare import Columns
from sensorium.data.sources import Files
from sensorium.models.two_tower import TwoTower
from sensorium.train import loop
from sensorium.train.objective import Group, Objective, Turn
from sensorium.train.optim import AdamW
from sensorium.train.train import Init, Keeping, Train
from sensorium.train.watch import Watch


def test_killed_runs_end_with_the_same_bits(tmp_path):
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, script, tmp_path, "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("kills") >= 5
    whole = found["undisturbed"]
    for run in found.values():
        assert run["weights"] == whole["weights"]
        assert run["metrics"] == whole["metrics"]
        assert run["updates"] == list(range(1, 25))
        assert run["checkpoints"] == [22, 24], "every file under a final name can be read"
    ids = [name for batch in whole["ids"] for name in batch]
    assert sorted(ids[:64]) == [f"p{row:04d}" for row in range(64)], "each row once an epoch"
    assert len(set(ids[64:])) == 32


@pytest.fixture
def pool(tmp_path):
    return write_pairs(tmp_path / "pool", 24)


def test_training_learns_and_says_what_it_did(tmp_path):
    pool = write_pairs(tmp_path / "pool", 48)
    done = Finished(tiny(pool, batch=12, updates=60), tmp_path / "runs")
    assert done.metrics["updates"] == 60
    assert done.metrics["examples"] == 720
    assert done.metrics["rows"] == 48
    assert done.metrics["skipped"] == done.metrics["rejected"] == done.metrics["replaced"] == 0
    assert done.metrics["parameters"] == sum(p.numel() for p in TwoTower(TINY).parameters())
    assert done.metrics["loss"] < 0.8 * done.lines[0]["loss"]
    assert done.metrics["loss"] == pytest.approx(np.mean([line["loss"] for line in done.lines[-50:]]))
    assert [line["examples"] for line in done.lines] == [12 * (update + 1) for update in range(60)]
    assert done.lines[0]["watch/scale"] == pytest.approx(1 / 0.07, rel=1e-3)
    assert TwoTower.from_folder(done.folder, devices=0).embed_texts(["colour 3"]).shape == (1, 6)


def test_flops_are_those_of_the_formula(pool, tmp_path):
    metrics = Finished(tiny(pool, updates=5), tmp_path / "runs").metrics
    forward = 2 * 4 * (8 * 8 * 4 * 27 + 4 * 4 * 8 * 36 + 128 * 12 + 12 * 6 + 8 * 10 + 10 * 6)
    # Backward costs twice the forward, less the gradient of the pictures that nobody asks for.
    towers = 3 * forward - 2 * 4 * 8 * 8 * 4 * 27
    losses = 2 * (2 * 4 * 4 * 6) * 4  # each direction: logits, again in the backward pass, and two gradients
    assert metrics["flops"] == 5 * (towers + losses)


def test_shards_threads_of_loading_and_memory_change_nothing(tmp_path):
    digests = set()
    for number, (shards, workers, memory) in enumerate([(1, 1, 1 << 30), (3, 3, 1 << 30), (7, 2, 2000)]):
        pool = write_pairs(tmp_path / f"pool{number}", 24, num_shards=shards)
        machine = loop_machine(workers)
        stage = tiny(pool, keeping=Keeping(memory_bytes=memory))
        done = Finished(stage, tmp_path / f"runs{number}", machine)
        digests.add(digest(done.folder / "model.safetensors"))
        assert not (done.folder / "rows").exists(), "the mapped file is not kept"
        assert any("rows are read from a file" in line for line in done.sentences) == (memory == 2000)
    assert len(digests) == 1


def loop_machine(workers):
    from sensorium.engine.machine import Machine

    return Machine(devices=0, threads=1, workers=workers)


def test_the_length_of_a_run_is_part_of_what_it_is(pool, tmp_path):
    store = Store(tmp_path / "runs")
    folders = {Plan((tiny(pool, updates=updates),), store, loop_machine(1)).order[0] for updates in (20, 40)}
    plans = [Plan((tiny(pool, updates=updates),), store, loop_machine(1)) for updates in (20, 40)]
    assert len(folders) == 2
    assert plans[0].folder(plans[0].last[0]) != plans[1].folder(plans[1].last[0])
    keeping = Plan((tiny(pool, updates=20, keeping=Keeping(checkpoint_every=7)),), store, loop_machine(1))
    assert keeping.folder(keeping.last[0]) == plans[0].folder(plans[0].last[0])


def flipped(content):
    """One bit of the last tensor."""
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"", flipped])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(pool, tmp_path, damage):
    stage = tiny(pool, updates=20, keeping=Keeping(checkpoint_every=5))
    whole = Finished(stage, tmp_path / "whole")
    broken = Finished(stage, tmp_path / "broken")
    newest = broken.folder / "checkpoints" / "update-00000020.safetensors"
    content = newest.read_bytes()
    newest.write_bytes(damage(content))
    for name in ("done.json", "model.safetensors"):
        (broken.folder / name).unlink()
    again = Finished(stage, tmp_path / "broken")
    assert any("update-00000020.safetensors" in line and "update-00000015" in line for line in again.sentences)
    assert digest(again.folder / "model.safetensors") == digest(whole.folder / "model.safetensors")
    assert [line["update"] for line in again.lines] == list(range(1, 21))
    for path in (again.folder / "checkpoints").iterdir():
        path.write_bytes(b"")
    (again.folder / "done.json").unlink()
    with pytest.raises(StageFailedError, match=r"no checkpoint in .* can be read"):
        Finished(stage, tmp_path / "broken")


def test_rows_that_cannot_be_decoded_are_replaced_and_listed(tmp_path):
    broken = {3: b"", 8: b"not a picture"}
    pool = write_pairs(tmp_path / "pool", 24, broken=broken)
    done = Finished(tiny(pool, updates=12), tmp_path / "runs")
    rejected = pq.read_table(done.folder / "rejected" / "rows.parquet").to_pylist()
    assert [row["id"] for row in rejected] == ["p0003", "p0008"]
    assert all(row["reason"] for row in rejected)
    assert done.metrics["rejected"] == 2
    assert done.metrics["replaced"] == 4, "two rows in two epochs"
    seen = Counter(name for line in done.lines for name in line["ids"])
    assert not seen.keys() & {"p0003", "p0008"}
    assert sum(seen.values()) == 48
    again = Finished(tiny(pool, updates=12), tmp_path / "again", loop_machine(3))
    assert [line["ids"] for line in again.lines] == [line["ids"] for line in done.lines]


def test_a_pool_of_broken_rows_stops(tmp_path):
    pool = write_pairs(tmp_path / "pool", 8, broken={row: b"x" for row in range(8)})
    with pytest.raises(StageFailedError, match="none of 100 rows could be decoded"):
        Finished(tiny(pool), tmp_path / "runs")


# --- objectives that are simpler than two towers


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Settings of a straight line through points."""

    in_batch_negatives: bool = False
    kind: str = "Line"
    scale: float = 1.0

    def build(self):
        return globals()[self.kind](self)


class Line(Objective):
    """Least squares; exports itself."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.slope = nn.Parameter(torch.zeros(1, 1))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, batch: Mapping, clock) -> Mapping:
        error = batch["x"][:, None] @ self.slope - batch["y"][:, None]
        noise = torch.rand(())
        return {"square": (error**2).mean() * self.config.scale, "watch/noise": noise}

    def after_update(self, clock):
        self.seen += 1

    def finished(self):
        return {"": self}

    def save(self, folder):
        (folder / "line.json").write_text(json.dumps({"slope": self.slope.item(), "seen": self.seen.item()}))


class Words(Line):
    """Terms that are means over words, of which `x` says how many each row has."""

    def forward(self, batch, clock):
        weights = batch["x"]
        return {"words": ((self.slope[0, 0] - batch["y"]) ** 2 * weights).sum() / weights.sum()}

    def units(self, batch):
        return batch["x"].sum()


class Game(Line):
    """Two players: one raises what the other lowers, with rates of their own."""

    def __init__(self, config):
        super().__init__(config)
        self.other = nn.Parameter(torch.ones(1, 1))

    def forward(self, batch, clock):
        return {
            "low": ((self.slope - self.other) ** 2).sum(),
            "high": -(self.other * self.slope.detach()).sum(),
        }

    def turns(self):
        return (
            Turn(name="one", groups=(Group(parameters=[self.slope]),), terms=("low",)),
            Turn(
                name="two",
                groups=(Group(parameters=[self.other], lr=0.5),),
                optimizer=AdamW(lr=0.1),
                terms=("high",),
            ),
        )

    def save(self, folder):
        (folder / "line.json").write_text(json.dumps({"slope": self.slope.item(), "other": self.other.item()}))


def write_points(folder: Path, x, y) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"p{row:03d}" for row in range(len(x))]
    pq.write_table(pa.table({"id": ids, "x": np.asarray(x, float), "y": np.asarray(y, float)}), folder / "s.parquet")
    return Files(str(folder))


def line_stage(pool, **settings):
    settings = {"batch": 4, "updates": 12, "optim": AdamW(lr=0.05, schedule="constant"), **settings}
    config = settings.pop("objective", Lines())
    return Train(pool=pool, objective=config, prepare=Columns(("x", "y")), **settings)


def saved(done):
    return json.loads((done.folder / "line.json").read_text())


def test_buffers_and_noise_go_on_after_a_restart(tmp_path, monkeypatch):
    pool = write_points(tmp_path / "pool", range(16), range(16))
    stage = line_stage(pool, keeping=Keeping(checkpoint_every=3))
    whole = Finished(stage, tmp_path / "whole")
    finish = loop.Loop._finish

    def once(self):
        raise KeyboardInterrupt

    update = loop.Loop._one_update

    def stop_at_8(self, batch):
        if self.update == 8:
            raise KeyboardInterrupt
        update(self, batch)

    monkeypatch.setattr(loop.Loop, "_one_update", stop_at_8)
    with pytest.raises(KeyboardInterrupt):
        Finished(stage, tmp_path / "again")
    monkeypatch.setattr(loop.Loop, "_one_update", update)
    monkeypatch.setattr(loop.Loop, "_finish", once)
    with pytest.raises(KeyboardInterrupt):
        Finished(stage, tmp_path / "again")
    monkeypatch.setattr(loop.Loop, "_finish", finish)
    again = Finished(stage, tmp_path / "again")
    assert saved(again) == saved(whole)
    assert saved(again)["seen"] == 12
    assert again.lines == whole.lines
    assert len({line["watch/noise"] for line in whole.lines}) == 12


def test_accumulated_pieces_weigh_by_what_their_means_are_over(tmp_path):
    pool = write_points(tmp_path / "pool", [2, 3, 5, 200, 7, 1, 11, 40], np.arange(8))
    whole = Finished(line_stage(pool, objective=Lines(kind="Words"), batch=8), tmp_path / "whole")
    cut = Finished(line_stage(pool, objective=Lines(kind="Words"), batch=8, accumulate=4), tmp_path / "cut")
    for one, other in zip(whole.lines, cut.lines, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["gradient"] == pytest.approx(other["gradient"], rel=1e-5)
    assert saved(cut)["slope"] == pytest.approx(saved(whole)["slope"], rel=1e-5)


def test_updates_that_are_not_finite_change_nothing_and_are_counted(tmp_path):
    y = np.arange(16.0)
    y[5] = 1e30  # its square overflows
    pool = write_points(tmp_path / "pool", np.ones(16), y)
    done = Finished(line_stage(pool), tmp_path / "runs")
    assert done.metrics["skipped"] == 3, "once an epoch"
    bad = [line for line in done.lines if line.get("skipped")]
    assert all("p005" in line["ids"] and line["loss"] is None for line in bad)
    assert all(np.isfinite(line["loss"]) for line in done.lines if line not in bad)
    assert np.isfinite(done.metrics["loss"])
    assert np.isfinite(saved(done)["slope"])


def test_a_short_run_that_learned_nothing_is_no_success(tmp_path):
    pool = write_points(tmp_path / "pool", np.ones(8), np.full(8, 1e30))
    stage = line_stage(pool, updates=4)
    with pytest.raises(StageFailedError, match="not finite in any of the 4 updates, so nothing was learned"):
        Finished(stage, tmp_path / "runs")
    with pytest.raises(StageFailedError, match="nothing was learned"):
        Finished(stage, tmp_path / "runs")  # also when it goes on from the last checkpoint
    assert not list((tmp_path / "runs").rglob("done.json"))


def test_ten_in_a_row_stop_the_run_with_the_ids(tmp_path):
    pool = write_points(tmp_path / "pool", np.ones(8), np.full(8, 1e30))
    with pytest.raises(StageFailedError, match=r"not finite in 10 updates in a row, up to update 10; .*p00"):
        Finished(line_stage(pool, updates=40), tmp_path / "runs")
    folder = next((tmp_path / "runs" / "Train").iterdir())
    assert len(lines(folder)) == 10
    assert not (folder / "done.json").exists()
    assert not (folder / "line.json").exists()


def test_two_turns_move_their_own_parameters_with_their_own_rates(tmp_path):
    pool = write_points(tmp_path / "pool", np.ones(8), np.ones(8))
    stage = line_stage(pool, objective=Lines(kind="Game"), updates=6)
    done = Finished(stage, tmp_path / "runs")
    slope, other = torch.zeros(1, 1, requires_grad=True), torch.ones(1, 1, requires_grad=True)
    first = torch.optim.AdamW([slope], lr=0.05, weight_decay=0)
    second = torch.optim.AdamW([other], lr=0.05, weight_decay=0)
    for update in range(6):
        slope.grad = None
        ((slope - other.detach()) ** 2).sum().backward()
        first.step()
        other.grad = None
        second.param_groups[0]["lr"] = 0.05 * AdamW(lr=0.1).factor(update, 6)
        (-(other * slope.detach()).sum()).backward()
        second.step()
    assert saved(done)["slope"] == pytest.approx(slope.item(), rel=1e-5)
    assert saved(done)["other"] == pytest.approx(other.item(), rel=1e-5)
    assert {"loss/one", "loss/two", "gradient/one", "lr/two"} <= done.lines[0].keys()
    assert {"loss/one", "loss/two"} <= done.metrics.keys()


@dataclass(frozen=True)
class Slope:
    """A watched task: how near the slope is to a value."""

    to: float
    name: str = field(default="slope")

    def build(self):
        return lambda models: -abs(models[""].slope.item() - self.to)


def test_the_best_weights_are_exported_and_patience_ends_a_run(tmp_path):
    pool = write_points(tmp_path / "pool", np.ones(8), np.full(8, 10.0))
    watch = Watch(task=Slope(0.2), every=2, keep="best", patience=2)
    stage = line_stage(pool, updates=40, watch=watch, keeping=Keeping(checkpoint_every=3))
    done = Finished(stage, tmp_path / "runs")
    watched = {line["update"]: line["watched"] for line in done.lines if "watched" in line}
    best = max(watched, key=watched.get)
    assert done.metrics["best_update"] == best
    assert done.metrics["best"] == watched[best]
    assert done.metrics["updates"] == best + 4
    assert -abs(saved(done)["slope"] - 0.2) == pytest.approx(watched[best])
    last = Finished(line_stage(pool, updates=6, watch=Watch(task=Slope(0.2), every=2)), tmp_path / "runs")
    assert saved(last)["slope"] > saved(done)["slope"]
    # Once over, always over: a restart without its last record exports the same.
    (done.folder / "done.json").unlink()
    (done.folder / "line.json").unlink()
    again = Finished(stage, tmp_path / "runs")
    assert saved(again) == saved(done)
    assert again.metrics == done.metrics


def test_a_run_starts_from_a_model_of_the_same_form(pool, tmp_path):
    first = tiny(pool, updates=4)
    second = tiny(pool, updates=1, start=Init(first), optim=AdamW(lr=1e-12))
    done = Finished(second, tmp_path / "runs")
    before, after = (TwoTower.from_folder(done.plan.folder(stage), devices=0) for stage in (first, second))
    np.testing.assert_allclose(after.embed_texts(["colour 1"]), before.embed_texts(["colour 1"]), atol=1e-6)


def test_batches_that_cannot_be_split(tmp_path):
    pool = write_points(tmp_path / "pool", np.ones(8), np.ones(8))
    with pytest.raises(SettingError, match="batch 4 cannot be cut into 3"):
        line_stage(pool, accumulate=3)


def test_the_callers_torch_is_left_as_it_was(pool, tmp_path):
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    Finished(tiny(pool, updates=4), tmp_path / "runs")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_chance_of_an_update_depends_on_three_numbers():
    drawn = set()
    for numbers in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)]:
        with torch.random.fork_rng(devices=[]):
            loop.seed_torch(*numbers)
            first = torch.rand(()).item()
            loop.seed_torch(*numbers)
            assert torch.rand(()).item() == first
        drawn.add(first)
    assert len(drawn) == 5
