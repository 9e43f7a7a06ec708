from __future__ import annotations

import json

import pytest
from tests.report.report_stages import ToyCurate, ToyModel, ToyWorld, arms, plan_of, ran

from sensorium.core.errors import InputError
from sensorium.report.finished import Finished, collect, free_name, graph, name_arms


def test_a_plan_and_its_folders_tell_the_same(tmp_path):
    plan = ran(tmp_path / "runs", arms())
    stages = collect(plan)
    folders = collect([stage.folder for stage in reversed(stages)])
    assert {stage.fingerprint for stage in folders} == {stage.fingerprint for stage in stages}
    position = {stage.fingerprint: number for number, stage in enumerate(folders)}
    assert all(position[inner] < position[stage.fingerprint] for stage in folders for inner in stage.inputs)
    assert {stage.label for stage in folders} == {stage.label for stage in stages}


def test_equal_stages_appear_once(tmp_path):
    twins = tuple(ToyCurate(pool=ToyWorld()) for _ in range(2))
    assert len(collect(ran(tmp_path / "runs", twins))) == 2


def test_what_was_kept_is_told_from_what_was_made(tmp_path):
    ran(tmp_path / "runs", (ToyWorld(),))
    stages = collect(ran(tmp_path / "runs", (ToyCurate(pool=ToyWorld()),)))
    assert [stage.made for stage in stages] == [False, True]
    assert [node.state for node in graph(stages).nodes] == ["kept", "made"]


def test_a_plan_that_has_not_run_is_shown_as_missing(tmp_path):
    stages = collect(plan_of(tmp_path / "runs", arms()))
    assert {node.state for node in graph(stages).nodes} == {"missing"}


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"done\.json is missing"):
        collect([tmp_path])


def test_reading_what_is_damaged_gives_nothing(tmp_path):
    stage = Finished(label="x", gives="pool", fingerprint="f", folder=tmp_path, content={})
    assert stage.read("pool.json") is None
    for content in ('{"rows', "[1]", "\xff"):
        (tmp_path / "pool.json").write_text(content, "latin-1")
        assert stage.read("pool.json") is None
    (tmp_path / "pool.json").write_text(json.dumps({"rows_in": 1}))
    assert stage.read("pool.json") == {"rows_in": 1}


def test_columns_follow_the_longest_way(tmp_path):
    stages = collect(plan_of(tmp_path / "runs", arms()))
    drawn = graph(stages)
    assert all(drawn.nodes[a].x < drawn.nodes[b].x for a, b in drawn.edges)
    places = [(node.x, node.y) for node in drawn.nodes]
    assert len(set(places)) == len(places)
    assert min(y for _, y in places) >= 0


def test_an_empty_graph_has_no_nodes():
    assert graph([]).nodes == ()


def test_starts_stand_beside_what_needs_them(tmp_path):
    drawn = graph(collect(plan_of(tmp_path / "runs", arms())))
    place = {node.label: node.x for node in drawn.nodes}
    assert place["the <world>"] == 0
    assert place["test pictures"] == place["model raw"] == 2


def own(stages):
    return [(stage.gives, stage.label) for stage in stages if stage.gives in ("model", "scores")]


def test_arms_are_called_by_the_pool_they_were_trained_on(tmp_path):
    stages = name_arms(collect(plan_of(tmp_path / "runs", arms())))
    assert own(stages) == [("model", "raw"), ("scores", "raw"), ("model", "balanced"), ("scores", "balanced")]
    position = {stage.fingerprint: number for number, stage in enumerate(stages)}
    assert all(position[inner] < position[stage.fingerprint] for stage in stages for inner in stage.inputs)


def test_given_names_of_arms_set_names_and_order(tmp_path):
    plan = plan_of(tmp_path / "runs", arms())
    raw, balanced = (plan.fingerprints[stage] for stage in plan.last)
    stages = name_arms(collect(plan), {"second": balanced, "first": raw})
    assert [label for _, label in own(stages)] == ["second", "second", "first", "first"]
    assert len(stages) == len(collect(plan))


def test_arms_on_one_pool_keep_their_own_names(tmp_path):
    pool = ToyCurate(pool=ToyWorld())
    twins = tuple(ToyModel(name=name, pool=pool, width=width) for name, width in (("a", 1), ("b", 2)))
    assert own(name_arms(collect(plan_of(tmp_path / "runs", twins)))) == [("model", "a"), ("model", "b")]
    assert name_arms([]) == []


def test_free_names():
    assert free_name("a", {"a": 1, "a (2)": 1}) == "a (3)"
    assert free_name("b", {"a": 1}) == "b"
