from __future__ import annotations

import copy
import json
import math
import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorium.core.claim import VERDICTS, Better, Claim, MoreGain, Same, Within, registration
from sensorium.core.errors import InputError, SettingError, StageFailedError
from sensorium.report.judge import budget_problem, check_claim, in_words, judge

T5 = 2.7764451051977987  # two-sided 95 % of Student's t with 4 degrees of freedom
ARMS = {"a": {}, "b": {}}
VALUES = st.lists(st.floats(-1, 1).map(lambda value: round(value, 4)), min_size=5, max_size=5)


def claim(*expects, controls=(), **given_):
    settings = {"says": "a beats b", "arms": ARMS, "expects": expects or (Better("a", than="b", by=0.05),)}
    return Claim(**(settings | {"controls": controls} | given_))


def scores(a, b, metric="top1"):
    return {"a": {metric: list(a)}, "b": {metric: list(b)}}


def reference(values):
    """Mean and t interval of five values, the slow way."""
    mean = sum(values) / 5
    half = T5 * statistics.stdev(values) / math.sqrt(5)
    return mean, mean - half, mean + half


@given(VALUES, VALUES, st.floats(0, 0.5))
def test_better_follows_the_interval_of_paired_differences(a, b, by):
    found = judge(claim(Better("a", than="b", by=by)), scores(a, b))
    mean, low, high = reference([x - y for x, y in zip(a, b, strict=True)])
    (finding,) = found.expects
    assert finding.mean == pytest.approx(mean, abs=1e-9)
    assert (finding.low, finding.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    if min(abs(low - by), abs(high - by)) > 1e-9:
        assert found.verdict == ("holds" if low > by else "fails" if high < by else "undecided")


@given(VALUES, VALUES, st.floats(0.001, 0.5))
def test_same_holds_only_when_the_interval_lies_inside_the_margin(a, b, within):
    found = judge(claim(Same("a", "b", within=within)), scores(a, b))
    _, low, high = reference([x - y for x, y in zip(a, b, strict=True)])
    if min(abs(edge - end) for edge in (-within, within) for end in (low, high)) > 1e-9:
        inside, outside = -within < low and high < within, high < -within or low > within
        assert found.verdict == ("holds" if inside else "fails" if outside else "undecided")


@given(VALUES, VALUES)
def test_swapping_the_arms_never_lets_both_hold(a, b):
    one = judge(claim(Better("a", than="b", by=0.0)), scores(a, b)).verdict
    other = judge(claim(Better("b", than="a", by=0.0)), scores(a, b)).verdict
    assert {one, other} != {"holds"}


@given(VALUES, VALUES, st.permutations(range(5)))
def test_the_order_of_the_seeds_does_not_matter(a, b, order):
    shuffled = scores([a[i] for i in order], [b[i] for i in order])
    one, other = judge(claim(), scores(a, b)), judge(claim(), shuffled)
    assert one.verdict == other.verdict
    assert one.expects[0].low == pytest.approx(other.expects[0].low, abs=1e-9)


def test_equal_values_do_not_count_as_a_gain_by_rounding():
    # (0.1 + 0.2) - 0.3 and the like are not zero in floating point.
    found = judge(
        claim(MoreGain("a", "b", on="x", over="y")),
        {"a": {"x": [0.3] * 5, "y": [0.1] * 5}, "b": {"x": [0.2] * 5, "y": [0.0] * 5}},
    )
    assert found.expects[0].values == (0.0,) * 5
    assert found.verdict != "holds"
    assert judge(claim(Same("a", "b", within=0.01)), scores([0.31] * 5, [0.3] * 5)).verdict == "holds"
    assert judge(claim(Better("a", than="b", by=0.01)), scores([0.31] * 5, [0.3] * 5)).verdict != "holds"


def test_lower_may_be_better():
    expect = Better("a", than="b", on="wer", better="lower", by=0.05)
    assert (
        judge(claim(expect), scores([0.1, 0.11, 0.1, 0.12, 0.1], [0.3, 0.3, 0.31, 0.3, 0.29], "wer")).verdict == "holds"
    )


def test_the_weakest_expectation_decides_and_is_named():
    found = judge(
        claim(Better("a", than="b", by=0.05), Better("a", than="b", by=0.5)),
        scores([0.3, 0.31, 0.3, 0.32, 0.3], [0.1] * 5),
    )
    assert [finding.verdict for finding in found.expects] == ["holds", "fails"]
    assert found.verdict == "fails"
    assert found.why.startswith("Not met: a is better than b on top1 by more than 0.5")


def test_a_control_that_does_not_hold_takes_the_verdict_away():
    good = scores([0.3, 0.31, 0.3, 0.32, 0.3], [0.1] * 5)
    control = Within("b", low=0.0, high=0.01)
    found = judge(claim(controls=(control,)), good)
    assert found.verdict == "undecided"
    assert "control" in found.why
    assert judge(claim(controls=(Within("b", low=0, high=0.2),)), good).verdict == "holds"


def test_an_undecided_claim_says_what_it_could_have_seen():
    found = judge(claim(), scores([0.1, 0.3, 0.0, 0.2, 0.1], [0.1, 0.1, 0.2, 0.0, 0.1]))
    assert found.verdict == "undecided"
    assert "would have shown" in found.why
    assert found.expects[0].smallest_effect > 0


def test_exact_claims_judge_every_value():
    exact = {"kind": "exact", "seeds": 1}
    assert judge(claim(Same("a", "b", on="bytes", within=0), **exact), scores([5], [5], "bytes")).verdict == "holds"
    assert judge(claim(Same("a", "b", on="bytes", within=0), **exact), scores([5], [6], "bytes")).verdict == "fails"
    two = claim(Better("a", than="b", on="s", by=1), kind="exact", seeds=2)
    assert judge(two, scores([5, 5], [1, 5], "s")).verdict == "fails"


def test_unknown_metrics_are_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match=r"unknown metric of arm 'a' 'tail'; did you mean 'top1\.tail'"):
        judge(claim(Better("a", than="b", on="tail")), scores([1] * 5, [2] * 5, "top1.tail"))


