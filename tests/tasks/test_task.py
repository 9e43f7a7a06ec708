import subprocess
import sys
from dataclasses import asdict

import numpy as np

from sensorium.core.score import Score
from sensorium.tasks.task import Task, TaskCard


class Nearest:
    """A task with its own head: the mean of each class, by hand."""

    card = TaskCard(name="nearest", says="say the nearest mean", columns=("image", "label"))
    needs = ("image",)

    def items(self, split, here=None):
        yield from ()

    def fit(self, inputs, labels):
        return np.stack([inputs[labels == label].mean(0) for label in range(2)])

    def predict(self, head, inputs):
        return np.linalg.norm(inputs[:, None] - head[None], axis=2).argmin(1)

    def score(self, predictions, labels):
        return {"top1": Score(value=float((predictions == labels).mean()), n=len(labels))}


def test_a_plain_class_is_a_task():
    task: Task = Nearest()
    inputs, labels = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    head = task.fit(inputs, labels)
    assert task.score(task.predict(head, inputs), labels)["top1"].value == 1
    assert list(task.items("test")) == []


def test_a_card_is_plain():
    card = TaskCard(name="zero-shot/emoji", chance=1 / 400)
    assert asdict(card)["version"] == 1
    assert card.main == "top1"


def test_tasks_come_without_torch():
    code = (
        "import sensorium.tasks.task, sensorium.tasks.zero_shot, sensorium.evaluate.zero_shot, "
        "sensorium.evaluate.retrieval, sys; assert not {'torch', 'transformers', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
