"""What each kind of stage adds to a page; a new kind of result gets its own file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sensorium.report.blocks import Contribution
from sensorium.report.curation_page import pool_contribution
from sensorium.report.finished import Finished
from sensorium.report.model_page import model_contribution
from sensorium.report.scores_page import scores_contribution

CONTRIBUTORS: tuple[Callable[[Sequence[Finished]], Contribution], ...] = (
    pool_contribution,
    model_contribution,
    scores_contribution,
)
"""In the order of the page; each gets all stages, inputs first, and picks its own."""


def contributions(stages: Sequence[Finished]) -> Contribution:
    """Everything that finished stages add to a page, in one piece."""
    parts = [contribute(stages) for contribute in CONTRIBUTORS]
    return Contribution(
        tiles=tuple(tile for part in parts for tile in part.tiles),
        sections=tuple(section for part in parts for section in part.sections),
        attributions=tuple(dict.fromkeys(it for part in parts for it in part.attributions)),
    )