def test_arms_with_different_numbers_of_scores_are_refused():
    with pytest.raises(StageFailedError, match="one per seed"):
        judge(claim(), scores([1] * 5, [2] * 4))


def test_budgets_may_differ_by_one_percent_between_compared_arms_only():
    three = claim(arms={"a": {}, "b": {}, "untrained": {}}, equal=("examples",))
    even = {"a": {"examples": [1000]}, "b": {"examples": [1009]}, "untrained": {}}
    assert budget_problem(three, even) is None
    odd = {**even, "b": {"examples": [1011]}}
    assert budget_problem(three, odd) == "the arms' examples differ by more than 1 %: a 1000, b 1011."


def test_words_are_about_the_miniature():
    assert "reduced scale" in in_words("holds")
    assert "miniature" in in_words("fails")
    assert "paper's own scale" in in_words("fails")


def record(tmp_path, verdict_scores, the_claim=None):
    the_claim = the_claim or claim(equal=("examples",))
    found = judge(the_claim, verdict_scores)
    content = {
        "name": "toy",
        "registration": registration(the_claim, "toy", "mini", {}),
        "arms": {arm: {"scores": s, "budget": {"examples": [100] * 5}} for arm, s in verdict_scores.items()},
        "seeds": [0, 1, 2, 3, 4],
        "expects": [vars(finding) for finding in found.expects],
        "controls": [],
        "verdict": found.verdict,
        "says": the_claim.says,
        "basis": the_claim.basis,
        "label": "reimplemented, reduced scale",
        "words": in_words(found.verdict),
        "why": found.why,
    }
    path = tmp_path / "toy.json"
    path.write_text(json.dumps(content))
    return path, json.loads(path.read_text())


GOOD = scores([0.3, 0.31, 0.3, 0.32, 0.3], [0.1, 0.12, 0.1, 0.1, 0.11])


