"""Judging a claim from recorded scores and replaying a recorded verdict: no model, no plot, no second."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensorium.core import files
from sensorium.core.claim import (
    LEVEL,
    VERDICTS,
    Claim,
    Expect,
    Term,
    Verdict,
    registration_hash,
    weakest,
)
from sensorium.core.errors import InputError, StageFailedError, UserError, listing, unknown
from sensorium.metrics.paired import paired_difference
from sensorium.report.text import number, signed

Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""arm -> metric -> one value per seed, in the order of the seeds."""

BUDGET_TOLERANCE = 0.01
LABEL = "reimplemented, reduced scale"
_DIGITS = 12  # decimal digits kept of a sum of scores: 0.1 + 0.2 - 0.3 must not count as a gain


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One expectation, judged.

    Args:
        says: the expectation in words.
        verdict: what the interval says about it.
        values: the signed sum of scores per seed.
        mean: their mean; low, high: its interval (the range of the values for kind "exact").
        effect_size: mean / standard deviation over seeds (paired d); None when all values are equal.
        smallest_effect: the smallest true difference these seeds would have shown four times in five.
    """

    says: str
    verdict: Verdict
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    effect_size: float | None = None
    smallest_effect: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """All expectations and controls, and what follows."""

    verdict: Verdict
    expects: tuple[Finding, ...]
    controls: tuple[Finding, ...]
    why: str


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A recorded verdict, judged again from its recorded scores."""

    name: str
    verdict: Verdict
    problems: tuple[str, ...]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether the record is whole, unchanged since its registration, and gives the verdict it states."""
        return not self.problems

    @property
    def words(self) -> str:
        """One line for the terminal, or one per problem."""
        if self.agrees:
            return f"{self.name}: {self.verdict}, as recorded; replayed in {self.seconds:.2f} s."
        return "\n".join(f"{self.name}: {problem}" for problem in self.problems)


def judge(claim: Claim, scores: Scores) -> Judgement:
    """Judge every expectation and control of a claim.

    Args:
        claim: the claim.
        scores: arm -> metric -> values in the order of the seeds; all as long as there are seeds.

    Raises:
        SettingError: a metric that the arms do not give.
    """
    check_metrics(claim, scores)
    expects = tuple(_finding(expect, claim, scores) for expect in claim.expects)
    controls = tuple(_finding(expect, claim, scores) for expect in claim.controls)
    verdict = weakest(finding.verdict for finding in expects)
    broken = [finding for finding in controls if finding.verdict != "holds"]
    if verdict == "holds" and broken:
        why = f"All expectations are met, but a control is not: {broken[0].says} ({_figures(broken[0])})."
        return Judgement(verdict="undecided", expects=expects, controls=controls, why=why)
    decisive = min(expects, key=lambda finding: VERDICTS.index(finding.verdict))
    why = _why(verdict, decisive, len(expects))
    return Judgement(verdict=verdict, expects=expects, controls=controls, why=why)


def check_metrics(claim: Claim, scores: Scores) -> None:
    """Refuse a metric that an arm did not give, with the nearest name."""
    for arm, metric in claim.needed():
        if metric not in scores.get(arm, {}):
            raise unknown(f"metric of arm '{arm}'", metric, scores.get(arm, {}))


def budget_problem(claim: Claim, budgets: Mapping[str, Mapping[str, Sequence[float]]]) -> str | None:
    """A sentence about the first of `claim.equal` that differs by over 1 % between compared arms, or None.

    Args:
        claim: names the keys and the arms.
        budgets: arm -> key -> one sum per seed.
    """
    for key in claim.equal:
        for values in zip(*(budgets[arm][key] for arm in claim.compared()), strict=True):
            low, high = min(values), max(values)
            if not all(map(math.isfinite, values)) or high - low > BUDGET_TOLERANCE * abs(high):
                given = ", ".join(f"{arm} {value:g}" for arm, value in zip(claim.compared(), values, strict=True))
                return f"the arms' {key} differ by more than 1 %: {given}."
    return None


def in_words(verdict: Verdict) -> str:
    """What a verdict means, worded about the miniature and nothing larger."""
    return {
        "holds": f"Holds in this miniature ({LABEL}).",
        "undecided": f"Undecided in this miniature ({LABEL}).",
        "fails": f"Does not hold in this miniature ({LABEL}). This says nothing about the paper's own scale.",
    }[verdict]


def check_claim(path: str | Path, claim: Claim | None = None) -> Replay:
    """Replay a recorded verdict: same registration, same figures, same words, equal budgets.

    Args:
        path: `docs/claims/NAME.json`.
        claim: the claim as the recipe states it today; a difference from the registered one is a problem.

    Raises:
        InputError: the file is missing, torn, or no record of a claim.
    """
    started = time.perf_counter()
    record = read_record(path)
    try:
        problems = _problems(record, claim)
        found = judge(Claim.from_json(record["registration"]["claim"]), arm_scores(record))
        problems += _differences(record, found)
        problems += _log_problems(Path(path), record)
        name = str(record["name"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__} {error}"
        raise InputError(f"{path} is not a whole record of a claim ({reason}); run the claim again.") from error
    return Replay(
        name=name,
        verdict=found.verdict,
        problems=tuple(problems),
        seconds=time.perf_counter() - started,
    )


def read_record(path: str | Path) -> dict[str, Any]:
    """The record in a file, with one sentence where it cannot be read."""
    try:
        record = files.read_json(Path(path))
    except FileNotFoundError as error:
        raise InputError(f"there is no record {path}; run 'sensorium claim NAME' first.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); run the claim again.") from error
    if not isinstance(record, dict) or "registration" not in record:
        raise InputError(f"{path} is not the record of a claim; it has no registration.")
    return record


def logged_records(log: Path) -> list[Any]:
    """The records of all verdicts in a log, oldest first; a line torn by a kill is passed over."""
    found = []
    # LF alone ends a line: a claim may hold U+2028 and the like, which stand unescaped in JSON.
    for line in log.read_bytes().decode("utf-8", "replace").split("\n") if log.exists() else []:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict) and event.get("event") == "verdict":
            found.append(event.get("record"))
    return found


def arm_scores(record: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """The scores of a record: arm -> metric -> values."""
    return {arm: dict(content["scores"]) for arm, content in record["arms"].items()}


def _finding(expect: Expect, claim: Claim, scores: Scores) -> Finding:
    values, digits = _signed_sums(expect.terms(), scores)
    region = expect.region()
    if claim.kind == "exact":
        verdict: Verdict = "holds" if all(value in region for value in values) else "fails"
        mean = math.fsum(values) / len(values)
        return Finding(says=expect.says(), verdict=verdict, values=values, mean=mean, low=min(values), high=max(values))
    found = paired_difference(dict(enumerate(values)), dict.fromkeys(range(len(values)), 0.0), LEVEL)
    low, high = round(found.low, digits), round(found.high, digits)
    verdict = "holds" if region.covers(low, high) else "fails" if region.misses(low, high) else "undecided"
    return Finding(
        says=expect.says(),
        verdict=verdict,
        values=values,
        mean=round(found.mean, digits),
        low=low,
        high=high,
        # Against nothing, a score has a size but no effect.
        effect_size=found.effect_size if len(expect.terms()) > 1 else None,
        smallest_effect=found.detectable,
    )


def _signed_sums(terms: Sequence[Term], scores: Scores) -> tuple[tuple[float, ...], int]:
    columns = [[term.sign * float(value) for value in scores[term.arm][term.metric]] for term in terms]
    lengths = {len(column) for column in columns}
    if len(lengths) != 1 or 0 in lengths:
        raise StageFailedError(f"the arms have {sorted(lengths)} scores; every arm needs one per seed.")
    largest = max((abs(value) for column in columns for value in column), default=0.0)
    digits = _DIGITS - (math.floor(math.log10(largest)) if largest > 0 else 0)
    return tuple(round(math.fsum(values), digits) for values in zip(*columns, strict=True)), digits


def _figures(finding: Finding) -> str:
    return f"{signed(finding.mean)}, interval {signed(finding.low)} to {signed(finding.high)}"


def _why(verdict: Verdict, finding: Finding, count: int) -> str:
    if verdict == "holds":
        rest = "" if count == 1 else f", and so for all {count} expectations"
        return f"{finding.says}: {_figures(finding)}{rest}."
    if verdict == "fails":
        return f"Not met: {finding.says} ({_figures(finding)})."
    seen = f"; these seeds would have shown {number(finding.smallest_effect, 2)}" if finding.smallest_effect else ""
    return f"Too close to tell: {finding.says} ({_figures(finding)}{seen})."


def _problems(record: Mapping[str, Any], today: Claim | None) -> list[str]:
    registered = record["registration"]
    problems = []
    if registration_hash(registered) != registered.get("sha256"):
        problems.append("the registration was changed after it was made: its hash does not match.")
    claim = Claim.from_json(registered["claim"])
    if set(record["arms"]) != set(claim.arms):
        problems.append("the arms of the record are not those that were registered.")
    if record["seeds"] != list(range(claim.seeds)):
        problems.append(f"the seeds are {record['seeds']}, not the registered 0 to {claim.seeds - 1}.")
    if any(len(values) != claim.seeds for arm in arm_scores(record).values() for values in arm.values()):
        problems.append(f"an arm has not exactly one score for each of the {claim.seeds} registered seeds.")
    if unequal := budget_problem(claim, {arm: record["arms"][arm]["budget"] for arm in record["arms"]}):
        problems.append(unequal)
    if today is not None and today.as_json() != registered["claim"]:
        problems.append("the recipe states another claim today than the one that was registered.")
    return problems


def _differences(record: Mapping[str, Any], found: Judgement) -> list[str]:
    problems = []
    if record["verdict"] != found.verdict:
        problems.append(f"the record says '{record['verdict']}', its scores say '{found.verdict}'.")
    registered = record["registration"]["claim"]
    stated = {"says": registered["says"], "basis": registered["basis"], "label": LABEL}
    stated |= {"words": in_words(found.verdict), "why": found.why}
    changed = [key for key, value in stated.items() if record[key] != value]
    if changed:
        problems.append(f"the record states another {listing(changed)} than its registration and scores give.")
    for part in ("expects", "controls"):
        replayed = [asdict(finding) for finding in getattr(found, part)]
        if len(replayed) != len(record[part]) or any(
            not _alike(now[key], was.get(key)) for now, was in zip(replayed, record[part], strict=True) for key in now
        ):
            problems.append(f"the recorded figures of the {part} differ from those its scores give.")
    return problems


def _alike(now: Any, was: Any) -> bool:
    if isinstance(now, float) and isinstance(was, int | float):
        return math.isclose(now, was, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(now, tuple | list):
        return isinstance(was, list) and len(now) == len(was) and all(map(_alike, now, was))
    return bool(now == was)


def _log_problems(path: Path, record: Mapping[str, Any]) -> list[str]:
    log = path.with_name(f"{path.stem}.log.jsonl")
    if not log.exists():
        return []
    logged = logged_records(log)
    if not logged or logged[-1] != record:
        return [f"the last verdict in {log.name} is another one than the record's."]
    return []
