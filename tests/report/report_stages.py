"""Small finished runs for tests of pages: every kind of stage, written as the real ones write theirs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sensorium.core import files
from sensorium.core.execute import Plan, execute
from sensorium.core.score import Score
from sensorium.core.stage import Stage, stage, takes
from sensorium.core.store import Store
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine
from sensorium.engine.progress import QuietProgress

CAPTIONS = (
    ("a red heart", "en"),
    ("قلب أحمر", "ar"),
    ("赤いハート", "ja"),
    ("<script>document.title='pwned'</script>", "en"),
    ('"><img src=x onerror=alert(1)>', "en"),
    ("javascript:alert(1)", "en"),
    ("\u202egnirts desrever\u202c", "he"),
    ("x" * 5000, "en"),
    ("[red] and [/items] & {{ 7 * 7 }}", "en"),
    ("", ""),
    (None, None),
)


def picture(colour: str = "red", size: int = 32) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(written, "PNG")
    return written.getvalue()


@stage
class ToyWorld(Stage):
    gives = "pool"
    rows: int = 110

    def run(self, here):
        rows = [
            {
                "id": f"r{i:04}",
                "text": CAPTIONS[i % len(CAPTIONS)][0],
                "lang": CAPTIONS[i % len(CAPTIONS)][1],
                "image": {"bytes": b"broken" if i % 10 == 9 else picture(), "path": None},
            }
            for i in range(self.rows)
        ]
        (here.out / "rows").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), here.out / "rows" / "0.parquet")
        pool = {"columns": {}, "rows_in": self.rows, "rows_out": self.rows, "dropped": 0, "rejected": 0}
        files.write_json(here.out / "pool.json", {**pool, "attribution": "Drawings: OpenMoji, CC BY-SA 4.0"})
        return {"rows": self.rows}


@stage
class ToyCurate(Stage):
    gives = "pool"
    pool: Stage = takes("pool")
    keep: int = 40

    def run(self, here):
        why = {"no match <b>": 50, "balanced away": 60 - self.keep}
        lost = {
            "dropped": sum(why.values()),
            "dropped_by_reason": why,
            "rejected": 0,
            "rejected_by_reason": {},
        }
        files.write_json(here.out / "pool.json", {"rows_in": 110, "rows_out": self.keep, **lost})
        rows = [{"id": "d1", "text": "<i>gone</i>", "lang": "en", "dropped": "no match <b>"}]
        (here.out / "dropped").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), here.out / "dropped" / "0.parquet")
        curve = {"rank": [1, 2, 4], "before": [60, 9, 1], "after": [5, 5, 0]}
        top = [{"entry": "heart", "texts": 60, "kept": 5}, {"entry": "<b>猫", "texts": 9, "kept": 5}]
        match = {
            "curve": curve,
            "top": top,
            "entries": 5,
            "dead_entries": 1,
            "dead_examples": ["<u>none</u>"],
        }
        steps = [
            {
                "step": "Match",
                "rows_in": 110,
                "rows_out": 60,
                "dropped": {"no match <b>": 50},
                "facts": match,
            },
            {
                "step": "Balance",
                "rows_in": 60,
                "rows_out": self.keep,
                "settings": {"t": 5},
                "facts": {"t": 5},
            },
        ]
        languages = {"in": {"en": 70, "ar": 10, "": 5}, "out": {"en": 30, "ar": 10}}
        files.write_json(here.out / "statistics.json", {"steps": steps, "languages": languages})
        return {"rows_out": self.keep}


@stage
class ToyModel(Stage):
    gives = "model"
    pool: Stage = takes("pool")
    width: int = 1

    def run(self, here):
        lines = [{"update": u, "examples": 8 * u, "loss": 3.0 / u} for u in range(1, 30)]
        text = "".join(json.dumps(line) + "\n" for line in lines) + '{"update": 30, "lo'
        (here.out / "metrics.jsonl").write_text(text)
        return {"updates": 29, "examples": 232, "parameters": 1234}


@stage
class ToyScores(Stage):
    gives = "scores"
    model: Stage = takes("model")
    pool: Stage = takes("pool")
    top1: float = 0.4

    def run(self, here):
        scores = {
            "head": Score(value=self.top1 * 1.5, n=20, low=0.5, high=0.7),
            "tail": Score(value=None, n=0, note="no items of the tail"),
            "top1": Score(value=self.top1, n=40, of=44, low=0.3, high=0.5, definition="share of items right."),
            "top5": Score(value=0.9, n=40),
        }
        files.write_json(here.out / "scores.json", {name: score.as_json() for name, score in scores.items()})
        files.write_json(here.out / "task.json", {"says": "Name the picture.", "main": "top1", "chance": 0.1})
        return {"top1": self.top1}


def arms() -> tuple[Stage, ...]:
    world, test = ToyWorld(name="the <world>"), ToyWorld(name="test pictures", rows=44)
    last = []
    for name, keep in (("raw", 60), ("balanced", 40)):
        pool = ToyCurate(name=name, pool=world, keep=keep)
        model = ToyModel(name=f"model {name}", pool=pool)
        last.append(ToyScores(name=f"scores {name}", model=model, pool=test, top1=keep / 100))
    return tuple(last)


def plan_of(root: Path, last: tuple[Stage, ...], reuse="any") -> Plan:
    return Plan(last, Store(root), Machine(), reuse)


def ran(root: Path, last: tuple[Stage, ...], reuse="any") -> Plan:
    plan = plan_of(root, last, reuse)
    execute(plan, runner=LocalRunner(1), progress=QuietProgress())
    return plan
