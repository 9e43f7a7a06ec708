"""The stage every set shares: where files come from, identity, attribution, empty sets."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError
from sensorium.core.fingerprint import Fingerprints
from sensorium.core.stage import Source
from sensorium.data.corpora import cifar10, kodak
from sensorium.data.corpora.corpus import Official, Prepared
from sensorium.data.sources import open_pool

from .conftest import parquet, png, put


def test_pool_json_attributes_and_says_whether_it_may_be_published(excerpt, run):
    parquet(excerpt / "data.parquet", id=["a"], image=[png(1)])
    made = run(kodak.pool())
    assert made.pool["rows_in"] == made.pool["rows_out"] == 1
    assert made.pool["redistribute"] == "unclear"
    assert "Kodak" in made.pool["attribution"]
    assert "https://github.com/" in made.pool["attribution"]
    assert made.pool["columns"] == {"id": "string", "image": "struct<bytes: binary, path: string>"}


def test_what_a_set_left_opens_as_a_pool(excerpt, run):
    parquet(excerpt / "data.parquet", id=["a", "b"], image=[png(1), png(2)])
    from sensorium.data.sources import Files

    (shard,) = open_pool(Files(str(run(kodak.pool()).folder)))
    assert next(shard.pieces()).table["id"].to_pylist() == ["a", "b"]


@pytest.mark.usefixtures("absent")
def test_an_absent_set_says_which_files_and_where_from(run):
    with pytest.raises(InputError, match=r"kodak/data\.parquet.*SENSORIUM_DATA.*https://github"):
        run(kodak.pool())


def test_sources_are_known_by_content_not_by_place(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        put(folder / "a.png", png(1))
        put(folder / "README", "not read")
    assert isinstance(Official(str(one), ("*.png",)), Source)
    before = Official(str(one), ("*.png",)).identity()
    assert Official(str(other), ("*.png",)).identity() == before
    put(one / "README", "changed")
    assert Official(str(one), ("*.png",)).identity() == before
    put(one / "b.png", png(2))
    assert Official(str(one), ("*.png",)).identity() != before


def test_prepared_sets_are_known_by_the_recorded_sums():
    assert isinstance(Prepared("kodak"), Source)
    found = Prepared("cifar10").identity()
    assert set(found["files"]) == {"data.parquet"}
    assert len(found["files"]["data.parquet"]) == 64


def test_settings_of_the_reader_enter_the_fingerprint():
    train, test = cifar10.pool("train"), cifar10.pool("test")
    assert Fingerprints(train)[train] != Fingerprints(test)[test]
    again = cifar10.pool("train")
    assert Fingerprints(train)[train] == Fingerprints(again)[again]


def test_the_label_is_the_set():
    assert cifar10.pool().label() == "cifar10"


def test_a_folder_without_the_layout_names_what_is_missing(tmp_path, run):
    put(tmp_path / "have" / "cifar-10-batches-bin" / "test_batch.bin", b"")
    with pytest.raises(InputError, match=r"lacks cifar-10-batches-bin/data_batch_1\.bin"):
        run(cifar10.pool(at=tmp_path / "have"))
    with pytest.raises(InputError, match="there is no folder"):
        run(cifar10.pool(at=tmp_path / "absent"))


def test_a_set_without_rows_is_an_error(excerpt, run):
    parquet(excerpt / "data.parquet", id=["a"], image=[png(1)], label=["dog"], subset=["train"])
    with pytest.raises(InputError, match="has no rows of 'cifar10' with these settings"):
        run(cifar10.pool("test"))
