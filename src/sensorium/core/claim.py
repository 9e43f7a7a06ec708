"""Claims: a paper's central sentence as an experiment with arms, seeds, expectations and controls; pure data.

An expectation is a signed sum of scores and a region in which that sum must lie. So a difference between two
arms, a difference of differences and a control at chance are judged by one rule, in `report/judge.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from sensorium.core.errors import SettingError, unknown
from sensorium.core.fingerprint import Fingerprints, class_name
from sensorium.core.stage import Source, Stage, plain

Basis = Literal["real model on real data", "trained here on real data", "world"]
Verdict = Literal["holds", "undecided", "fails"]

BASES = ("real model on real data", "trained here on real data", "world")
VERDICTS: tuple[Verdict, ...] = ("fails", "undecided", "holds")
"""From the weakest to the strongest; the weakest expectation decides."""

LEVEL = 0.95
TEST = (
    "differences paired by seed; Student t interval of their mean at 95 %; holds: wholly inside the expected "
    "region, fails: wholly outside, else undecided; the weakest expectation decides; a control that does not "
    "hold turns 'holds' into 'undecided'"
)
TEST_EXACT = "every recorded value lies in the expected region; one outside fails; the weakest expectation decides"
FIRST_TUNING_SEED = 100
"""Tuning uses seeds from here up, verdicts the seeds 0 to n - 1."""


@dataclass(frozen=True)
class Term:
    """One score in a signed sum: `sign * score of the arm on the metric`."""

    sign: int
    arm: str
    metric: str


@dataclass(frozen=True)
class Region:
    """Where a signed sum must lie; `strict` leaves the bounds themselves out."""

    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    def __contains__(self, value: float) -> bool:
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def covers(self, low: float, high: float) -> bool:
        """Whether a whole interval lies inside."""
        return low in self and high in self

    def misses(self, low: float, high: float) -> bool:
        """Whether a whole interval lies outside, on one side."""
        if self.strict:
            return high <= self.low or low >= self.high
        return high < self.low or low > self.high


@dataclass(frozen=True)
class Better:
    """One arm is better than another by more than a margin.

    Args:
        arm: the arm that should win.
        than: the arm it is compared with; the same arm when `than_on` names another metric.
        on: a key of the metrics in the last stage's done.json.
        by: the margin, in the unit of the metric; 0 asks for any difference.
        than_on: the metric of the other side, where it is not `on`.
        better: whether higher or lower values of the metric are better.
    """

    arm: str
    _: KW_ONLY
    than: str = ""
    on: str = "top1"
    by: float = 0.01
    than_on: str = ""
    better: Literal["higher", "lower"] = "higher"
    kind: ClassVar[str] = "better"

    def __post_init__(self) -> None:
        _check_margin("Better.by", self.by)
        if self.better not in ("higher", "lower"):
            raise unknown("direction of Better", str(self.better), ("higher", "lower"))
        if not self.than and not self.than_on:
            raise SettingError(
                f"Better('{self.arm}') compares with nothing; give than=ARM, or than_on=METRIC for one arm."
            )

    def terms(self) -> tuple[Term, ...]:
        """The better side minus the other, so that a gain is positive in both directions."""
        sign = 1 if self.better == "higher" else -1
        return Term(sign, self.arm, self.on), Term(-sign, self.than or self.arm, self.than_on or self.on)

    def region(self) -> Region:
        """Beyond the margin."""
        return Region(low=self.by, strict=True)

    def says(self) -> str:
        """The expectation in words."""
        other = f"{self.than or self.arm}" + (f" on {self.than_on}" if self.than_on else "")
        lower = " (lower is better)" if self.better == "lower" else ""
        return f"{self.arm} is better than {other} on {self.on} by more than {self.by:g}{lower}"


@dataclass(frozen=True)
class MoreGain:
    """One arm gains more over another on one metric than on a second: a difference of differences."""

    arm: str
    than: str
    _: KW_ONLY
    on: str
    over: str
    by: float = 0.0
    kind: ClassVar[str] = "more gain"

    def __post_init__(self) -> None:
        _check_margin("MoreGain.by", self.by)

    def terms(self) -> tuple[Term, ...]:
        """(arm - than) on `on`, minus (arm - than) on `over`."""
        return (
            Term(1, self.arm, self.on),
            Term(-1, self.than, self.on),
            Term(-1, self.arm, self.over),
            Term(1, self.than, self.over),
        )

    def region(self) -> Region:
        """Beyond the margin."""
        return Region(low=self.by, strict=True)

    def says(self) -> str:
        """The expectation in words."""
        more = f" by more than {self.by:g}" if self.by else ""
        return f"{self.arm} gains more over {self.than} on {self.on} than on {self.over}{more}"


@dataclass(frozen=True)
class Same:
    """Two arms differ by no more than a margin (equivalence, not the absence of a significant difference)."""

    a: str
    b: str
    _: KW_ONLY
    on: str = "top1"
    within: float = 0.01
    kind: ClassVar[str] = "same"

    def __post_init__(self) -> None:
        _check_margin("Same.within", self.within)

    def terms(self) -> tuple[Term, ...]:
        """The first arm minus the second."""
        return Term(1, self.a, self.on), Term(-1, self.b, self.on)

    def region(self) -> Region:
        """Around zero, the margin included."""
        return Region(-self.within, self.within)

    def says(self) -> str:
        """The expectation in words."""
        if self.within == 0:
            return f"{self.a} equals {self.b} on {self.on}"
        return f"{self.a} equals {self.b} on {self.on} within {self.within:g}"


@dataclass(frozen=True)
class Within:
    """An arm's score lies in a band: a control at chance, a published value."""

    arm: str
    _: KW_ONLY
    on: str = "top1"
    low: float = 0.0
    high: float = 1.0
    kind: ClassVar[str] = "within"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise SettingError(f"Within('{self.arm}') needs finite low <= high, not {self.low:g} and {self.high:g}.")

    def terms(self) -> tuple[Term, ...]:
        """The score itself."""
        return (Term(1, self.arm, self.on),)

    def region(self) -> Region:
        """The band, its ends included."""
        return Region(self.low, self.high)

    def says(self) -> str:
        """The expectation in words."""
        return f"{self.arm} lies between {self.low:g} and {self.high:g} on {self.on}"


