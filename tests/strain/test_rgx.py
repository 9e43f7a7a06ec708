"""Rounds in which two models make data and both are trained on it."""

from __future__ import annotations

import pytest


def test_a_round_is_one_make_and_two_trainings(strain):
    plan = strain.plan(strain.build("rgx", rounds=2))
    below = {stage.label(): [inner.label() for inner in stage.inputs()] for stage in plan.order}
    assert below["made-2"] == ["texts", "writer-1", "reader-1"]
    assert below["writer-1"] == ["made-1", "writer-0"]
    assert below["reader-2"] == ["made-2", "reader-1"]
    # The last round's writer serves nobody, so it is no part of the graph.
    assert "writer-2" not in below


def test_a_round_more_goes_on_from_the_rounds_that_are_finished(strain):
    strain.run(strain.build("rgx", rounds=2))
    assert strain.run(strain.build("rgx", rounds=3)) == ["writer-2", "made-3", "reader-3", "score"]
    assert strain.run(strain.build("rgx", rounds=1)) == ["score"]


@pytest.mark.parametrize(
    ("changed", "ran"),
    [
        ({"keep": 0.4}, ["made-1", "writer-1", "reader-1", "made-2", "reader-2", "score"]),
        ({"seconds": 0.001}, []),
    ],
)
def test_a_changed_setting_reruns_what_lies_downstream(strain, changed, ran):
    strain.run(strain.build("rgx", rounds=2))
    assert strain.run(strain.build("rgx", rounds=2, **changed)) == ran


def test_many_rounds_are_a_deep_graph_and_run(strain):
    ran = strain.run(strain.build("rgx", rounds=40, num_items=1))
    assert len(ran) == 6 + 3 * 40 - 1
    assert strain.run(strain.build("rgx", rounds=40, num_items=1), jobs=2) == []


def test_the_store_can_lose_old_rounds(strain):
    import shutil

    last = strain.build("rgx", rounds=3)
    strain.run(last)
    plan = strain.plan(last)
    for stage in plan.order:
        if stage.label() in ("made-1", "writer-1", "made-2", "writer-2"):
            shutil.rmtree(plan.folder(stage))
    assert strain.run(strain.build("rgx", rounds=3)) == []
    # One round more needs the third writer, which was never made, and so the second, which is gone.
    ran = strain.run(strain.build("rgx", rounds=4))
    assert ran == ["made-1", "writer-1", "made-2", "writer-2", "writer-3", "made-4", "reader-4", "score"]
