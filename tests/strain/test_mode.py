"""Experts trained on their own from one shared start; some are added later."""

from __future__ import annotations

import pytest


def test_the_graph_is_what_the_paper_says(strain):
    plan = strain.plan(strain.build("mode", topics=("animals", "plants")))
    below = {stage.label(): [inner.label() for inner in stage.inputs()] for stage in plan.order}
    assert below["expert-animals"] == ["part-animals", "start"]
    assert below["ensemble"] == ["expert-animals", "expert-plants", "router"]
    assert below["router"] == ["part-animals", "part-plants"]
    assert below["score"] == ["ensemble", "test"]


def test_an_expert_more_leaves_the_others_alone(strain):
    strain.run(strain.build("mode", topics=("animals", "plants")))
    ran = strain.run(strain.build("mode", topics=("animals", "plants", "tools")))
    assert ran == ["part-tools", "expert-tools", "router", "ensemble", "score"]
    assert strain.run(strain.build("mode", topics=("plants", "tools"))) == ["router", "ensemble", "score"]


def test_the_order_of_experts_is_no_part_of_the_ensemble(strain):
    strain.run(strain.build("mode", topics=("animals", "plants")))
    assert strain.run(strain.build("mode", topics=("plants", "animals"))) == []


@pytest.mark.parametrize(
    ("changed", "ran"),
    [
        ({"temperature": 4.0}, ["ensemble", "score"]),
        (
            {"others": 0.1},
            ["part-animals", "expert-animals", "part-plants", "expert-plants", "router", "ensemble", "score"],
        ),
        ({"start_updates": 20}, ["start", "expert-animals", "expert-plants", "ensemble", "score"]),
        ({"seed": 1}, ["start", "expert-animals", "expert-plants", "ensemble", "score"]),
        ({"seconds": 0.01}, []),
    ],
)
def test_a_changed_setting_reruns_what_lies_downstream(strain, changed, ran):
    topics = ("animals", "plants")
    strain.run(strain.build("mode", topics=topics))
    assert sorted(strain.run(strain.build("mode", topics=topics, **changed))) == sorted(ran)


def test_arms_share_the_start_and_the_pool(strain):
    strain.run(strain.build("mode", topics=("animals",)))
    assert strain.run(strain.build("mode", "single")) == ["single", "single-score"]


def test_experts_run_side_by_side(strain):
    """After the start all experts are ready at once: nothing between them orders them."""
    last = strain.build("mode", topics=("animals", "plants", "tools"))
    plan = strain.plan(last)
    experts = [stage for stage in plan.order if stage.label().startswith("expert")]
    for expert in experts:
        assert not any(other in expert.inputs() for other in experts)
