from __future__ import annotations

import json
import sys

import pytest

CLAIMED = '''"""A toy with a claim."""

import random

from sensorium.core import files
from sensorium.core.claim import Better, Claim
from sensorium.core.score import Score
from sensorium.core.stage import Stage, stage

PAPER = {"title": "Toy", "year": 2026, "room": "evaluate", "says": "More is better.", "needs": {}}


@stage
class Toy(Stage):
    gives = "scores"
    gain: float = 0.0
    seed: int = 0

    def run(self, here):
        value = 0.4 + self.gain + 0.01 * random.Random(f"{self.gain} {self.seed}").random()
        files.write_json(here.out / "scores.json", {"top1": Score(value=value, n=10).as_json()})
        return {"top1": value, "examples": 10}


def mini(gain: float = 0.0, bias: float = 0.0, seed: int = 0) -> Stage:
    """Nothing is learned.

    Args:
        gain: of the arm.
    """
    return Toy(gain=gain + bias, seed=seed)


def _claim(by):
    return Claim(
        says="More is better.",
        arms={"more": {"gain": 0.2}, "less": {}},
        expects=(Better("more", than="less", on="top1", by=by),),
        equal=("examples",),
    )


CLAIM = _claim(0.1)
CLAIMS = {"too_much": _claim(0.5)}
'''
RUN = ("--record", "claims", "--jobs", 1, "--devices", 0)


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "toy.py").write_text(CLAIMED, "utf-8")
    yield "./toy.py"
    sys.modules.pop("sensorium_file_toy", None)


def test_a_claim_runs_and_its_verdict_is_replayed(sensorium, toy, tmp_path):
    ran = sensorium("claim", toy, *RUN)
    assert ran.code == 0
    verdict, record, page = ran.out.splitlines()
    assert verdict.startswith("holds: Holds in this miniature")
    assert (record, page) == ("record: claims/toy.json", "page: claims/toy.html")
    assert json.loads((tmp_path / "claims/toy.json").read_text("utf-8"))["verdict"] == "holds"
    replay = sensorium("claim", toy, "--check", "--record", "claims")
    assert replay.code == 0
    assert replay.out.startswith("holds: ")
    document = sensorium("claim", toy, "--check", "--record", "claims", "--json").document
    assert (document["verdict"], document["agrees"], document["problems"]) == ("holds", True, [])


def test_a_changed_record_is_found_out(sensorium, toy, tmp_path):
    sensorium("claim", toy, *RUN)
    path = tmp_path / "claims/toy.json"
    path.write_text(path.read_text("utf-8").replace('"verdict": "holds"', '"verdict": "fails"', 1), "utf-8")
    ran = sensorium("claim", toy, "--check", "--record", "claims")
    assert ran.code == 1
    assert "problem: " in ran.out


def test_a_second_claim_and_one_that_fails(sensorium, toy, tmp_path):
    document = sensorium("claim", f"{toy}:too_much", *RUN, "--json").document
    assert (document["verdict"], document["path"]) == ("fails", "claims/toy.too_much.json")
    assert sensorium("claim", f"{toy}:too_much", "--check", "--record", "claims").out.startswith("fails: ")


def test_tuning_seeds_give_no_verdict_and_parameters_reach_the_arms(sensorium, toy, tmp_path):
    ran = sensorium("claim", toy, "--seeds", "100-101", "--bias", 0.1, *RUN, "--json")
    assert ran.code == 0
    assert ran.document["seeds"] == [100, 101]
    assert ran.document["tuning"] is True
    assert sorted(path.name for path in (tmp_path / "claims").glob("*.json")) == ["toy.tuning.json"]
    assert min(ran.document["arms"]["less"]["scores"]["top1"]) >= 0.5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["./toy.py:too_mch"], "unknown claim of toy 'too_mch'; did you mean 'too_much'?"),
        (["./toy.py", "--gian", "1"], "toy:mini has no option '--gian'; did you mean '--gain'?"),
        (["./toy.py", "--job", "1"], "there is no option '--job'; did you mean '--jobs'?"),
        (["./toy.py", "--jobs", "-1"], "--jobs is -1; it is a count, or 0 for all cores."),
        (["./toy.py", "--seeds", "9-2"], "--seeds takes one seed or a range like 100-104, not '9-2'."),
        (["./toy.py", "--seeds", "x"], "--seeds takes one seed"),
        (["./toy.py", "--check"], "no record claims/toy.json; run 'sensorium claim ./toy.py' first"),
        (["./toy.py", "--check", "--seeds", "100"], "--seeds has no effect with --check"),
        (["./toy.py", "--check", "--fresh"], "--fresh has no effect with --check"),
        (["./toy.py", "--check", "--out", "runs"], "--out has no effect with --check"),
        (["./toy.py", "--check", "--bias", "1"], "--bias has no effect with --check"),
        (["--check", "--bias", "1", "./toy.py"], "name the recipe first and its options behind it"),
    ],
)
def test_every_mistake_is_one_sentence_and_runs_nothing(sensorium, toy, tmp_path, words, says):
    ran = sensorium("claim", *words, "--record", "claims", "--json")
    assert ran.code == 2
    assert ran.error.startswith(says)
    assert ran.document["error"] == ran.error
    assert not (tmp_path / "runs").exists()


def test_a_recipe_without_a_claim_says_so(sensorium, recipe):
    assert sensorium("claim", recipe).error == "mine has no claim; a recipe states one as CLAIM = Claim(...)."


def test_its_help_lists_the_parameters(sensorium, toy):
    assert "--gain <a number>" in sensorium("claim", toy, "-h").out
