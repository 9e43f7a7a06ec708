"""What a page says of trained models: losses by update, and what each model cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sensorium.report import plots
from sensorium.report.blocks import Block, Column, Contribution, Figure, Section, Table, cell
from sensorium.report.finished import Finished, free_name
from sensorium.report.text import duration

MAX_CURVES = 6
_STEPS = ("update", "updates", "step", "examples")
_COSTS = (("updates", "updates"), ("examples", "examples"), ("parameters", "parameters"), ("flops", "FLOPs"))


def model_contribution(stages: Sequence[Finished]) -> Contribution:
    """The training of all models of a run, drawn into one picture so that arms can be compared.

    Args:
        stages: all stages of the run, inputs first.
    """
    models = [stage for stage in stages if stage.gives == "model"]
    curves: dict[str, list[tuple[float, float]]] = {}
    for model in models:
        if points := loss_curve(read_lines(model)):
            curves[free_name(model.label, curves)] = points
    curves = dict(list(curves.items())[-MAX_CURVES:])
    blocks: list[Block] = []
    if curves:
        axis = plots.Axis(x="update", y="loss")
        caption = "The training loss; a lower loss on an easier pool is not a better model, so see the scores."
        blocks.append(Figure(svg=plots.lines(curves, axis), title="Loss", caption=caption))
    if costs := _costs(models):
        blocks.append(costs)
    if not blocks:
        return Contribution()
    many = "every arm with the figures below" if len(models) > 1 else "once"
    says = f"Trained here, {many}." if curves else ""
    return Contribution(sections=(Section(title="Training", says=says, blocks=tuple(blocks)),))


def read_lines(model: Finished) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a line torn by a kill is passed over."""
    try:
        text = (model.folder / "metrics.jsonl").read_text("utf-8", "replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(content, dict):
            found.append(content)
    return found


def loss_curve(lines: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """The points (update, loss) of a log; after a resume the later line of an update counts."""
    points: dict[float, float] = {}
    for line in lines:
        step = next((line[key] for key in _STEPS if _is_number(line.get(key))), None)
        loss = next((value for key, value in line.items() if key == "loss" or key.startswith("loss/")), None)
        if step is not None and _is_number(loss):
            points[float(step)] = float(loss)  # type: ignore[arg-type]
    return sorted(points.items())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _costs(models: Sequence[Finished]) -> Table | None:
    known = [(key, title) for key, title in _COSTS if any(key in model.metrics for model in models)]
    trained = [model for model in models if any(key in model.metrics for key, _ in known)]
    if not trained:
        return None
    columns = (
        Column(title="model"),
        *(Column(title=title, kind="number") for _, title in known),
        Column(title="time", kind="number"),
    )
    rows = tuple(
        (
            cell(model.label),
            *(cell(model.metrics.get(key)) for key, _ in known),
            cell(duration(model.content.get("seconds")), sort=model.content.get("seconds")),
        )
        for model in trained
    )
    return Table(columns=columns, rows=rows, title="Budgets")
