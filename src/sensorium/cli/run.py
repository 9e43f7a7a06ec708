"""`sensorium run` and `sensorium show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorium.cli import options, output

if TYPE_CHECKING:
    from sensorium.core.execute import Plan
    from sensorium.core.recipe import Variant
    from sensorium.core.score import Score
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and stop.")] = False,
    json: options.AsJson = False,
) -> None:
    """Run a recipe and write its page; its parameters are options.

    As in: sensorium run metaclip --pool 'my/*.parquet' --t 20000
    """
    from sensorium.api import finish
    from sensorium.core.execute import Plan
    from sensorium.core.store import Store

    machine = options.machine(workers, threads, devices, precision, compile)
    variant, last = build(name, context)
    options.refuse_unused(name, last, threads=threads, devices=devices, precision=precision, compile=compile)
    plan = Plan((last,), Store(out), machine, "none" if fresh else "any")
    if dry_run:
        _print_plan(plan, json)
        return
    result = finish(plan, f"{variant.recipe.name}/{variant.name}", options.progress(json))
    if json:
        found = {"path": str(result.path), "page": str(result.page), "metrics": result.metrics}
        output.emit_json({**found, "done": result.done.content})
        return
    _print_metrics(result.metrics, result.scores if last.gives == "scores" else {})
    output.say(f"page: {result.page}")


def show(context: typer.Context, name: Name, json: options.AsJson = False) -> None:
    """Print a recipe's card, its options and its stages with what each consumes and gives; nothing runs."""
    from sensorium.cli.parameters import parameters
    from sensorium.core.picture import picture, rows

    variant, last = build(name, context)
    recipe, known = variant.recipe, parameters(variant)
    paper = recipe.paper()
    if json:
        settings = {row.option[2:].replace("-", "_"): row.as_json() for row in known}
        about = {"recipe": recipe.name, "variant": variant.name, "variants": recipe.variants()}
        output.emit_json({**about, "paper": paper, "parameters": settings, "stages": rows(last)})
        return
    output.paragraph(f"{recipe.name}: {paper.get('title')} ({paper.get('year')})")
    if paper.get("says"):
        output.paragraph(str(paper["says"]))
    _print_section("columns it needs", [(key, str(text)) for key, text in dict(paper.get("needs", {})).items()])
    output.say(f"\nvariants: {', '.join(recipe.variants())}")
    _print_section(f"options of {recipe.name}:{variant.name}", [(row.term(), row.text()) for row in known])
    output.say("\nstages")
    for line in picture(last).splitlines():
        output.paragraph(line, indent=" " * 5)


def build(name: str, context: typer.Context) -> tuple[Variant, Stage]:
    """The variant of a recipe, and the graph it builds with the options the command itself does not know."""
    from sensorium.cli.parameters import find_variant, read_options

    variant = find_variant(name)
    return variant, variant.build(**read_options(variant, options.pairs(context.args), options.own(context)))


def _print_section(title: str, pairs: list[tuple[str, str]]) -> None:
    if pairs:
        output.say(f"\n{title}")
        output.definitions(pairs)


def _print_metrics(metrics: Mapping[str, float], scores: Mapping[str, Score]) -> None:
    """The figures of the last stage, those of its scores with their intervals."""
    column = max((len(key) for key in metrics), default=0)
    for key, value in metrics.items():
        shown = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
        found = scores.get(key)
        if found and found.low is not None and found.high is not None:
            shown = f"{shown.ljust(9)} 95 % interval {found.low:,.4g} to {found.high:,.4g}"
        output.say(f"{key.ljust(column)}  {shown}")


def _print_plan(plan: Plan, json: bool) -> None:
    from sensorium.core.picture import rows

    waiting = {id(stage) for stage in plan.waiting()}
    lines = [
        {
            "stage": row["name"],
            "gives": row["gives"],
            "state": "runs" if id(stage) in waiting else "kept",
            "folder": str(plan.folder(stage)),
        }
        for stage, row in zip(plan.order, rows(plan.last[0]), strict=True)
    ]
    if json:
        output.emit_json(lines)
    else:
        output.table(lines, ["stage", "gives", "state", "folder"])
