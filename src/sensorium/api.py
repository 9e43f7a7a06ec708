"""The Python door: run a stage or a recipe, open a pool, load a model, show a graph."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorium.core import files
from sensorium.core.errors import SettingError
from sensorium.core.execute import Plan, Reuse, StageWorker, execute
from sensorium.core.recipe import find
from sensorium.core.score import Score
from sensorium.core.stage import Progress, Stage
from sensorium.core.store import Done, Store
from sensorium.engine.local import LocalRunner
from sensorium.engine.machine import Machine, this_machine
from sensorium.engine.progress import QuietProgress, for_terminal

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorium.data.sources import Files


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run left behind."""

    path: Path
    """The folder of the last stage."""
    done: Done
    plan: Plan
    page: Path | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """The figures of the last stage."""
        return self.done.metrics

    @functools.cached_property
    def scores(self) -> dict[str, Score]:
        """The scores with intervals, when the last stage gives scores."""
        found = self.path / "scores.json"
        if not found.exists():
            raise SettingError(f"{self.plan.last[0].label()} gives {self.plan.last[0].gives}, not scores.")
        return {name: Score.from_json(content) for name, content in files.read_json(found).items()}

    def table(self) -> pa.Table:
        """The kept rows, when the last stage gives a pool."""
        import pyarrow.dataset as ds

        if not (self.path / "rows").is_dir():
            raise SettingError(f"{self.plan.last[0].label()} gives {self.plan.last[0].gives}, not a pool.")
        return ds.dataset(self.path / "rows", format="parquet").to_table()

    def model(self) -> Any:
        """The model that was made last (by the last stage, or by what it scores), ready for files."""
        made = [stage for stage in self.plan.order if stage.gives == "model"]
        if not made:
            raise SettingError(f"no stage below {self.plan.last[0].label()} gives a model.")
        return load(self.plan.folder(made[-1]))


def run(
    what: Stage | str,
    *,
    out: str | Path = "runs",
    machine: Machine | None = None,
    reuse: Reuse = "any",
    quiet: bool = False,
    **arguments: Any,
) -> Result:
    """Run a stage, or a recipe by name with its parameters; finished stages are kept.

    Args:
        what: the last stage of a graph, or "metaclip", "metaclip:base", "./mine.py:mini", "pkg.module:mini".
        out: the store, a folder shared by all runs.
        machine: how much of this machine may be used; all cores by default.
        reuse: which finished stages are kept: "any", "same-source" or "none".
        quiet: show no progress.
        arguments: the variant's parameters, for a recipe by name.

    Raises:
        UserError: one sentence about a wrong setting or input.
    """
    if isinstance(what, str):
        recipe, variant = find(what)
        last, label = recipe.variant(variant).build(**arguments), f"{recipe.name}/{variant}"
    elif arguments:
        name = next(iter(arguments))
        raise SettingError(f"{name} is not an argument of run(); settings of a stage belong to the stage.")
    else:
        last, label = what, files.safe_name(what.label())
    plan = Plan((last,), Store(Path(out)), machine or this_machine(), reuse)
    progress = QuietProgress() if quiet else for_terminal()
    return finish(plan, label, progress)


def finish(plan: Plan, label: str, progress: Progress, jobs: int = 1) -> Result:
    """Execute a plan with one last stage, link its stages under `label`, write the page."""
    done = carry_out(plan, progress, jobs)[0]
    link_stages(plan, label)
    page = _page(plan, label, plan.store.root / label / "report.html")
    return Result(path=plan.folder(plan.last[0]), done=done, plan=plan, page=page)


def finish_at(last: Stage, out: Path, machine: Machine, progress: Progress, fresh: bool = False) -> Result:
    """Execute a graph whose last stage lives in `out` itself; what it needs lies in `out/.inputs`, the page beside.

    Raises:
        BusyError: `out` holds another run, other files, or is being written.
    """
    plan = Plan((last,), Store(out / ".inputs", at=((last, out),)), machine, "none" if fresh else "any")
    done = carry_out(plan, progress)[0]
    return Result(path=out, done=done, plan=plan, page=_page(plan, last.label(), out / "report.html"))


def carry_out(plan: Plan, progress: Progress, jobs: int = 1) -> list[Done]:
    """Execute a plan on this machine; with several jobs, independent stages run side by side, one core each."""
    runner = LocalRunner(max(jobs, plan.machine.workers))
    inside = StageWorker(plan, LocalRunner(1), QuietProgress()) if jobs > 1 else None
    return execute(plan, runner=runner, progress=progress, inside=inside, jobs=jobs)


def link_stages(plan: Plan, label: str) -> None:
    """Links a person can read: `runs/<recipe>/<variant>/<name>` to each stage's folder."""
    taken: dict[str, int] = {}
    for stage in plan.order:
        name = files.safe_name(stage.label())
        taken[name] = taken.get(name, 0) + 1
        suffix = f"-{taken[name]}" if taken[name] > 1 else ""
        if plan.folder(stage).is_dir():
            plan.store.link(f"{label}/{name}{suffix}", plan.folder(stage))


def _page(plan: Plan, label: str, path: Path) -> Path:
    from sensorium.report.run_page import write_run_page

    return write_run_page(plan, path, label)


def open(uri: str | tuple[str, ...], **settings: Any) -> Files:
    """A pool from files (Parquet, WebDataset, JSONL, folders; globs, fsspec URIs), or a catalogued set by name."""
    from sensorium.data.sources import Files, parse_pool

    return parse_pool(uri, **settings) if isinstance(uri, str) else Files(uri, **settings)


def load(name: str | Path) -> Any:
    """A model by folder or name, ready for files: `sm.load(FOLDER)("pictures/")`; what it does stands in its card."""
    from sensorium.models.apply import use

    return use(name)


def show(what: Stage | str, **arguments: Any) -> str:
    """The graph as text: each stage with what it consumes and gives; nothing runs."""
    if isinstance(what, str):
        recipe, variant = find(what)
        what = recipe.variant(variant).build(**arguments)
    from sensorium.core.picture import picture

    return picture(what)
