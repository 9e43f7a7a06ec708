"""What a curation says of itself: counts for machines and pages, a card for people who want the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorium.core import files
from sensorium.core.errors import StageFailedError
from sensorium.core.stage import Here, Stage, plain
from sensorium.core.store import Done
from sensorium.curate.states import State
from sensorium.curate.steps import describe


def called(pool: Any) -> str:
    """A pool's name for sentences."""
    return f"pool {pool.label()}"


@dataclass
class Account:
    """The figures of a finished curation.

    Args:
        stage: the curation.
        steps: its steps as they ran.
        results: what the last pass said of each shard.
        states: finished states of folds, by number of the step.
        tallies: sums over all rows, by number of the step.
        notes: what the pool left out, in sentences.
    """

    stage: Any
    steps: Sequence[Any]
    results: Sequence[Mapping[str, Any]]
    states: Mapping[int, State]
    tallies: Mapping[int, State]
    notes: Sequence[str] = ()

    def rows(self) -> dict[str, int]:
        """Rows in = rows out + dropped + rejected; rows, not matches."""
        out = sum(result["alive"] for result in self.results)
        rows = sum(result["rows"] for result in self.results)
        rejected = sum(sum(result["rejected"].values()) for result in self.results)
        return {"rows_in": rows + rejected, "rows_out": out, "dropped": rows - out, "rejected": rejected}

    def per_step(self) -> list[dict[str, Any]]:
        """Rows in and out of each step, and why rows went."""
        left = sum(result["rows"] for result in self.results)
        found = []
        for number, step in enumerate(self.steps):
            reasons: dict[str, int] = {}
            for result in self.results:
                for by, reason, count in result["dropped"]:
                    if by == number:
                        reasons[reason] = reasons.get(reason, 0) + count
            gone = sum(reasons.values())
            found.append({"step": describe(step), "rows_in": left, "rows_out": left - gone, "dropped": reasons})
            left -= gone
        return found

    def pool(self, here: Here) -> dict[str, Any]:
        """`pool.json`."""
        rows, steps = self.rows(), self.per_step()
        if rows["dropped"] != sum(sum(step["dropped"].values()) for step in steps):
            raise StageFailedError(f"{self.stage.label()} cannot account for every row: {rows}, {steps}.")
        reasons = _added_up(step["dropped"] for step in steps)
        content = {
            **rows,
            "columns": self.results[0]["columns"],
            "dropped_by_reason": reasons,
            "rejected_by_reason": _added_up(result["rejected"] for result in self.results),
            "steps": steps,
            "notes": list(self.notes),
        }
        attribution = _attribution(self.stage.pool, here)
        return content if attribution is None else {**content, "attribution": attribution}

    def statistics(self, out: Path) -> dict[str, Any]:
        """`statistics.json`: what the page draws; steps also write small files of their own."""
        steps = self.per_step()
        for number, (entry, step) in enumerate(zip(steps, self.steps, strict=True)):
            entry["settings"] = _settings(step)
            if callable(getattr(step, "publish", None)):
                entry["facts"] = dict(step.publish(out, self.states.get(number), self.tallies.get(number, {})))
        languages = {name: _added_up(result[f"lang_{name}"] for result in self.results) for name in ("in", "out")}
        return {**self.rows(), "steps": steps, "languages": languages}

    def card(self, here: Here) -> dict[str, Any]:
        """`card.json`: sources and settings by content, so that another person gets the same ids."""
        steps = []
        for number, step in enumerate(self.steps):
            facts = step.card(self.states.get(number)) if callable(getattr(step, "card", None)) else {}
            steps.append({"step": describe(step), "settings": _settings(step), **facts})
        rows = self.rows()
        return {
            "about": "how this pool was curated",
            "source": _source(self.stage.pool, here),
            "steps": steps,
            **rows,
        }

    def timings(self, passes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """`timings.json`, the only file that differs between two runs: seconds per step."""
        seconds: dict[str, float] = {}
        for one in passes:
            for number, value in one["seconds"].items():
                name = f"{int(number)} {describe(self.steps[int(number)])}"
                seconds[name] = round(seconds.get(name, 0.0) + value, 4)
        return {
            "seconds_per_step": seconds,
            "passes": [{key: one[key] for key in ("pass", "rows") if key in one} for one in passes],
        }


def _settings(step: Any) -> dict[str, Any]:
    settings = plain(step)
    return {key: value for key, value in settings.items() if key not in ("class", "folder") and value is not None}


def _added_up(counts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for some in counts:
        for name, count in some.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))


def _source(pool: Any, here: Here) -> dict[str, Any]:
    if isinstance(pool, Stage):
        done = Done.read(here.path(pool))
        return {"stage": pool.label(), "fingerprint": done.fingerprint if done else None}
    identity = json.dumps(pool.identity(), sort_keys=True)
    return {"files": type(pool).__name__, "identity_sha256": hashlib.sha256(identity.encode()).hexdigest()}


def _attribution(pool: Any, here: Here) -> Any:
    if not isinstance(pool, Stage):
        return getattr(pool, "attribution", None)
    about = here.path(pool) / "pool.json"
    return files.read_json(about).get("attribution") if about.exists() else None
