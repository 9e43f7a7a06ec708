"""`sensorium run` and `sensorium show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorium.cli import options, output

if TYPE_CHECKING:
    from sensorium.core.execute import Plan
    from sensorium.core.stage import Stage

Name = Annotated[str, typer.Argument(help="A recipe: name, name:variant, ./file.py:variant or package.module:variant.")]


def run(
    context: typer.Context,
    name: Name,
    out: options.Out = Path("runs"),
    workers: options.Workers = 0,
    threads: options.Threads = 0,
    devices: options.Devices = -1,
    precision: options.Precision = "32",
    compile: options.Compile = False,
    fresh: options.Fresh = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and stop.")] = False,
    json: options.AsJson = False,
) -> None:
    """Run a recipe; its parameters are options: `sensorium run metaclip --pool 'my/*.parquet' --t 20000`."""
    from sensorium.api import finish
    from sensorium.core.execute import Plan
    from sensorium.core.store import Store

    last, label = build(name, context.args)
    machine = options.machine(workers, threads, devices, precision, compile)
    plan = Plan((last,), Store(out), machine, "none" if fresh else "any")
    if dry_run:
        _print_plan(plan, json)
        return
    result = finish(plan, label, options.progress(json))
    if json:
        output.emit_json(
            {"path": str(result.path), "page": str(result.page), "metrics": result.metrics, "done": result.done.content}
        )
        return
    for key, value in result.metrics.items():
        output.say(f"{key}: {value:,.4g}" if isinstance(value, float) else f"{key}: {value}")
    output.say(f"page: {result.page}")


def show(context: typer.Context, name: Name, json: options.AsJson = False) -> None:
    """Print a recipe's card, its parameters and its stages with what each consumes and gives; nothing runs."""
    from sensorium.core.picture import picture, rows
    from sensorium.core.recipe import find

    recipe, variant = find(name)
    last, _ = build(name, context.args)
    parameters = {key: _parameter(value) for key, value in recipe.variant(variant).parameters().items()}
    if json:
        output.emit_json({"paper": recipe.paper(), "parameters": parameters, "stages": rows(last)})
        return
    paper = recipe.paper()
    output.say(f"{recipe.name}: {paper.get('title')} ({paper.get('year')})")
    output.say(f"{paper.get('says', '')}")
    for column, need in dict(paper.get("needs", {})).items():
        output.say(f"  needs {column}: {need}")
    output.say("parameters: " + ", ".join(f"--{key.replace('_', '-')} {text}" for key, text in parameters.items()))
    output.say(picture(last))


def build(name: str, words: list[str]) -> tuple[Stage, str]:
    """The graph of a recipe with its options, and its label `recipe/variant`."""
    from sensorium.core.recipe import find

    recipe, variant_name = find(name)
    variant = recipe.variant(variant_name)
    arguments = variant.read_options(options.pairs(words))
    return variant.build(**arguments), f"{recipe.name}/{variant_name}"


def _parameter(parameter: Any) -> str:
    from sensorium.core.stage import plain

    if parameter.default is parameter.empty:
        return "(required)"
    return f"({plain(parameter.default)})"


def _print_plan(plan: Plan, json: bool) -> None:
    from sensorium.core.picture import rows

    waiting = {id(stage) for stage in plan.waiting()}
    lines = [
        {"stage": row["name"], "gives": row["gives"], "state": "runs" if id(stage) in waiting else "kept",
         "folder": str(plan.folder(stage))}
        for stage, row in zip(plan.order, rows(plan.last[0]), strict=True)
    ]
    if json:
        output.emit_json(lines)
    else:
        output.table(lines, ["stage", "gives", "state", "folder"])
