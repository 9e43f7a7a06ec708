from __future__ import annotations

import torch

from sensorium.train.figures import Figures, looked_at


def test_figures_are_summed_by_name_and_fetched_together():
    one, other = Figures(1, 8, ["a"]), Figures(2, 16, ["b", "c"])
    one.add({"term": torch.tensor(2.0)}, torch.tensor(0.25))
    one.add({"term": torch.tensor(6.0)}, torch.tensor(0.75))
    one.add({"loss": torch.tensor(5.0, requires_grad=True)})
    one.add_skipped(torch.tensor(0.0))
    other.add({"loss": torch.tensor(float("nan"))})
    other.add_skipped(torch.tensor(0.0))
    other.add_skipped(torch.tensor(1.0))
    other.known["lr"] = 0.1
    first, second = looked_at([one, other])
    assert first == {"update": 1, "examples": 8, "term": 5.0, "loss": 5.0}
    assert second["skipped"] is True
    assert second["ids"] == ["b", "c"]
    assert second["lr"] == 0.1
    assert second["loss"] != second["loss"]
    assert looked_at([]) == []
