from __future__ import annotations

import json

import pytest
from tests.report.page_reading import check_page
from tests.report.report_stages import arms, ran

from sensorium.core.claim import Better, Claim, MoreGain, Within, registration
from sensorium.report import page
from sensorium.report.blocks import Headline, Page
from sensorium.report.claim_page import claim_section, write_claim_page
from sensorium.report.finished import collect
from sensorium.report.judge import in_words, judge


def record(gain=0.2, **given):
    claim = Claim(
        says="balanced beats <raw>",
        arms={"raw": {}, "<b>balanced</b>": {}},
        expects=(
            Better("<b>balanced</b>", than="raw", by=0.05),
            MoreGain("<b>balanced</b>", "raw", on="tail", over="head"),
        ),
        controls=(Within("raw", low=0, high=0.5),),
        equal=("examples",),
    )
    noise = [0.001, 0.003, -0.002, 0.0, 0.004]
    scores = {
        "raw": {name: [0.1 + e for e in noise] for name in ("top1", "head", "tail")},
        "<b>balanced</b>": {
            "top1": [0.1 + gain - e for e in noise],
            "head": [0.12] * 5,
            "tail": [0.1 + gain + e / 2 for e in noise],
        },
    }
    found = judge(claim, scores)
    content = {
        "name": "toy.second",
        "label": "reimplemented, reduced scale",
        "says": claim.says,
        "basis": "world",
        "paper": {},
        "command": "sensorium claim toy:second",
        "registration": registration(claim, "toy", "mini", {}),
        "arms": {arm: {"scores": some, "budget": {"examples": [100.0] * 5}} for arm, some in scores.items()},
        "seeds": [0, 1, 2, 3, 4],
        "expects": [vars(finding) for finding in found.expects],
        "controls": [vars(finding) for finding in found.controls],
        "verdict": found.verdict,
        "words": in_words(found.verdict),
        "why": found.why,
    }
    return json.loads(json.dumps(content | given))


@pytest.mark.parametrize(("gain", "words"), [(0.2, "Holds"), (0.0, "Does not hold")])
def test_the_page_says_what_was_found_about_the_miniature(tmp_path, gain, words):
    html = write_claim_page(record(gain), tmp_path / "c.html").read_text("utf-8")
    reader = check_page(html)
    assert words in reader.text
    assert "reimplemented, reduced scale" in reader.text
    assert "balanced beats <raw>" in reader.text
    assert "sensorium claim toy:second --check" in reader.text
    assert "seed 4" in reader.text
    assert ("says nothing about the paper" in reader.text) == (gain == 0.0)


def test_equal_records_give_equal_pages(tmp_path):
    first = write_claim_page(record(), tmp_path / "a.html").read_bytes()
    assert first == write_claim_page(record(), tmp_path / "b.html").read_bytes()


def test_machine_and_versions_are_shown_where_known(tmp_path):
    content = record(
        machine={"cores": 2, "memory_gib": 8}, versions={"python": "3.11"}, seconds=75.0, when="2026-01-01"
    )
    text = check_page(write_claim_page(content, tmp_path / "a.html").read_text("utf-8")).text
    for words in ("2 cores", "1 min 15 s", "3.11", "2026-01-01"):
        assert words in text


def test_one_seed_of_all_arms_can_be_looked_at(tmp_path):
    plan = ran(tmp_path / "runs", arms())
    content = record()
    for arm, stage in zip(("raw", "<b>balanced</b>"), plan.last, strict=True):
        content["arms"][arm]["fingerprints"] = [plan.fingerprints[stage]]
    html = write_claim_page(content, tmp_path / "c.html", collect(plan)).read_text("utf-8")
    text = check_page(html).text
    for words in ("The pool, seed 0", "Training, seed 0", "Scores, seed 0", "قلب أحمر", "OpenMoji"):
        assert words in text


def test_the_order_of_the_arms_survives_a_file_with_sorted_keys(tmp_path):
    content = record(order=["raw", "<b>balanced</b>"])
    again = json.loads(json.dumps(content, sort_keys=True))
    assert list(again["arms"]) != content["order"]
    first = write_claim_page(content, tmp_path / "a.html").read_bytes()
    assert first == write_claim_page(again, tmp_path / "b.html").read_bytes()


def test_the_verdict_is_a_part_of_other_pages():
    section = claim_section(record())
    assert section.title == "Verdict"
    check_page(page.render(Page(headline=Headline(title="t"), sections=(section,))))