Expect = Better | MoreGain | Same | Within
_KINDS: dict[str, type[Expect]] = {cls.kind: cls for cls in (Better, MoreGain, Same, Within)}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A paper's central sentence, as an experiment on a recipe's variant.

    Args:
        says: the sentence.
        arms: arm -> keyword arguments of the variant; whoever runs the claim adds `seed=s`.
        expects: what must be seen for the claim to hold; all of it.
        equal: metric keys whose sum over the stages of an arm is the same for all compared arms, to 1 %.
        seeds: how many paired repetitions, fixed before the run: 5 to 10. Kind "exact" may have one.
        controls: what must be seen for the experiment to mean anything: an untrained network at chance, ...
        variant: the recipe's function that builds an arm.
        kind: "seeds" judges intervals over seeds; "exact" judges each value (byte identity, virtual time).
        basis: what the numbers stand on; a claim that only a world can carry says so.
        metrics: the keys that the last stage gives; a misspelt one is then refused before anything runs.
        rests_on: parameters of the variant that nobody may set, since the expectations speak of what they choose
            (a world, its labels).
    """

    says: str
    arms: Mapping[str, Mapping[str, Any]]
    expects: tuple[Expect, ...]
    equal: tuple[str, ...] = ()
    seeds: int = 5
    controls: tuple[Expect, ...] = ()
    variant: str = "mini"
    kind: Literal["seeds", "exact"] = "seeds"
    basis: Basis = "world"
    metrics: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.says.strip() or not self.arms or not self.expects:
            raise SettingError("a claim has a sentence (says), at least one arm and at least one expectation.")
        if self.kind not in ("seeds", "exact"):
            raise unknown("kind of claim", str(self.kind), ("seeds", "exact"))
        if self.basis not in BASES:
            raise unknown("basis of a claim", str(self.basis), BASES)
        fewest = 5 if self.kind == "seeds" else 1
        if not fewest <= self.seeds <= 10:
            raise SettingError(f"a claim of kind '{self.kind}' has {fewest} to 10 seeds, not {self.seeds}.")
        for arm, arguments in self.arms.items():
            if "seed" in arguments:
                raise SettingError(f"arm '{arm}' sets seed; the seeds are the claim's, not the arm's.")
        for expect in (*self.expects, *self.controls):
            self._check_names(expect)

    def _check_names(self, expect: Expect) -> None:
        for term in expect.terms():
            if term.arm not in self.arms:
                raise unknown("arm", term.arm, self.arms)
            if self.metrics and term.metric not in self.metrics:
                raise unknown("metric", term.metric, self.metrics)
        if len({(term.arm, term.metric) for term in expect.terms()}) < len(expect.terms()):
            raise SettingError(f"'{expect.says()}' compares a score with itself.")

    def compared(self) -> tuple[str, ...]:
        """The arms named by an expectation, in the order of `arms`: those that must have equal budgets."""
        named = {term.arm for expect in self.expects for term in expect.terms()}
        return tuple(arm for arm in self.arms if arm in named)

    def needed(self) -> tuple[tuple[str, str], ...]:
        """The (arm, metric) pairs that expectations and controls read."""
        terms = [term for expect in (*self.expects, *self.controls) for term in expect.terms()]
        return tuple(dict.fromkeys((term.arm, term.metric) for term in terms))

    def test(self) -> str:
        """The rule of judgement, in one sentence."""
        return TEST if self.kind == "seeds" else TEST_EXACT

    def as_json(self) -> dict[str, Any]:
        """The claim as plain values; stages and sources stand for themselves by what they contain."""
        return {
            "says": self.says,
            "arms": {arm: {key: _content(value) for key, value in given.items()} for arm, given in self.arms.items()},
            "expects": [_expect_json(expect) for expect in self.expects],
            "controls": [_expect_json(expect) for expect in self.controls],
            "equal": list(self.equal),
            "seeds": self.seeds,
            "variant": self.variant,
            "kind": self.kind,
            "basis": self.basis,
            "metrics": list(self.metrics),
            "rests_on": list(self.rests_on),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Claim:
        """A claim read back from a record; its arms hold plain values, which is enough to judge."""
        given = dict(content)
        for key in ("expects", "controls"):
            given[key] = tuple(_expect_from(item) for item in given.get(key, ()))
        for key in ("equal", "metrics", "rests_on"):
            given[key] = tuple(given.get(key, ()))
        return cls(**given)


def registration(claim: Claim, name: str, variant: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What is fixed before any arm runs, with its own sha256.

    Args:
        claim: the claim.
        name: the recipe.
        variant: the variant that is run; usually `claim.variant`.
        params: keyword arguments given to every arm (the user's own pool, a threshold).
    """
    content = {
        "recipe": name,
        "variant": variant,
        "params": {key: _content(value) for key, value in params.items()},
        "claim": claim.as_json(),
        "test": claim.test(),
    }
    return {**content, "sha256": registration_hash(content)}


