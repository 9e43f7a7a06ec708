"""The training loop against a bare PyTorch loop over the same network, batches, optimiser and schedule.

Ours does more: it logs every update, looks for updates that are not finite, writes a checkpoint at the end
and exports the model; all of that is inside the timing. Repeats are interleaved and the best of each is
compared, so that other work on the machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from sensorium.data.prepare import Augment
from sensorium.data.rows import Rows
from sensorium.data.sources import Files, open_pool
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress
from sensorium.models.config_two_tower import MiniTowersConfig
from sensorium.pretrain.config_contrast import ContrastConfig, contrast
from sensorium.train.launch import Job, run
from sensorium.train.loader import Loader, Loading
from sensorium.train.objective import Clock, decayed
from sensorium.train.optim import AdamW
from sensorium.train.train import Train

MACHINE = Machine(devices=0, threads=1, workers=1)


def write_pool(folder: Path, num_rows: int) -> Files:
    """Noisy pictures with names."""
    rng = np.random.default_rng(0)
    rows = []
    for row in range(num_rows):
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(content, "PNG")
        rows.append({"id": f"r{row}", "image": {"bytes": content.getvalue(), "path": None}, "text": f"a {row % 50}"})
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "pool.parquet")
    return Files(str(folder))


def ours(stage: Train, out: Path) -> float:
    """Seconds of the whole stage."""
    out.mkdir()
    job = Job(
        stage=stage,
        parts={"": open_pool(stage.pool)},
        labels={"": "pool"},
        start=None,
        out=out,
        machine=MACHINE,
    )
    start = time.perf_counter()
    run(job, QuietProgress())
    return time.perf_counter() - start


def bare(stage: Train) -> float:
    """Seconds of the shortest loop that trains the same network on the same batches."""
    shards = open_pool(stage.pool)
    start = time.perf_counter()
    rows = Rows(shards, stage.prepare.columns)
    loading = Loading(batch=stage.batch, seed=0)
    loader = Loader(rows, stage.prepare, stage.order.visits(rows, 0), loading)
    torch.manual_seed(0)
    objective = stage.objective.build().train()
    with_decay, without = decayed(objective)
    optimizer = torch.optim.AdamW(
        [
            {"params": with_decay.parameters, "weight_decay": stage.optim.weight_decay},
            {"params": without.parameters, "weight_decay": 0.0},
        ],
        lr=stage.optim.lr,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda u: stage.optim.factor(u, stage.updates))
    for update, batch in enumerate(loader.run(0, stage.updates)):
        clock = Clock(update, stage.updates, update * stage.batch, update / stage.updates)
        inputs = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        optimizer.zero_grad()
        objective(inputs, clock)["contrast"].backward()
        optimizer.step()
        schedule.step()
        objective.after_update(clock)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage = contrast(
            write_pool(folder / "pool", 2 * given.batch),
            ContrastConfig(towers=MiniTowersConfig()),
            augment=Augment(shift=1, jitter=0.1),
            optim=AdamW(lr=1e-3, warmup=10, weight_decay=0.05),
            batch=given.batch,
            updates=given.updates,
        )
        ours(stage, folder / "warm")
        for repeat in range(given.repeats):
            times["bare"].append(bare(stage))
            times["ours"].append(ours(stage, folder / f"run{repeat}"))
    best = {arm: 1000 * min(seconds) / given.updates for arm, seconds in times.items()}
    for arm, milliseconds in best.items():
        print(f"{arm:>5}: {milliseconds:7.1f} ms an update (best of {given.repeats})")
    print(
        json.dumps(
            {
                "name": "loop",
                "ratios": {"ours / bare": round(best["ours"] / best["bare"], 4)},
                "figures": {f"{arm}_ms": round(value, 2) for arm, value in best.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
