"""Small pools and runs for the tests of training."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sensorium.core.execute import Plan, execute
from sensorium.core.store import Store
from sensorium.data.prepare import Augment, Pixels
from sensorium.data.sources import Files
from sensorium.data.words import HashedWords
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress
from sensorium.models.config_two_tower import MiniTowersConfig
from sensorium.pretrain.config_contrast import ContrastConfig, contrast
from sensorium.train.optim import AdamW
from sensorium.train.train import Keeping

TINY = MiniTowersConfig(
    pixels=Pixels(size=16),
    words=HashedWords(buckets=128, length=8),
    channels=(4, 8),
    hidden=(12, 10),
    bag=8,
    dim=6,
)
ONE = Machine(devices=0, threads=1, workers=1)


def png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def write_pairs(folder: Path, num_rows: int, *, broken: dict[int, bytes] | None = None, num_shards: int = 1) -> Files:
    """Pictures of one colour with the colour's name; `broken` replaces the bytes of some rows."""
    rng = np.random.default_rng(0)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = []
    for row in range(num_rows):
        colour = row % 12
        levels = np.array([colour * 20, 255 - colour * 20, (colour * 77) % 255])
        pixels = np.clip(levels + rng.normal(0, 8, (16, 16, 3)), 0, 255).astype(np.uint8)
        content = (broken or {}).get(row, png(pixels))
        image = {"bytes": content, "path": None}
        rows.append({"id": f"p{row:04d}", "image": image, "text": f"colour {colour}"})
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("id", pa.string()), ("image", kind), ("text", pa.string())])
    for shard in range(num_shards):
        table = pa.Table.from_pylist(rows[shard::num_shards], schema=schema)
        pq.write_table(table, folder / f"s{shard}.parquet")
    return Files(str(folder))


def tiny(pool, **settings):
    """A contrastive run that takes milliseconds an update."""
    settings = {
        "batch": 4,
        "updates": 24,
        "optim": AdamW(lr=5e-3, warmup=3, weight_decay=0.05),
        "augment": Augment(shift=1, jitter=0.1),
        "keeping": Keeping(checkpoint_every=2, log_ids=True),
        **settings,
    }
    return contrast(pool, settings.pop("config", ContrastConfig(towers=TINY)), **settings)


class Finished:
    """A stage that ran: its folder, record and sentences."""

    def __init__(self, stage, root: Path, machine: Machine = ONE) -> None:
        progress = QuietProgress()
        self.plan = Plan((stage,), Store(root), machine)
        self.folder = self.plan.folder(stage)
        self.sentences = progress.sentences
        self.metrics = execute(self.plan, runner=LocalRunner(1), progress=progress)[0].metrics
        self.lines = lines(self.folder)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
