"""`sensorium claim`: run a recipe's claim, or replay its verdict."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorium.cli import options, output
from sensorium.core.errors import InputError, SettingError, unknown

if TYPE_CHECKING:
    from sensorium.core.claim import Claim
    from sensorium.core.recipe import Recipe
    from sensorium.report.verdict import Outcome


def claim(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A recipe with a claim; name:CLAIM for one of its further claims.")],
    record: Annotated[
        Path, typer.Option(metavar=options.FOLDER, help="Where record, log and page are written.")
    ] = Path("docs/claims"),
    check: Annotated[
        bool, typer.Option("--check", help="Replay the verdict from the recorded scores; nothing runs.")
    ] = False,
    seeds: Annotated[
        str, typer.Option(metavar="FIRST-LAST", help="Tuning seeds like 100-104; a verdict uses the claim's own.")
    ] = "",
    jobs: Annotated[
        int,
        typer.Option(metavar=options.NUMBER, help="Independent stages at once, one core each; 0 means all cores."),
    ] = 0,
    out: options.Out = Path("runs"),
    devices: options.Devices = -1,
    precision: options.Precision = "32",
    fresh: options.Fresh = False,
    json: options.AsJson = False,
) -> None:
    """Run a recipe's claim: arms, seeds, controls, a verdict; the recipe's parameters are options here too."""
    if name.startswith("-"):
        raise SettingError(f"name the recipe first and its options behind it, as in: claim NAME {name} VALUE.")
    if check:
        _refuse_without_a_run(context)
        _check(record, name, json)
        return
    execution = _Execution(out, jobs, devices, precision, fresh, json)
    outcome = _run(name, context, record, seeds, execution)
    if json:
        output.emit_json({**outcome.record, "path": str(outcome.path), "page": str(outcome.page)})
        return
    output.say(f"{outcome.verdict}: {outcome.words}")
    output.say(f"record: {outcome.path}")
    output.say(f"page: {outcome.page}")


def _refuse_without_a_run(context: typer.Context) -> None:
    """With --check nothing runs, so what shapes a run is refused."""
    given = [name for name in ("seeds", "jobs", "out", "devices", "precision", "fresh") if _said(context, name)]
    words = [f"--{given[0]}"] if given else context.args
    if words:
        raise SettingError(f"{words[0]} has no effect with --check, which replays a record; leave it out.")


def _said(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


class _Execution:
    """How the arms are executed."""

    def __init__(self, out: Path, jobs: int, devices: int, precision: str, fresh: bool, json: bool) -> None:
        from sensorium.engine.machine import num_cores

        if jobs < 0:
            raise SettingError(f"--jobs is {jobs}; it is a count, or 0 for all cores.")
        self.out, self.jobs, self.fresh = out, jobs or num_cores(), fresh
        # One thread each: arms run side by side, and one thread gives the same bits on any number of cores.
        self.machine = options.machine(1, 1, devices, precision, False)
        self.progress = options.progress(json)

    def __call__(self, last: tuple[Any, ...]) -> Any:
        from sensorium.api import carry_out
        from sensorium.core.execute import Plan
        from sensorium.core.store import Store

        plan = Plan(last, Store(self.out), self.machine, "none" if self.fresh else "same-source")
        carry_out(plan, self.progress, self.jobs)
        return plan


def _run(name: str, context: typer.Context, record: Path, seeds: str, execution: _Execution) -> Outcome:
    from sensorium.cli.parameters import read_options
    from sensorium.report.verdict import ClaimOptions, run_claim

    recipe, wanted, label = find_claim(name)
    variant = recipe.variant(wanted.variant)
    given = options.pairs(context.args)
    _refuse_fixed(recipe, wanted, given)
    settings = ClaimOptions(
        params=read_options(variant, given, options.own(context)),
        seeds=_read_seeds(seeds),
        command=_command(name, given, seeds, execution.machine.precision),
        paper=recipe.paper(),
        say=execution.progress.say,
    )

    def build(variant_name: str, **arguments: Any) -> Any:
        return recipe.variant(variant_name).build(**arguments)

    return run_claim(label, wanted, build, execution, record, settings)


def find_claim(name: str) -> tuple[Recipe, Claim, str]:
    """The recipe, its claim (CLAIM, or CLAIMS[second part]) and the name of its files."""
    from sensorium.core.claim import Claim
    from sensorium.core.recipe import find

    # What stands behind the last colon names a claim here, not a variant.
    target, colon, second = name.rpartition(":")
    if not colon or second.endswith(".py"):
        target, second = name, ""
    recipe, _ = find(target)
    module = recipe.module()
    if second:
        claims = getattr(module, "CLAIMS", {})
        if second not in claims:
            raise unknown(f"claim of {recipe.name}", second, claims)
        return recipe, claims[second], f"{recipe.name}.{second}"
    found = getattr(module, "CLAIM", None)
    if not isinstance(found, Claim):
        raise SettingError(f"{recipe.name} has no claim; a recipe states one as CLAIM = Claim(...).")
    return recipe, found, recipe.name


def _command(name: str, given: Mapping[str, str], seeds: str, precision: str) -> str:
    """How to run this again anywhere: without the folders and the pace of this machine."""
    words = [word for option, text in given.items() for word in (f"--{option}", text)]
    words += ["--seeds", seeds] if seeds else []
    words += ["--precision", precision] if precision != "32" else []
    return shlex.join(["sensorium", "claim", name, *words])


def _refuse_fixed(recipe: Recipe, wanted: Claim, given: Mapping[str, str]) -> None:
    """Refuse an option the expectations rest on, before anything runs, and name the claims that take it."""
    fixed = [option for option in given if option.replace("-", "_") in wanted.rests_on]
    if fixed:
        others = [
            f"{recipe.name}:{name}"
            for name, other in getattr(recipe.module(), "CLAIMS", {}).items()
            if fixed[0].replace("-", "_") not in other.rests_on
        ]
        hint = f"; with --{fixed[0]} run one of: {', '.join(others)}" if others else ""
        raise SettingError(f"this claim is about its own data and takes no --{fixed[0]}{hint}.")


def _read_seeds(text: str) -> list[int] | None:
    if not text:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
        raise SettingError(f"--seeds takes one seed or a range like 100-104, not '{text}'.")
    return list(range(int(first), int(last or first) + 1))


def _check(folder: Path, name: str, json: bool) -> None:
    """Judge the recorded scores again; exit code 1 when record, registration and claim do not agree."""
    from dataclasses import asdict

    from sensorium.report.judge import check_claim

    _, wanted, label = find_claim(name)
    path = folder / f"{label}.json"
    if not path.is_file():
        raise InputError(f"no record {path}; run 'sensorium claim {name}' first, or say where it lies with --record.")
    replay = check_claim(path, wanted)
    if json:
        output.emit_json({**asdict(replay), "agrees": replay.agrees})
    else:
        output.say(f"{replay.verdict}: {replay.words}" if replay.agrees else f"{label}: the record does not stand.")
        for problem in replay.problems:
            output.say(f"problem: {problem}")
    if not replay.agrees:
        raise typer.Exit(1)