def registration_hash(content: Mapping[str, Any]) -> str:
    """The sha256 of a registration, its own `sha256` left out; equal on any machine."""
    fixed = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(fixed, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def weakest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of the weakest of several."""
    return VERDICTS[min(VERDICTS.index(verdict) for verdict in verdicts)]


def _content(value: Any) -> Any:
    """A keyword argument as a plain value that changes when what it stands for changes."""
    if isinstance(value, Stage):
        return {"stage": class_name(type(value)), "fingerprint": Fingerprints(value)[value]}
    if isinstance(value, Source) and not isinstance(value, type):
        return {"source": class_name(type(value)), "identity": plain(value.identity())}
    if isinstance(value, Mapping):
        return {str(key): _content(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_content(inner) for inner in value]
    return plain(value)


def _expect_json(expect: Expect) -> dict[str, Any]:
    return {"kind": expect.kind, **dataclasses.asdict(expect)}


def _expect_from(content: Mapping[str, Any]) -> Expect:
    given = dict(content)
    kind = str(given.pop("kind", ""))
    if kind not in _KINDS:
        raise unknown("kind of expectation", kind, _KINDS)
    return _KINDS[kind](**given)


def _check_margin(where: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise SettingError(f"{where} is a margin of at least 0, not {value:g}.")


def check_name(name: str) -> str:
    """Refuse a claim name that could not be a plain file name."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", name):
        raise SettingError(
            f"'{name:.80}' cannot name a claim's files; use letters, digits, '_', '-' and '.', at most 80."
        )
    return name
