"""A chain of corpora; the last model is at once start and teacher; every model is judged on every corpus."""

from __future__ import annotations

import pytest

from sensorium.core import files


def test_start_and_teacher_are_one_input(strain):
    plan = strain.plan(strain.build("lifelong"))
    below = {stage.label(): [inner.label() for inner in stage.inputs()] for stage in plan.order}
    assert below["model-2018"] == ["corpus-2018"]
    assert below["model-2020"] == ["corpus-2020", "model-2019"]
    assert len(below["table"]) == 9


def test_start_and_teacher_both_count(strain):
    strain.run(strain.build("lifelong"))
    ran = strain.run(strain.build("lifelong", method="plain"))
    later = [
        "model-2019",
        "model-2020",
        *[f"score-{model}-on-{test}" for model in ("2019", "2020") for test in ("2018", "2019", "2020")],
    ]
    assert sorted(ran) == sorted([*later, "table"])


def test_a_corpus_more_keeps_all_models_and_scores(strain):
    strain.run(strain.build("lifelong", corpora=("2018", "2019")))
    ran = strain.run(strain.build("lifelong", corpora=("2018", "2019", "2020")))
    new = ["corpus-2020", "test-2020", "model-2020", "table"]
    new += [f"score-{model}-on-2020" for model in ("2018", "2019", "2020")]
    new += [f"score-2020-on-{test}" for test in ("2018", "2019")]
    assert sorted(ran) == sorted(new)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_another_corpus_reruns_the_models_from_there_on(strain, place):
    topics = ["2018", "2019", "2020"]
    strain.run(strain.build("lifelong", corpora=tuple(topics)))
    topics[place] = "news"
    ran = strain.run(strain.build("lifelong", corpora=tuple(topics)))
    models = topics[place:]
    expected = {"corpus-news", "test-news", "table", *(f"model-{model}" for model in models)}
    expected |= {f"score-{model}-on-{test}" for model in models for test in topics}
    expected |= {f"score-{model}-on-news" for model in topics}
    assert set(ran) == expected


def test_the_table_has_every_model_on_every_corpus(strain):
    last = strain.build("lifelong")
    strain.run(last)
    plan = strain.plan(last)
    table = files.read_json(plan.folder(last) / "scores.json")
    assert sorted(table) == sorted(
        f"{model}-on-{test}" for model in ("2018", "2019", "2020") for test in ("2018", "2019", "2020")
    )
    assert len(plan.done(last).content["inputs"]) == 9


def test_arms_share_what_comes_before_they_part(strain):
    arms = [strain.build("lifelong", method=method) for method in ("distill", "plain")]
    strain.run(*arms, jobs=2)
    assert len(list(strain.root.glob("Corpus/*"))) == 6
    assert len(list(strain.root.glob("Train/*"))) == 1 + 2 + 2
    assert len(list(strain.root.glob("Judge/*"))) == 3 + 6 + 6
