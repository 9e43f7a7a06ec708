"""Run by test_loop.py in a process of its own: runs that are killed and started again.

python killed_runs.py FOLDER NUM_RUNS

Torch is imported once, and each run is a forked child. The last line printed is JSON: digests of the
undisturbed run and of each killed one (at given and at random moments), and how many kills hit something.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from training_pools import ONE, TINY, digest, lines, tiny, write_pairs

from sensorium.data.sources import open_pool
from sensorium.engine.progress import QuietProgress
from sensorium.pretrain.config_contrast import ContrastConfig
from sensorium.pretrain.contrast import ContrastObjective
from sensorium.train import checkpoint
from sensorium.train.launch import Job, run


@dataclass(frozen=True, kw_only=True)
class KilledConfig(ContrastConfig):
    """Ends its own process when an update is over."""

    at: int = -1

    def build(self):
        class Killed(ContrastObjective):
            def after_update(self, clock):
                super().after_update(clock)
                if clock.update + 1 == self.config.at:
                    os.kill(os.getpid(), signal.SIGKILL)

        return Killed(self)


def start(stage, out: Path) -> int:
    """A child that trains into a folder."""
    child = os.fork()
    if child:
        return child
    try:
        out.mkdir(parents=True, exist_ok=True)
        parts = {"": open_pool(stage.pool)}
        job = Job(stage=stage, parts=parts, labels={"": "p"}, start=None, out=out, machine=ONE)
        run(job, QuietProgress())
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  (a forked child must never return)
        print(repr(error), file=sys.stderr)
        os._exit(1)


def ended(child: int) -> bool:
    """Wait; True when it ended by itself and well."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0, "a run failed"
    return True


def newest(out: Path) -> int:
    """The update of the newest checkpoint, 0 without any."""
    found = out.glob("checkpoints/update-*.safetensors")
    return max((int(path.stem.removeprefix("update-")) for path in found), default=0)


def result(out: Path) -> dict:
    readable = [checkpoint.load(path).update for path in sorted((out / "checkpoints").glob("*.safetensors"))]
    return {
        "weights": digest(out / "model.safetensors"),
        "metrics": digest(out / "metrics.jsonl"),
        "updates": [line["update"] for line in lines(out)],
        "ids": [line["ids"] for line in lines(out)],
        "checkpoints": readable,
    }


def main() -> None:
    folder, num_runs = Path(sys.argv[1]), int(sys.argv[2])
    pool = write_pairs(folder / "pool", 64)
    assert ended(start(tiny(pool), folder / "undisturbed"))
    found = {"undisturbed": result(folder / "undisturbed")}

    # In the middle of an epoch, and exactly at its end (64 rows, batches of 4).
    for at in (10, 16):
        assert not ended(start(tiny(pool, config=KilledConfig(towers=TINY, at=at)), folder / "at"))
    assert ended(start(tiny(pool), folder / "at"))
    found["at"] = result(folder / "at")

    luck, kills = random.Random(0), 0
    for number in range(num_runs):
        out = folder / f"random{number}"
        for update in sorted(luck.sample(range(20), 3)):
            child = start(tiny(pool), out)
            # Waiting for a checkpoint, not for a time, hits the run on a busy machine too.
            while newest(out) < update and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                time.sleep(0.001)
            time.sleep(luck.uniform(0, 0.01))
            os.kill(child, signal.SIGKILL)
            kills += not ended(child)
        assert ended(start(tiny(pool), out))
        found[f"random{number}"] = result(out)
    found["kills"] = kills
    print(json.dumps(found))


if __name__ == "__main__":
    main()
