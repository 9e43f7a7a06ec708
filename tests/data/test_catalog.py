"""The catalogue: cards, and sets found by name, size and sha256 in local folders."""

from __future__ import annotations

import hashlib
import json
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.core.stage import Source
from sensorium.data import catalog, checksums
from sensorium.data.sources import Files, open_pool, parse_pool

DATA = os.environ.get(catalog.VARIABLE)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A catalogue of one set, 'birds', whose two files lie in the second of two folders."""
    monkeypatch.setenv("SENSORIUM_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "second" / "birds"
    place.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["a", "b"], "caption": ["a wren", "a kite"]}), place / "data.parquet")
    (place / "extra.txt").write_text("more")
    (tmp_path / "first").mkdir()
    monkeypatch.setenv(catalog.VARIABLE, os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    recorded = [
        {
            "file": file.name,
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted(place.iterdir())
    ]
    entry = {
        "name": "birds",
        "title": "Birds",
        "modality": "text",
        "rows": 2,
        "licence": "CC0",
        "redistribute": "yes",
        "redistribute_terms": "yes",
        "columns": {"id": "", "caption": "what is seen"},
        "files": recorded,
        "sources": [{"url": "https://example.org/birds", "commit": "0123456789abcdef", "paths": "*.csv"}],
        "pool": {"files": ["data.parquet"], "columns": {"text": "caption"}, "ids": "given"},
    }
    monkeypatch.setattr(catalog, "_cards", lambda: {"birds": catalog._card(dict(entry))})
    return place


def test_every_card_is_complete():
    names = catalog.names()
    assert len(names) == len(set(names)) == 59
    for name in names:
        card = catalog.card(name)
        assert card.name == name
        assert card.title
        assert card.licence
        assert card.redistribute in ("yes", "unclear", "no")
        assert card.rows > 0
        assert card.files
        assert card.sources
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) and file.bytes > 0 for file in card.files)
        assert all(re.fullmatch(r"https://\S+", source.url) for source in card.sources)
        assert {*card.pool_columns.values()} <= {*card.columns}
        assert {*card.pool_files} <= {file.file for file in card.files}
        json.dumps(card.as_json(), allow_nan=False)
        assert card.licence in card.attribution()


def test_cards_hold_no_local_paths():
    text = json.dumps([catalog.card(name).as_json() for name in catalog.names()])
    assert not re.search(r"/(work|home|tmp|root|mnt)/", text)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(SettingError, match="did you mean 'cifar10'"):
        catalog.card("cifar")
    assert catalog.find("cifar") is None


def test_overview_lists_what_is_here(made):
    (row,) = catalog.overview()
    assert row["name"] == "birds"
    assert row["here"] is True
    assert row["bytes"] == sum(file.stat().st_size for file in made.iterdir())


def test_find_gives_a_pool_with_our_names(made):
    pool = catalog.find("birds")
    assert isinstance(pool, Files)
    assert isinstance(pool, Source)
    (shard,) = open_pool(pool)
    (piece,) = shard.pieces()
    assert piece.table.to_pydict() == {"id": ["a", "b"], "text": ["a wren", "a kite"]}
    assert parse_pool("birds").columns == {"text": "caption"}


def test_the_same_set_elsewhere_has_the_same_identity(made, tmp_path, monkeypatch):
    before = catalog.find("birds").identity()
    (tmp_path / "third").mkdir()
    made.rename(tmp_path / "third" / "birds")
    monkeypatch.setenv(catalog.VARIABLE, str(tmp_path / "third"))
    assert catalog.find("birds").identity() == before


def test_absent_sets_are_none_and_missing_says_what_goes_where(made, monkeypatch):
    (made / "extra.txt").unlink()
    assert catalog.find("birds") is None
    assert catalog.overview()[0]["here"] is False
    said = str(catalog.missing("birds"))
    assert "birds/data.parquet, birds/extra.txt" in said
    assert "https://example.org/birds at commit 0123456789abcdef (*.csv)" in said
    monkeypatch.delenv(catalog.VARIABLE)
    assert "SENSORIUM_DATA is not set" in str(catalog.missing("birds"))


@pytest.mark.parametrize("content", [b"MORE", b"longer than it was"])
def test_another_file_under_the_name_is_refused(made, content):
    (made / "extra.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"extra\.txt is not the catalogued file"):
        catalog.find("birds")


def test_an_earlier_folder_with_half_a_set_is_passed_over(made, tmp_path):
    half = tmp_path / "first" / "birds"
    half.mkdir()
    (half / "extra.txt").write_text("other")
    assert catalog.folder("birds") == made


def test_files_are_hashed_once(made, monkeypatch):
    catalog.find("birds")
    monkeypatch.setattr(checksums.files, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
    assert catalog.find("birds") is not None


@pytest.mark.skipif(not DATA, reason="SENSORIUM_DATA is not set")
def test_real_sets_have_the_recorded_rows():
    for name in filter(catalog.is_here, catalog.names()):
        pool, card = catalog.find(name), catalog.card(name)
        if pool is None:
            assert not card.pool_files
            continue
        recorded = sum(file.rows or 0 for file in card.files if file.file in card.pool_files)
        known = [shard.num_rows for shard in pool.shards()]
        assert None in known or sum(known) == recorded, name
