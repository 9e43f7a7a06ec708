from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.core.claim import (
    VERDICTS,
    Better,
    Claim,
    MoreGain,
    Region,
    Same,
    Within,
    check_name,
    registration,
    registration_hash,
    weakest,
)
from sensorium.core.errors import SettingError
from sensorium.core.stage import Stage, stage

ARMS = {"raw": {"select": "all"}, "balanced": {"t": 60}}


def make(**given_):
    settings = {
        "says": "balanced beats raw",
        "arms": ARMS,
        "expects": (Better("balanced", than="raw", by=0.05),),
    }
    return Claim(**(settings | given_))


def signed_sum(expect, scores):
    return sum(term.sign * scores[term.arm][term.metric] for term in expect.terms())


def test_better_is_positive_when_the_arm_wins_in_either_direction():
    scores = {"a": {"top1": 0.7, "wer": 0.1}, "b": {"top1": 0.4, "wer": 0.3}}
    assert signed_sum(Better("a", than="b"), scores) == pytest.approx(0.3)
    assert signed_sum(Better("a", than="b", on="wer", better="lower"), scores) == pytest.approx(0.2)


def test_both_sides_of_better_may_lie_in_one_arm():
    scores = {"a": {"early": 0.2, "late": 0.5}}
    assert signed_sum(Better("a", on="late", than_on="early"), scores) == pytest.approx(0.3)


def test_more_gain_is_a_difference_of_differences():
    scores = {"new": {"tail": 0.10, "head": 0.42}, "old": {"tail": 0.01, "head": 0.40}}
    assert signed_sum(MoreGain("new", "old", on="tail", over="head"), scores) == pytest.approx(0.09 - 0.02)


def test_same_and_within_have_closed_regions_and_better_an_open_one():
    assert 0.01 in Same("a", "b", within=0.01).region()
    assert 0.0 in Same("a", "b", within=0).region()
    assert 0.02 in Within("a", low=0.01, high=0.02).region()
    assert 0.05 not in Better("a", than="b", by=0.05).region()
    assert 0.0 not in MoreGain("a", "b", on="x", over="y").region()


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.booleans())
def test_an_interval_is_never_both_inside_and_outside_a_region(a, b, c, d, strict):
    region = Region(min(a, b), max(a, b), strict and a != b)
    low, high = min(c, d), max(c, d)
    assert not (region.covers(low, high) and region.misses(low, high))


def test_wrong_arms_are_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'balanced'"):
        make(expects=(Better("balancd", than="raw"),))
    with pytest.raises(SettingError, match="unknown arm 'raws'"):
        make(controls=(Within("raws", low=0, high=1),))


def test_wrong_metrics_are_refused_when_the_claim_names_them():
    with pytest.raises(SettingError, match="did you mean 'tail'"):
        make(expects=(Better("balanced", than="raw", on="tial"),), metrics=("top1", "head", "tail"))
    assert make(expects=(Better("balanced", than="raw", on="anything"),)).metrics == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"says": " "}, "sentence"),
        ({"arms": {}}, "at least one arm"),
        ({"expects": ()}, "at least one expectation"),
        ({"seeds": 4}, "5 to 10 seeds, not 4"),
        ({"seeds": 11}, "5 to 10"),
        ({"kind": "seed"}, "did you mean 'seeds'"),
        ({"basis": "worlds"}, "did you mean 'world'"),
        ({"arms": {"raw": {"seed": 1}, "balanced": {}}}, "sets seed"),
    ],
)
def test_claims_that_cannot_be_judged_are_refused(change, words):
    with pytest.raises(SettingError, match=words):
        make(**change)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Better("a", than="b", by=-0.1),
        lambda: Better("a", than="b", by=float("nan")),
        lambda: Better("a"),
        lambda: Better("a", than="b", better="more"),
        lambda: Same("a", "b", within=-1),
        lambda: MoreGain("a", "b", on="x", over="y", by=-1),
        lambda: Within("a", low=2, high=1),
        lambda: Within("a", low=0, high=float("inf")),
    ],
)
def test_expectations_without_meaning_are_refused(build):
    with pytest.raises(SettingError):
        build()


