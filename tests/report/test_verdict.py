from __future__ import annotations

import fcntl
import json
import random
import threading

import pytest
from tests.report.page_reading import check_page
from tests.report.report_stages import ran

from sensorium.core.claim import Better, Claim, Within
from sensorium.core.errors import InputError, SettingError, StageFailedError
from sensorium.core.stage import Stage, stage, takes
from sensorium.report.judge import check_claim
from sensorium.report.verdict import ClaimOptions, run_claim

RUNS: list[str] = []


@stage
class ToyPool(Stage):
    gives = "pool"

    def run(self, here):
        RUNS.append("pool")
        return {"rows": 100}


@stage
class ToyTraining(Stage):
    gives = "model"
    pool: Stage = takes("pool")
    examples: int = 1000
    gain: float = 0.0
    seed: int = 0

    def run(self, here):
        RUNS.append(f"{self.gain}/{self.seed}")
        return {"examples": self.examples} if self.examples else {"parameters": 5}


@stage
class ToyTest(Stage):
    gives = "scores"
    model: Stage = takes("model")

    def run(self, here):
        chance = random.Random(f"{self.model.gain}/{self.model.seed}")
        once = {"sometimes": 0.5} if self.model.seed != 3 else {}
        return {"top1": round(0.3 + self.model.gain + 0.01 * chance.random(), 4), "tail": 0.1, **once}


def build(variant, **given):
    assert variant == "mini"
    pool = given.pop("pool", None) or ToyPool()
    return ToyTest(model=ToyTraining(pool=pool, **given))


def claim(**given):
    settings = {
        "says": "new <b>beats</b> old",
        "arms": {"old": {}, "new": {"gain": 0.2}, "untrained": {"gain": -0.3, "examples": 0}},
        "expects": (Better("new", than="old", by=0.05),),
        "controls": (Within("untrained", low=0, high=0.05),),
        "equal": ("examples",),
    }
    return Claim(**(settings | given))


