"""Tasks x encoders over one feature stage per encoder."""

from __future__ import annotations

import pytest

ENCODERS, TASKS = ("hubert", "wavlm"), ("keywords", "speakers", "emotions")


def test_features_are_made_once_for_all_tasks_of_a_corpus(strain):
    strain.run(strain.build("superb"), jobs=2)
    assert len(list(strain.root.glob("Features/*"))) == 2 * 2
    assert len(list(strain.root.glob("Probe/*"))) == 2 * 3
    assert len(list(strain.root.glob("Corpus/*"))) == 2 + 1


@pytest.mark.parametrize(
    ("changed", "ran"),
    [
        ({"tasks": (*TASKS, "intents")}, {"hubert-intents", "wavlm-intents", "board"}),
        ({"tasks": TASKS[:1]}, {"board"}),
        (
            {"tasks": (*TASKS, "accents")},
            {"others", "features-hubert-others", "features-wavlm-others", "hubert-accents", "wavlm-accents", "board"},
        ),
        (
            {"encoders": (*ENCODERS, "mel")},
            {
                "mel",
                "features-mel-commands",
                "features-mel-voices",
                "mel-keywords",
                "mel-speakers",
                "mel-emotions",
                "board",
            },
        ),
        ({"seconds": 0.001}, set()),
    ],
)
def test_a_task_or_an_encoder_more_runs_its_own_stages(strain, changed, ran):
    strain.run(strain.build("superb"))
    assert set(strain.run(strain.build("superb", **changed))) == ran


def test_names_are_for_people(strain):
    """An encoder is what trained it, here a seed by position: swapped names change only the board."""
    strain.run(strain.build("superb"))
    assert strain.run(strain.build("superb", encoders=("wavlm", "hubert"))) == ["board"]


def test_a_failed_probe_leaves_features_and_the_other_probes(strain, monkeypatch):
    last = strain.build("superb")
    plan = strain.plan(last)
    probe = next(stage for stage in plan.order if stage.label() == "wavlm-speakers")
    monkeypatch.setattr(type(probe), "run", failing(type(probe).run))
    with pytest.raises(RuntimeError, match="wavlm-speakers"):
        strain.run(last)
    monkeypatch.undo()
    # Only what was not reached yet is left, and the board above all.
    assert set(strain.run(strain.build("superb"))) >= {"wavlm-speakers", "board"}
    assert strain.run(strain.build("superb")) == []


def failing(run):
    def wrapped(self, here):
        if self.name == "wavlm-speakers":
            raise RuntimeError(self.name)
        return run(self, here)

    return wrapped