def test_a_whole_record_is_replayed_in_well_under_a_second(tmp_path):
    path, _ = record(tmp_path, GOOD)
    started = time.perf_counter()
    replay = check_claim(path, claim(equal=("examples",)))
    assert time.perf_counter() - started < 1
    assert replay.agrees
    assert replay.words.startswith("toy: holds, as recorded")


def changed(content, change):
    content = copy.deepcopy(content)
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(verdict="fails"), "its scores say 'holds'"),
        (lambda r: r["arms"]["a"]["scores"]["top1"].__setitem__(0, 0.9), "figures of the expects"),
        (lambda r: r["expects"][0].update(mean=0.5), "figures of the expects"),
        (lambda r: r["expects"].append(r["expects"][0]), "figures of the expects"),
        (lambda r: r["registration"]["claim"]["expects"][0].update(by=0.01), "hash does not match"),
        (lambda r: r["registration"].update(test="another"), "hash does not match"),
        (lambda r: r.update(seeds=[0, 1, 2, 3, 7]), "seeds are"),
        (lambda r: r.update(says="a proves everything"), "states another says than"),
        (lambda r: r.update(words="Holds.", why="It does."), "states another words, why than"),
        (lambda r: r.update(basis="real model on real data", label="the paper"), "states another basis, label than"),
        (lambda r: r["arms"]["b"]["budget"].update(examples=[math.nan] * 5), "examples differ"),
        (lambda r: r["arms"]["b"]["budget"].update(examples=[100] * 4 + [200]), "examples differ"),
        (
            lambda r: r["arms"].update(c={"scores": {}, "budget": {"examples": [100] * 5}}),
            "arms of the record",
        ),
    ],
)
def test_every_change_of_a_record_is_seen(tmp_path, change, words):
    path, content = record(tmp_path, GOOD)
    path.write_text(json.dumps(changed(content, change)))
    replay = check_claim(path)
    assert not replay.agrees
    assert words in replay.words


def test_a_claim_that_the_recipe_states_differently_today_is_seen(tmp_path):
    path, _ = record(tmp_path, GOOD)
    replay = check_claim(path, claim(Better("a", than="b", by=0.01), equal=("examples",)))
    assert "another claim today" in replay.words


def test_a_record_that_is_not_the_last_in_its_log_is_seen(tmp_path):
    path, content = record(tmp_path, GOOD)
    log = tmp_path / "toy.log.jsonl"
    log.write_text('{"event": "begun"}\n{"event": "verd\n' + json.dumps({"event": "verdict", "record": content}) + "\n")
    assert check_claim(path).agrees
    with log.open("a") as handle:
        handle.write(json.dumps({"event": "verdict", "record": {**content, "verdict": "fails"}}) + "\n")
    assert "another one than the record's" in check_claim(path).words


def test_only_a_line_feed_ends_a_line_of_the_log(tmp_path):
    path, content = record(tmp_path, GOOD, claim(says="a\u2028beats\u0085b\u2029", equal=("examples",)))
    line = json.dumps({"event": "verdict", "record": content}, ensure_ascii=False) + "\n"
    (tmp_path / "toy.log.jsonl").write_text(line, "utf-8", newline="\n")
    assert check_claim(path).agrees


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"registration": {}}', '{"registration": {"claim": {}}, "arms": {}}']
)
def test_what_is_no_record_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"x\.json"):
        check_claim(path)


@pytest.mark.parametrize("gone", ["arms", "seeds", "expects", "verdict", "name", "controls"])
def test_records_that_lack_a_part_are_refused(tmp_path, gone):
    path, content = record(tmp_path, GOOD)
    del content[gone]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a whole record"):
        check_claim(path)


def test_a_missing_record_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="sensorium claim"):
        check_claim(tmp_path / "none.json")


def test_verdicts_are_ordered_from_weak_to_strong():
    assert VERDICTS == ("fails", "undecided", "holds")