def test_a_score_is_not_compared_with_itself():
    with pytest.raises(SettingError, match="with itself"):
        make(expects=(Better("raw", than="raw"),))
    with pytest.raises(SettingError, match="with itself"):
        make(expects=(MoreGain("balanced", "raw", on="top1", over="top1"),))


def test_an_exact_claim_may_have_one_seed():
    assert make(kind="exact", seeds=1).seeds == 1


def test_compared_arms_are_those_of_expectations_not_of_controls():
    claim = make(arms={**ARMS, "untrained": {}}, controls=(Within("untrained", low=0, high=0.01),))
    assert claim.compared() == ("raw", "balanced")
    assert ("untrained", "top1") in claim.needed()


def test_json_round_trip_keeps_every_expectation():
    claim = make(
        expects=(
            Better("balanced", than="raw", on="wer", better="lower", by=0.02),
            MoreGain("balanced", "raw", on="tail", over="head"),
            Same("balanced", "raw", on="parameters", within=0),
        ),
        controls=(Within("raw", on="top1", low=0, high=0.5),),
        equal=("examples",),
        metrics=("wer", "tail", "head", "parameters", "top1"),
    )
    again = Claim.from_json(json.loads(json.dumps(claim.as_json())))
    assert again == claim


def test_unknown_kinds_of_expectation_in_a_record_are_refused():
    content = make().as_json()
    content["expects"][0]["kind"] = "beter"
    with pytest.raises(SettingError, match="did you mean 'better'"):
        Claim.from_json(content)


def test_the_registration_changes_with_everything_that_is_fixed():
    base = registration(make(), "metaclip", "mini", {"rows": 8000})["sha256"]
    others = [
        registration(make(), "other", "mini", {"rows": 8000}),
        registration(make(), "metaclip", "base", {"rows": 8000}),
        registration(make(), "metaclip", "mini", {"rows": 9000}),
        registration(make(seeds=6), "metaclip", "mini", {"rows": 8000}),
        registration(make(expects=(Better("balanced", than="raw", by=0.04),)), "metaclip", "mini", {"rows": 8000}),
        registration(make(equal=("examples",)), "metaclip", "mini", {"rows": 8000}),
    ]
    assert len({base, *(other["sha256"] for other in others)}) == len(others) + 1
    assert base == registration(make(), "metaclip", "mini", {"rows": 8000})["sha256"]


def test_the_registration_hash_survives_writing_and_reading():
    content = registration(make(says="每个 «claim» ✓"), "m", "mini", {"pool": ("a", 1, 0.5, None)})
    again = json.loads(json.dumps(content, ensure_ascii=False, indent=1))
    assert registration_hash(again) == content["sha256"] == registration_hash(content)


@stage
class World(Stage):
    gives = "pool"
    rows: int = 10

    def run(self, here):
        return {}


@dataclasses.dataclass
class Pool:
    content: str

    def identity(self):
        return {"sha256": self.content}


def test_stages_and_sources_stand_for_themselves_by_content():
    def digest(value):
        return registration(make(), "m", "mini", {"pool": value})["sha256"]

    assert digest(World(rows=10)) == digest(World(rows=10, name="another name"))
    assert digest(World(rows=10)) != digest(World(rows=11))
    assert digest(Pool("a")) != digest(Pool("b"))
    assert digest([Pool("a")]) != digest([Pool("b")])


def test_the_weakest_verdict_decides():
    assert weakest(["holds", "undecided", "holds"]) == "undecided"
    assert weakest(["undecided", "fails"]) == "fails"
    assert weakest(["holds"]) == VERDICTS[-1]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "x" * 81])
def test_names_that_are_no_file_names_are_refused(name):
    with pytest.raises(SettingError):
        check_name(name)


def test_plain_names_pass():
    assert check_name("metaclip.second-2") == "metaclip.second-2"
