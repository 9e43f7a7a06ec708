"""Running a claim: register it, run its arms over the seeds, judge the scores, write record, log and page.

Files in the folder of claims, for a claim called NAME:

    NAME.registration.json   what was fixed before any arm ran, with its sha256
    NAME.json, NAME.html     the newest verdict and its page
    NAME.log.jsonl           every beginning, stop and verdict, appended; nothing is replaced silently
    NAME.tuning.json, .html  the newest run on tuning seeds; no verdict, and not logged
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sensorium.core import files
from sensorium.core.claim import FIRST_TUNING_SEED, Claim, Verdict, check_name, registration
from sensorium.core.errors import SettingError, StageFailedError, UserError, unknown
from sensorium.core.execute import Plan, versions
from sensorium.core.fingerprint import order
from sensorium.core.stage import Stage
from sensorium.core.store import Done
from sensorium.engine.machine import describe
from sensorium.report.judge import (
    LABEL,
    Replay,
    budget_problem,
    check_claim,
    check_metrics,
    in_words,
    judge,
    logged_records,
    read_record,
)

__all__ = ["ClaimOptions", "Outcome", "Replay", "check_claim", "run_claim"]

Build = Callable[..., Stage]
"""`build(variant, **arguments)` returns the last stage of an arm."""
Execute = Callable[[tuple[Stage, ...]], Plan]
"""Runs the given last stages with `reuse="same-source"` and returns the plan they ran under."""


@dataclass(frozen=True, kw_only=True)
class ClaimOptions:
    """What a user may say about one run of a claim.

    Args:
        params: keyword arguments for every arm (the user's own pool); part of the registration.
        seeds: None for the claim's own, 0 to n - 1; other seeds must be tuning seeds (100 and up), and
            their result is no verdict.
        command: how to run this again.
        paper: the recipe's PAPER card, for the page.
        say: where sentences for the user go.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[int] | None = None
    command: str = ""
    paper: Mapping[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = lambda sentence: None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run of a claim left."""

    verdict: Verdict
    words: str
    record: dict[str, Any]
    path: Path
    page: Path


@dataclass
class _Arm:
    """What one arm has shown so far, seed by seed; `compared` arms must say what they spend."""

    arguments: dict[str, Any]
    compared: bool
    scores: dict[str, list[float]] = field(default_factory=dict)
    budget: dict[str, list[float]] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "compared"}


@dataclass(frozen=True, kw_only=True)
class _Ran:
    """All arms on all seeds; seconds by fingerprint, and the plan of the first seed for a look at it."""

    arms: dict[str, _Arm]
    seconds: dict[str, float]
    plan: Plan


def run_claim(
    name: str,
    claim: Claim,
    build: Build,
    execute: Execute,
    out_dir: str | Path,
    options: ClaimOptions | None = None,
) -> Outcome:
    """Run a claim from its registration to its page.

    Args:
        name: the recipe; also the name of the files.
        claim: the claim.
        build: builds an arm from the variant, the arm's arguments, the params and `seed`.
        execute: runs last stages; what arms share is run once, because the store knows it by fingerprint.
        out_dir: the folder of claims, `docs/claims`.
        options: see `ClaimOptions`.

    Raises:
        UserError: a wrong setting, a metric no arm gives, unequal budgets; the log keeps the reason.
    """
    options = options or ClaimOptions()
    seeds, tuning = _seeds(claim, options.seeds)
    home = _Home(Path(out_dir), check_name(name), tuning)
    registered = registration(claim, name, claim.variant, options.params)
    home.begin(registered, seeds, options)
    try:
        ran = _run_arms(claim, build, execute, seeds, options)
    except BaseException as error:  # a crash of an arm and Ctrl-C are stops too
        home.log({"event": "stopped", "registration": registered["sha256"], "reason": _reason(error)})
        raise
    record = _record(name, claim, registered, ran.arms, options)
    record |= {"seeds": seeds, "seconds": round(sum(ran.seconds.values()), 3), "source": ran.plan.source}
    record["tuning"] = tuning
    if tuning:
        record["words"] = "A tuning run on tuning seeds; it is no verdict."
    return home.finish(record, ran.plan, options)


def _reason(error: BaseException) -> str:
    if isinstance(error, UserError | StageFailedError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"{type(error).__name__}: {error}"


def _seeds(claim: Claim, given: Sequence[int] | None) -> tuple[list[int], bool]:
    own = list(range(claim.seeds))
    if given is None or list(given) == own:
        return own, False
    seeds = [int(seed) for seed in given]
    if len(set(seeds)) != len(seeds) or len(seeds) < 2 or min(seeds) < FIRST_TUNING_SEED:
        raise SettingError(
            f"a verdict uses the seeds 0 to {claim.seeds - 1}; to tune, give two or more seeds from "
            f"{FIRST_TUNING_SEED} up, not {', '.join(map(str, seeds)) or 'none'}."
        )
    return seeds, True


def _run_arms(claim: Claim, build: Build, execute: Execute, seeds: list[int], options: ClaimOptions) -> _Ran:
    """Run all arms on the first seed, check what can be checked, then run the rest at once."""
    told = claim.as_json()["arms"]
    arms = {name: _Arm(arguments=told[name], compared=name in claim.compared()) for name in claim.arms}
    seconds: dict[str, float] = {}
    plans: list[Plan] = []
    for part in filter(None, (seeds[:1], seeds[1:])):
        wanted = {
            (seed, arm): build(claim.variant, **{**options.params, **claim.arms[arm], "seed": seed})
            for seed in part
            for arm in claim.arms
        }
        options.say(f"running {len(claim.arms)} arms on {_seed_words(part)}.")
        plan = execute(tuple(wanted.values()))
        plans.append(plan)
        for (seed, arm), stage in wanted.items():
            _collect(arms[arm], stage, plan, claim, seconds)
            _check_values(claim, arm, seed, arms[arm])
        check_metrics(claim, {name: arm.scores for name, arm in arms.items()})
        if problem := budget_problem(claim, {name: arm.budget for name, arm in arms.items()}):
            raise SettingError(f"{problem} A fair test gives every arm the same; fix it in the variant.")
    for arm in arms.values():
        # A metric no expectation reads may lack a value on some seed; half a list would belong to no seeds.
        arm.scores = {metric: values for metric, values in arm.scores.items() if len(values) == len(seeds)}
    return _Ran(arms=arms, seconds=seconds, plan=plans[0])


def _check_values(claim: Claim, name: str, seed: int, arm: _Arm) -> None:
    """Refuse a metric that has a value on other seeds and none on this one: pairs by seed would slip."""
    runs = len(arm.fingerprints)
    for metric in [metric for needed, metric in claim.needed() if needed == name]:
        if 0 < len(arm.scores.get(metric, ())) < runs:
            raise SettingError(
                f"arm '{name}' has no value for {metric} on seed {seed}; its scores.json says why "
                "(often too few items). Use a larger pool."
            )


def _seed_words(seeds: list[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"


def _collect(arm: _Arm, last: Stage, plan: Plan, claim: Claim, seconds: dict[str, float]) -> None:
    """Add one finished graph to its arm."""
    records = _records(last, plan)
    done = records[plan.fingerprints[last]]
    for metric, value in done.metrics.items():
        arm.scores.setdefault(metric, []).append(value)
    for key in claim.equal:
        holders = [record.metrics[key] for record in records.values() if key in record.metrics]
        # An arm that is only a control (an untrained network) may lack what the compared arms spend.
        if not holders and arm.compared:
            known = {metric for record in records.values() for metric in record.metrics}
            raise unknown("figure to keep equal", key, known)
        arm.budget.setdefault(key, []).append(math.fsum(holders))
    arm.fingerprints.append(done.fingerprint)
    arm.seconds.append(round(sum(record.seconds for record in records.values()), 3))
    seconds |= {fingerprint: record.seconds for fingerprint, record in records.items()}


def _records(last: Stage, plan: Plan) -> dict[str, Done]:
    """The records of the distinct stages of a graph, refused where they come from different sources."""
    found: dict[str, Done] = {}
    for stage in order(last):
        done = plan.store.done(stage, plan.fingerprints[stage])
        if done is None:
            raise StageFailedError(
                f"{stage.label()} has no record any more, so its share of the budget is unknown. "
                "Run the claim again with --fresh."
            )
        if plan.is_older(stage, done):
            raise StageFailedError(
                f"{stage.label()} was made by another version of the source; a claim runs all arms with one. "
                "Run it again with --fresh."
            )
        found[done.fingerprint] = done
    return found


def _record(
    name: str, claim: Claim, registered: Mapping[str, Any], arms: Mapping[str, _Arm], options: ClaimOptions
) -> dict[str, Any]:
    judgement = judge(claim, {arm: content.scores for arm, content in arms.items()})
    record = {
        "name": name,
        "label": LABEL,
        "says": claim.says,
        "basis": claim.basis,
        "paper": dict(options.paper),
        "command": options.command or f"sensorium claim {name}",
        "registration": dict(registered),
        "order": list(arms),
        "arms": {arm: content.as_json() for arm, content in arms.items()},
        "expects": [asdict(finding) for finding in judgement.expects],
        "controls": [asdict(finding) for finding in judgement.controls],
        "verdict": judgement.verdict,
        "words": in_words(judgement.verdict),
        "why": judgement.why,
        "versions": versions(),
        "machine": describe(),
        "when": _now(),
    }
    # Tuples become lists now, so that the record in memory equals the one read back.
    return dict(json.loads(json.dumps(record, allow_nan=False)))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class _Home:
    """The files of one claim."""

    def __init__(self, folder: Path, name: str, tuning: bool) -> None:
        self._folder, self._name, self._tuning = folder, name, tuning
        stem = f"{name}.tuning" if tuning else name
        self._path, self._page = folder / f"{stem}.json", folder / f"{stem}.html"
        self._log = folder / f"{name}.log.jsonl"

    def begin(self, registered: Mapping[str, Any], seeds: list[int], options: ClaimOptions) -> None:
        """Write the registration; called before any arm runs."""
        if self._tuning:
            return
        self._keep_unlogged()
        files.write_json(self._folder / f"{self._name}.registration.json", dict(registered))
        self.log({"event": "begun", "registration": dict(registered), "seeds": seeds, "command": options.command})

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one line; a line torn by a kill is closed first, so that it spoils no other."""
        if self._tuning:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"when": _now(), **event}, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
        with files.says_when_full(self._log), self._log.open("ab+") as handle:
            if handle.seek(0, os.SEEK_END) and (handle.seek(-1, os.SEEK_END), handle.read(1))[1] != b"\n":
                line = "\n" + line
            handle.write(line.encode("utf-8", "backslashreplace"))
            handle.flush()
            os.fsync(handle.fileno())

    def finish(self, record: dict[str, Any], plan: Plan, options: ClaimOptions) -> Outcome:
        """Write log, record and page, in this order: what is replaced is in the log already."""
        if self._path.exists() and not self._tuning:
            old = read_record(self._path)
            was = f"the verdict of {old.get('when')} ({old.get('verdict')})"
            options.say(f"replaces {was}, which stays in {self._log.name}.")
        with self._alone():
            self.log({"event": "verdict", "record": record})
            files.write_json(self._path, record)
        # Plots take longer to import than a verdict takes to check, and checking shares this module.
        from sensorium.report.claim_page import write_claim_page
        from sensorium.report.finished import collect

        page = write_claim_page(record, self._page, collect(plan))
        return Outcome(verdict=record["verdict"], words=record["words"], record=record, path=self._path, page=page)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let two runs of one claim end one after the other, so that the record is the log's last verdict."""
        if self._tuning:
            yield
            return
        with self._log.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _keep_unlogged(self) -> None:
        """Put a record that the log lacks into it, so that a new verdict cannot make it disappear."""
        if not self._path.exists():
            return
        record = read_record(self._path)
        if record not in logged_records(self._log):
            self.log({"event": "verdict", "record": record, "note": "found without a line in this log"})
