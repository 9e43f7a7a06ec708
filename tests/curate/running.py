"""Runs stages for tests: a store in a temporary folder, one process unless asked otherwise."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sensorium.core.execute import Plan, execute
from sensorium.core.store import Store
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress


def run(stage, root, workers=1):
    """The finished folder and the metrics of a stage."""
    plan = Plan((stage,), Store(Path(root)), Machine(workers=workers))
    done = execute(plan, runner=LocalRunner(workers), progress=QuietProgress())[0]
    return plan.folder(stage), done.metrics


def write_pool(folder, table, num_shards=1):
    """Write a table as Parquet shards of about equal size; returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(num_shards):
        start, stop = table.num_rows * shard // num_shards, table.num_rows * (shard + 1) // num_shards
        pq.write_table(table.slice(start, stop - start), folder / f"{shard:05d}.parquet")
    return folder


def texts_pool(folder, texts, num_shards=1, **columns):
    """A pool of texts with ids r0000, r0001, ..."""
    ids = [f"r{number:04d}" for number in range(len(texts))]
    table = pa.table({"id": ids, "text": pa.array(texts, pa.string()), **columns})
    return write_pool(folder, table, num_shards)


def rows(folder, kind="rows"):
    """The rows of a pool folder, sorted by id; an empty table when there are none."""
    if not any((Path(folder) / kind).glob("*.parquet")):
        return pa.table({"id": pa.array([], pa.string())})
    return ds.dataset(Path(folder) / kind, format="parquet").to_table().sort_by("id")


def ids(folder, kind="rows"):
    """Sorted ids."""
    return rows(folder, kind)["id"].to_pylist()
