"""A stage of its own that asks a task of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from sensorium.core import files
from sensorium.core.stage import Here, Stage, stage, takes
from sensorium.tasks.task import Task


@stage
class AskTone(Stage):
    """Embeds the rows of a task's splits and scores it; gives "scores"."""

    gives: ClassVar[str] = "scores"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    model: Stage = takes("model")
    task: Task[Any, Any]

    def run(self, here: Here) -> Mapping[str, float]:
        """Fit on "train", score on "test"."""
        from sensorium_outside.tone import Tone

        tone = Tone.load(here.path(self.model))
        found = {}
        for split in ("train", "test"):
            pieces = [piece.table for piece in self.task.items(split, here)]
            texts = [text for table in pieces for text in table["text"].to_pylist()]
            labels = np.array([label for table in pieces for label in table["label"].to_pylist()])
            found[split] = tone.embed(texts), labels
        head = self.task.fit(*found["train"])
        inputs, labels = found["test"]
        scores = self.task.score(self.task.predict(head, inputs), labels)
        files.write_json(here.out / "scores.json", {name: score.as_json() for name, score in scores.items()})
        return {name: score.value for name, score in scores.items() if score.value is not None}
