"""Lifelong pretraining: a chain of corpora, the last model at once start and teacher, all judged on all."""

from __future__ import annotations

from typing import Literal

from strain_parts import Corpus, Frozen, Init, Judge, Table, Train

from sensorium.core.stage import Stage

PAPER = {"title": "Lifelong Pretraining", "year": 2021, "room": "adapt"}


def mini(
    corpora: tuple[str, ...] = ("2018", "2019", "2020"),
    method: Literal["distill", "plain"] = "distill",
    updates: int = 10,
    seed: int = 0,
) -> Stage:
    """Models in a chain, and one score for each model on each corpus."""
    pools = {topic: Corpus(name=f"corpus-{topic}", topic=topic) for topic in corpora}
    tests = {topic: Corpus(name=f"test-{topic}", topic=topic, seed=1) for topic in corpora}
    models: dict[str, Stage] = {}
    last: Stage | None = None
    for topic, pool in pools.items():
        start = Init(last) if last else None
        teacher = Frozen(last) if last and method == "distill" else None
        last = models[topic] = Train(
            name=f"model-{topic}", pools=(pool,), start=start, teacher=teacher, updates=updates, seed=seed
        )
    scores = {
        f"{model}-on-{test}": Judge(name=f"score-{model}-on-{test}", model=models[model], pool=tests[test])
        for model in models
        for test in tests
    }
    return Table(name="table", scores=scores)
