from __future__ import annotations

import json

import pytest
from tests.report.report_stages import ToyCurate, ToyWorld, arms, ran

from sensorium.report.blocks import Bars, Facts, Figure, Flow, Samples, Table
from sensorium.report.curation_page import pool_contribution
from sensorium.report.finished import Finished, collect


def blocks(part, kind):
    return [block for section in part.sections for block in section.blocks if isinstance(block, kind)]


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return pool_contribution(collect(ran(tmp_path_factory.mktemp("runs") / "r", arms())))


def test_the_raw_pool_is_shown_with_pictures_and_captions(part):
    (shown,) = blocks(part, Samples)
    assert shown.form == "images"
    assert len(shown.items) == 24
    assert {item.caption.lang for item in shown.items} >= {"en", "ar", "ja"}
    assert any(item.why for item in shown.items)


def test_rows_in_equal_kept_dropped_and_rejected(part):
    flows = blocks(part, Flow)
    assert [flow.label for flow in flows] == ["raw", "balanced"]
    assert all(flow.balanced() for flow in flows)
    assert {p.label: p.count for p in flows[1].parts} == {"kept": 40, "no match <b>": 50, "balanced away": 20}


def test_dropped_rows_are_shown_with_their_reason(part):
    table = next(block for block in blocks(part, Table) if "dropped" in block.title)
    assert [cell.content for cell in table.rows[0]] == ["<i>gone</i>", "en", "no match <b>"]


def test_concepts_before_and_after_are_drawn(part):
    assert "Examples per concept" in [figure.title for figure in blocks(part, Figure)]
    top = blocks(part, Bars)[0]
    assert [(bar.label, bar.before, bar.value) for bar in top.items] == [("heart", 60, 5), ("<b>猫", 9, 5)]


def test_dead_concepts_and_the_threshold_are_told(part):
    rows = dict(blocks(part, Facts)[0].rows)
    assert rows["concepts that nothing matched"] == "1"
    assert rows["such as"] == "<u>none</u>"
    assert rows["threshold t"] == "5"


def test_languages_are_compared_from_the_largest(part):
    languages = blocks(part, Bars)[1]
    assert [(bar.label, bar.before, bar.value) for bar in languages.items] == [
        ("en", 70, 30),
        ("ar", 10, 10),
        ("unknown", 5, 0),
    ]


def test_pools_to_be_tested_on_are_left_out_but_credited(part):
    assert all("test pictures" not in tile.note for tile in part.tiles)
    assert [it.content for it in part.attributions] == ["Drawings: OpenMoji, CC BY-SA 4.0"]
    assert part.tiles[0].value == "110"


def fake(folder, pool, statistics=None):
    folder.mkdir()
    (folder / "pool.json").write_text(json.dumps(pool))
    if statistics is not None:
        (folder / "statistics.json").write_text(json.dumps(statistics))
    return Finished(label="p", gives="pool", fingerprint="f", folder=folder, content={})


@pytest.mark.parametrize(
    ("pool", "statistics"),
    [
        ({}, None),
        ({"rows_in": 5, "rows_out": 3, "dropped": 2}, {}),
        (
            {"rows_in": 5, "rows_out": 3, "dropped": {"why": 2}, "rejected": {}},
            {"steps": None, "languages": None},
        ),
        (
            {"rows_out": "3", "rejected": None, "attribution": [None, 5]},
            {"steps": [1, {}], "languages": {"in": {"en": 1}}},
        ),
        ({"rows_in": 1}, {"steps": [{"facts": {"curve": {"rank": [1]}, "top": [{}, 1]}}]}),
        (
            {"rows_in": 1},
            {"steps": [{"facts": {"curve": 7, "t": "x", "dead_examples": []}, "dropped": None}]},
        ),
    ],
)
def test_missing_and_odd_figures_are_survived(tmp_path, pool, statistics):
    pool_contribution([fake(tmp_path / "p", pool, statistics)])


def test_counts_by_reason_add_up_also_when_only_totals_are_known(tmp_path):
    part = pool_contribution([fake(tmp_path / "p", {"rows_in": 9, "rows_out": 5, "dropped": 3, "rejected": 1})])
    (flow,) = blocks(part, Flow)
    assert flow.balanced()
    assert [(p.label, p.kind) for p in flow.parts] == [
        ("kept", "kept"),
        ("dropped", "dropped"),
        ("unreadable", "rejected"),
    ]


def test_many_reasons_are_summed_up(tmp_path):
    reasons = {f"reason {i}": 20 - i for i in range(15)}
    total = sum(reasons.values())
    part = pool_contribution([fake(tmp_path / "p", {"rows_in": total, "rows_out": 0, "dropped_by_reason": reasons})])
    (flow,) = blocks(part, Flow)
    assert flow.balanced()
    assert len(flow.parts) == 9
    assert flow.parts[-1].label == "8 other reasons"


@pytest.mark.parametrize(
    "attribution",
    ["by A", {"text": "by A", "licence": "CC0", "url": "https://a.example"}, [{"name": "by A"}, "by A"]],
)
def test_attributions_in_every_form(tmp_path, attribution):
    part = pool_contribution([fake(tmp_path / "p", {"rows_in": 1, "attribution": attribution})])
    assert len(part.attributions) == 1
    assert part.attributions[0].content.startswith("by A")


def test_kept_rows_are_not_called_the_pool_before_curation(tmp_path):
    plan = ran(tmp_path / "runs", (ToyCurate(pool=ToyWorld()),))
    says = [section.says for section in pool_contribution(collect(plan)).sections]
    assert "What went in, before anything was removed." in says
    pool = fake(tmp_path / "p", {"rows_in": 9, "rows_out": 5, "dropped": 4})
    (pool.folder / "rows").symlink_to(plan.folder(plan.order[0]) / "rows")
    assert "Some of the rows that were kept." in [section.says for section in pool_contribution([pool]).sections]


def test_a_run_without_pools_adds_nothing():
    assert pool_contribution([]).sections == ()
