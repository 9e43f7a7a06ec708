from __future__ import annotations

import json
import sys

import pytest

STAGES = ["captions", "entries", "curated"]


def test_a_recipe_by_path_runs_and_says_what_came_out(sensorium, recipe, tmp_path):
    ran = sensorium("run", recipe, "--t", 3)
    assert ran.code == 0
    figures = dict(line.split(None, 1) for line in ran.out.splitlines())
    assert figures["rows_in"] == "1,000"
    assert figures["page:"] == "runs/mine/mini/report.html"
    assert "curated: EnoughWords, Match, Balance: 1/1 items" in ran.err
    assert sorted(path.name for path in (tmp_path / "runs/mine/mini").iterdir()) == [*sorted(STAGES), "report.html"]


def test_a_recipe_by_module_and_by_variant(sensorium, recipe, tmp_path, monkeypatch):
    package = tmp_path / "toys_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    text = (tmp_path / "mine.py").read_text("utf-8")
    (package / "toy.py").write_text(text + "\n\ndef other(words: int = 1) -> Stage:\n    return mini(words=words)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sensorium("show", "toys_of_mine.toy", "--json").document["variants"] == ["mini", "other"]
    assert sensorium("run", "toys_of_mine.toy:other", "--json").document["path"].startswith("runs/Curate/")
    assert (tmp_path / "runs/toy/other/curated").is_dir()
    sys.modules.pop("toys_of_mine.toy", None)


def test_with_json_there_is_one_document(sensorium, recipe):
    ran = sensorium("run", recipe, "--json")
    assert ran.err == ""
    assert set(ran.document) == {"path", "page", "metrics", "done"}
    assert ran.document["done"]["metrics"] == ran.document["metrics"]


def test_what_a_recipe_prints_stays_out_of_the_document(sensorium, recipe, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(path.read_text("utf-8").replace('    """Filter, match', '    print("loud")\n    """Filter, match'))
    ran = sensorium("run", recipe, "--json")
    assert ran.document["metrics"]["rows_in"] == 1000
    assert ran.err == "loud\n"


def test_dry_run_says_what_would_run_and_runs_nothing(sensorium, recipe, tmp_path):
    plan = sensorium("run", recipe, "--dry-run", "--json").document
    assert [(row["stage"], row["state"]) for row in plan] == [(name, "runs") for name in STAGES]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py"]
    sensorium("run", recipe)
    kept = sensorium("run", recipe, "--dry-run", "--json", "--t", 7).document
    assert [row["state"] for row in kept] == ["kept", "kept", "runs"]
    fresh = sensorium("run", recipe, "--dry-run", "--json", "--fresh").document
    assert [row["state"] for row in fresh] == ["runs"] * 3
    table = sensorium("run", recipe, "--dry-run").out.splitlines()
    assert table[0].split() == ["stage", "gives", "state", "folder"]
    assert table[1].split()[:3] == ["captions", "pool", "kept"]


def test_a_second_run_keeps_everything_and_a_fresh_one_nothing(sensorium, recipe, tmp_path):
    def times():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/*/done.json")}

    first = sensorium("run", recipe, "--json").document
    before = times()
    assert sensorium("run", recipe, "--json").document == first
    assert times() == before
    assert sensorium("run", recipe, "--fresh").code == 0
    assert len(before) == 3
    assert all(times()[path] > before[path] for path in before)


def test_workers_and_threads_reach_the_record(sensorium, recipe):
    done = sensorium("run", recipe, "--workers", 3, "--json").document["done"]
    assert done["machine"]["workers"] == 3
    assert sensorium("run", recipe, "--threads", 2).error == (
        "--threads has no effect: no stage of ./mine.py computes with tensors; leave it out."
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["metclip"], "unknown recipe 'metclip'; did you mean 'metaclip'?"),
        (["./mine.py:mni"], "unknown variant of mine 'mni'; did you mean 'mini'? Known: mini."),
        (["./none.py"], "no recipe file ./none.py"),
        (["no.such.module"], "unknown recipe 'no.such.module'"),
        (["./mine.py", "--wrods", "3"], "mine:mini has no option '--wrods'; did you mean '--words'?"),
        (["./mine.py", "--clip.stepz", "3"], "mine:mini has no option '--clip.stepz'"),
        (["./mine.py", "--worker", "3"], "there is no option '--worker'; did you mean '--workers'?"),
        (["./mine.py", "--t", "abc"], "--t takes a whole number, not 'abc'."),
        (["./mine.py", "--t", "1e3"], "--t takes a whole number, not '1e3'."),
        (["./mine.py", "--t", "-5"], "Balance.t is -5; it must be a whole number of 1 or more."),
        (["./mine.py", "--t", "0"], "Balance.t is 0; it must be"),
        (["./mine.py", "--t", "3", "--t", "4"], "--t is given twice: '3' and '4'; say it once."),
        (["./mine.py", "--t"], "--t needs a value"),
        (["./mine.py", "3"], "'3' is neither an option nor the value of one"),
        (["--t", "3", "./mine.py"], "name the recipe first and its options behind it"),
        (["./mine.py", "--workers", "x"], "Invalid value for '--workers': it takes a whole number"),
        (["./mine.py", "--workers", "-1"], "--workers is -1; it is a count, or 0 for all cores."),
        (["./mine.py", "--precision", "64"], "unknown precision '64'"),
        (["./mine.py", "--pool", "gone/*.parquet"], "nothing matches gone/*.parquet"),
        (["metaclip", "--select", "balance"], "unknown value for --select 'balance'; did you mean 'balanced'?"),
        (["metaclip:base"], "metaclip:base needs 'pool'; on the command line: --pool."),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_every_mistake_is_one_sentence_before_any_work(sensorium, recipe, tmp_path, words, says, as_json):
    ran = sensorium("run", *words, *(["--json"] if as_json else []))
    assert ran.code == 2
    assert ran.error.startswith(says)
    assert ran.err.count("\n") == 1
    if as_json:
        assert ran.document == {"error": ran.error, "code": 2}
    else:
        assert ran.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py"]


def test_a_folder_of_somebodys_files_is_no_store(sensorium, recipe, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").touch()
    assert sensorium("run", recipe, "--out", "photos").error == (
        "photos holds files that are not sensorium's (holiday.jpg, ...); choose an empty or new folder for the results."
    )
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["holiday.jpg"]
    assert sensorium("run", recipe, "--out", "mine.py").error.startswith("mine.py is a file")


class TestShow:
    def test_the_card_the_options_and_the_stages(self, sensorium, recipe):
        shown = " ".join(sensorium("show", recipe, "--words", 2, "--t", 9).out.split())
        assert "mine: mine (2026) The one sentence this system stands for." in shown
        assert "columns it needs text a caption" in shown
        assert "variants: mini" in shown
        assert "--words <a whole number> captions with fewer words are dropped. [default: 4]" in shown
        assert "Curate(steps=[EnoughWords(words=2), Match(vocabulary=<entries>), Balance(t=9)])" in shown

    def test_as_json(self, sensorium, recipe):
        shown = sensorium("show", recipe, "--seed", 5, "--json").document
        assert (shown["recipe"], shown["variant"], shown["variants"]) == ("mine", "mini", ["mini"])
        assert shown["paper"]["needs"] == {"text": "a caption"}
        assert shown["parameters"]["t"]["default"] == 50
        assert [stage["name"] for stage in shown["stages"]] == STAGES
        assert shown["stages"][2]["consumes"] == [1, 2]
        assert "seed=5" in json.dumps(shown["stages"])

    def test_lines_fit_a_page(self, sensorium):
        assert max(map(len, sensorium("show", "metaclip").out.splitlines())) <= 100

    def test_nothing_is_written(self, sensorium, recipe, tmp_path):
        sensorium("show", recipe)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py"]

    def test_options_of_run_are_no_options_of_show(self, sensorium, recipe):
        assert sensorium("show", recipe, "--fresh", "yes").error.startswith("mine:mini has no option '--fresh'")


def test_scores_are_printed_with_their_intervals(sensorium, tmp_path):
    (tmp_path / "scored.py").write_text(
        "from sensorium.core import files\n"
        "from sensorium.core.score import Score\n"
        "from sensorium.core.stage import Stage, stage\n\n"
        "PAPER = {'title': 'Scored', 'year': 2026, 'room': 'evaluate'}\n\n\n"
        "@stage\n"
        "class Scored(Stage):\n"
        "    gives = 'scores'\n\n"
        "    def run(self, here):\n"
        "        score = Score(value=0.5, n=20, low=0.25, high=0.75)\n"
        "        files.write_json(here.out / 'scores.json', {'top1': score.as_json()})\n"
        "        return {'top1': 0.5, 'items': 20}\n\n\n"
        "def mini() -> Stage:\n"
        "    return Scored()\n"
    )
    out = sensorium("run", "./scored.py").out
    assert out.splitlines()[:2] == ["items  20", "top1   0.5       95 % interval 0.25 to 0.75"]
