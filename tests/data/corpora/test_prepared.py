"""Any catalogued set by name."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data import catalog
from sensorium.data.corpora import prepared
from sensorium.data.sources import Files


def test_a_set_that_is_here(monkeypatch):
    pool = Files("somewhere")
    monkeypatch.setattr(catalog, "find", lambda name: pool)
    assert prepared.pool("an4") is pool


@pytest.mark.usefixtures("absent")
def test_a_set_that_is_not_here_says_what_is_missing():
    with pytest.raises(InputError, match=r"an4/data\.parquet, an4/lexicon\.jsonl\.zst"):
        prepared.pool("an4")


def test_a_set_without_a_table():
    with pytest.raises(InputError, match="has no table"):
        prepared.pool("loose_files")


def test_an_unknown_set():
    with pytest.raises(SettingError, match="did you mean 'wordnet'"):
        prepared.pool("word_net")