class Setting:
    """A store and a folder of claims, with what was said."""

    def __init__(self, folder):
        self.runs, self.out, self.said = folder / "runs", folder / "claims", []
        RUNS.clear()

    def run(self, the_claim=None, name="toy", reuse="same-source", **options):
        def execute(last):
            return ran(self.runs, last, reuse)

        return run_claim(
            name,
            the_claim or claim(),
            build,
            execute,
            self.out,
            ClaimOptions(say=self.said.append, **options),
        )

    def log(self, name="toy"):
        return [json.loads(line) for line in (self.out / f"{name}.log.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path)


def test_a_claim_is_run_judged_recorded_and_shown(setting):
    outcome = setting.run(command="sensorium claim toy", paper={"title": "A paper", "year": 2023})
    assert outcome.verdict == "holds"
    record = json.loads(outcome.path.read_text("utf-8"))
    assert record == outcome.record
    for key in (
        "registration",
        "says",
        "command",
        "seeds",
        "arms",
        "expects",
        "controls",
        "verdict",
        "seconds",
        "versions",
        "machine",
        "source",
        "when",
    ):
        assert key in record
    assert record["label"] == "reimplemented, reduced scale"
    assert len(record["arms"]["new"]["scores"]["top1"]) == 5
    assert record["arms"]["new"]["budget"] == {"examples": [1000.0] * 5}
    assert record["arms"]["new"]["arguments"] == {"gain": 0.2}
    assert record["expects"][0]["mean"] == pytest.approx(0.2, abs=0.02)
    reader = check_page(outcome.page.read_text("utf-8"))
    for words in (
        "new <b>beats</b> old",
        "Holds in this miniature",
        "A paper",
        "untrained",
        "sensorium claim toy --check",
        record["registration"]["sha256"],
    ):
        assert words in reader.text, words
    assert check_claim(outcome.path, claim()).agrees


def test_shared_stages_run_once_and_a_second_claim_reuses_all(setting):
    setting.run()
    assert RUNS.count("pool") == 1
    assert len(RUNS) == 1 + 3 * 5
    setting.run()
    assert len(RUNS) == 1 + 3 * 5


def test_the_registration_is_written_before_any_arm_runs(setting):
    seen = {}

    def execute(last):
        if not seen:
            seen["registered"] = json.loads((setting.out / "toy.registration.json").read_text())
            seen["log"] = setting.log()
            seen["runs"] = list(RUNS)
        return ran(setting.runs, last)

    outcome = run_claim("toy", claim(), build, execute, setting.out)
    assert seen["runs"] == []
    assert seen["registered"] == outcome.record["registration"]
    assert seen["log"][0]["event"] == "begun"
    assert seen["log"][0]["registration"]["sha256"] == outcome.record["registration"]["sha256"]


def test_every_verdict_stays_in_the_log(setting):
    first = setting.run()
    second = setting.run(claim(expects=(Better("new", than="old", by=0.9),)))
    assert second.verdict == "fails"
    assert "paper's own scale" in second.words
    assert any(sentence.startswith("replaces the verdict") and "holds" in sentence for sentence in setting.said)
    verdicts = [line["record"]["verdict"] for line in setting.log() if line["event"] == "verdict"]
    assert verdicts == ["holds", "fails"]
    assert setting.log()[1]["record"] == first.record


def test_two_runs_of_one_claim_end_one_after_the_other(setting):
    log = setting.out / "toy.log.jsonl"
    log.parent.mkdir()
    with log.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        run = threading.Thread(target=setting.run)
        run.start()
        run.join(1.0)
        while len(RUNS) < 16:  # the pool, and three arms on five seeds
            run.join(0.05)
        run.join(0.3)
        assert run.is_alive()
        assert [line["event"] for line in setting.log()] == ["begun"]
        assert not (setting.out / "toy.json").exists()
    run.join()
    assert check_claim(setting.out / "toy.json").agrees


def test_a_record_that_no_log_knows_is_kept_before_it_is_replaced(setting):
    old = setting.run()
    (setting.out / "toy.log.jsonl").unlink()
    setting.run()
    assert next(line["record"]["when"] for line in setting.log() if line["event"] == "verdict") == old.record["when"]
    assert "note" in setting.log()[0]


def test_a_line_torn_by_a_kill_spoils_no_other(setting):
    setting.run()
    log = setting.out / "toy.log.jsonl"
    log.write_bytes(log.read_bytes() + b'{"event": "beg')
    outcome = setting.run()
    assert check_claim(outcome.path).agrees
    assert log.read_text("utf-8").count('"event": "verdict"') == 2


def test_unequal_budgets_stop_after_the_first_seed_and_are_logged(setting):
    unfair = claim(arms={"old": {}, "new": {"gain": 0.2, "examples": 1100}, "untrained": {"gain": -0.3}})
    with pytest.raises(SettingError, match="examples differ by more than 1 %: old 1000, new 1100"):
        setting.run(unfair)
    assert len(RUNS) == 1 + 3
    assert [line["event"] for line in setting.log()] == ["begun", "stopped"]
    assert not (setting.out / "toy.json").exists()


def test_a_budget_within_one_percent_is_fair(setting):
    assert (
        setting.run(claim(arms={"old": {"examples": 995}, "new": {"gain": 0.2}, "untrained": {"gain": -0.3}})).verdict
        == "holds"
    )


def test_wrong_metrics_and_figures_stop_after_the_first_seed_with_the_nearest_name(setting):
    with pytest.raises(SettingError, match="did you mean 'top1'"):
        setting.run(claim(expects=(Better("new", than="old", on="top"),)))
    with pytest.raises(SettingError, match="did you mean 'examples'"):
        setting.run(claim(equal=("eksamples",)))
    assert len(RUNS) == 1 + 3


def test_a_value_that_one_seed_lacks_is_refused_since_pairs_would_slip(setting):
    with pytest.raises(SettingError, match="has no value for sometimes on seed 3"):
        setting.run(claim(expects=(Better("new", than="old", on="sometimes", by=0),)))
    assert not (setting.out / "toy.json").exists()


def test_a_control_off_chance_leaves_the_claim_undecided(setting):
    outcome = setting.run(claim(arms={"old": {}, "new": {"gain": 0.2}, "untrained": {"gain": -0.1, "examples": 0}}))
    assert outcome.verdict == "undecided"
    assert "control" in outcome.record["why"]


def test_params_reach_every_arm_and_the_registration(setting):
    one = setting.run(
        params={"examples": 500},
        the_claim=claim(arms={"old": {}, "new": {"gain": 0.2}, "untrained": {"gain": -0.3}}),
    )
    assert one.record["arms"]["old"]["budget"] == {"examples": [500.0] * 5}
    assert one.record["registration"]["params"] == {"examples": 500}


def test_tuning_seeds_give_no_verdict_and_leave_the_record_alone(setting):
    outcome = setting.run()
    before = outcome.path.read_bytes()
    lines = len(setting.log())
    tuned = setting.run(seeds=[100, 101, 102])
    assert tuned.path.name == "toy.tuning.json"
    assert "no verdict" in tuned.words
    assert "no verdict" in check_page(tuned.page.read_text("utf-8")).text
    assert outcome.path.read_bytes() == before
    assert len(setting.log()) == lines


@pytest.mark.parametrize("seeds", [[0, 1], [5, 6, 7], [100], [100, 100], [99, 100], []])
def test_verdict_seeds_are_fixed(setting, seeds):
    with pytest.raises(SettingError, match="0 to 4"):
        setting.run(seeds=seeds)


def test_the_claims_own_seeds_may_be_said(setting):
    assert setting.run(seeds=range(5)).path.name == "toy.json"


def test_results_of_another_source_are_refused(setting):
    setting.run()
    for path in setting.runs.glob("Toy*/*/done.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"source": "another", "lineage": "another"}))
    with pytest.raises(StageFailedError, match="another version of the source"):
        setting.run(reuse="any")
    assert setting.run(reuse="same-source").verdict == "holds"


def test_missing_stages_below_finished_ones_are_not_guessed(setting):
    setting.run()
    for path in (setting.runs / "ToyTraining").iterdir():
        (path / "done.json").unlink()
    with pytest.raises(StageFailedError, match="share of the budget is unknown"):
        setting.run()


def test_interrupted_runs_are_logged(setting):
    def execute(last):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_claim("toy", claim(), build, execute, setting.out)
    assert setting.log()[-1]["reason"] == "interrupted"


def test_an_arm_that_crashes_is_logged(setting):
    def execute(last):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError):
        run_claim("toy", claim(), build, execute, setting.out)
    assert [line["event"] for line in setting.log()] == ["begun", "stopped"]
    assert setting.log()[-1]["reason"] == "RuntimeError: no memory"


def test_names_that_leave_the_folder_are_refused(setting):
    with pytest.raises(SettingError, match="cannot name"):
        setting.run(name="../../etc/passwd")
    assert not setting.out.exists()


def test_a_foreign_file_in_the_place_of_the_record_is_not_replaced(setting):
    setting.out.mkdir()
    (setting.out / "toy.json").write_text('{"mine": 1}')
    with pytest.raises(InputError, match="not the record of a claim"):
        setting.run()
    assert (setting.out / "toy.json").read_text() == '{"mine": 1}'


def test_an_exact_claim_needs_one_run(setting):
    exact = claim(kind="exact", seeds=1, controls=())
    outcome = setting.run(exact)
    assert outcome.verdict == "holds"
    assert outcome.record["seeds"] == [0]
    check_page(outcome.page.read_text("utf-8"))
