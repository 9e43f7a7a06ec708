"""Model folders as files: what shapes a result, identities that follow content alone, and what is refused."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from sensorium.core.errors import InputError
from sensorium.models import folder as folders
from sensorium.models.folder import (
    check_readable,
    identity,
    missing_weights,
    read_config,
    sha256,
    shaping_files,
)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text('{"hidden_act": "quick_gelu"}')
    (folder / "model.safetensors").write_bytes(b"weights-a" * 100)
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


def age(path, seconds=10):
    """Set a file's times back, as `touch -d` would: the change time stays now."""
    then = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(then, then))


def test_a_copy_under_another_name_is_the_same_model(model, tmp_path):
    shutil.copytree(model, tmp_path / "elsewhere" / "other-name")
    assert identity(tmp_path / "elsewhere" / "other-name") == identity(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Pooling/config.json"])
def test_every_shaping_file_changes_the_identity(model, name):
    before = identity(model)
    (model / name).write_bytes((model / name).read_bytes() + b" ")
    assert identity(model) != before


def test_a_renamed_shaping_file_changes_the_identity(model):
    before = identity(model)
    (model / "1_Pooling").rename(model / "2_Pooling")
    assert identity(model) != before


def test_records_and_descriptions_are_no_part_of_the_identity(model):
    before = identity(model)
    for name in (
        "card.json",
        "done.json",
        "README.md",
        ".gitattributes",
        "pytorch_model.bin",
        "data_config.json",
    ):
        (model / name).write_text("{}")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(b"x")
    assert identity(model) == before
    assert list(shaping_files(model)) == ["1_Pooling/config.json", "config.json", "model.safetensors"]


def test_weights_changed_in_place_with_the_old_times_are_another_model(model, monkeypatch):
    # Same size, same modification time (touch -r): only the change time tells, and it cannot be set back.
    weights = model / "model.safetensors"
    age(weights)
    monkeypatch.setattr(folders, "_SETTLED_NS", 0)  # remember at once, so that a stale stamp would be used
    before, times = identity(model), weights.stat()
    assert len(list((folders.cache_folder() / "stamps").iterdir())) == 3
    with weights.open("r+b") as handle:
        handle.write(b"weights-b")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (weights.stat().st_size, weights.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert identity(model) != before


def test_an_untouched_file_is_hashed_once(model, monkeypatch):
    monkeypatch.setattr(folders, "_SETTLED_NS", 0)
    first = sha256(model / "model.safetensors")

    def never(path):
        raise AssertionError("hashed again")

    monkeypatch.setattr(folders.files, "sha256_file", never)
    assert sha256(model / "model.safetensors") == first


def test_a_file_changed_a_moment_ago_is_not_remembered(model):
    sha256(model / "model.safetensors")
    assert not (folders.cache_folder() / "stamps").exists()


def test_a_broken_stamp_and_a_cache_that_cannot_be_written_cost_only_time(model, monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "_SETTLED_NS", 0)
    wanted = sha256(model / "config.json")
    for note in (folders.cache_folder() / "stamps").iterdir():
        note.write_text("[1, 2")
    assert sha256(model / "config.json") == wanted
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SENSORIUM_CACHE", str(tmp_path / "file"))
    assert sha256(model / "config.json") == wanted


def test_a_single_file_is_known_by_its_sha256(model):
    assert identity(model / "config.json") == folders.files.sha256_file(model / "config.json")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no model"):
        identity(tmp_path)


def test_missing_settings_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match="holds a list"):
        read_config(tmp_path)


def test_a_pickle_is_never_read(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only as a pickle \(pytorch_model.bin\).*save_pretrained"):
        check_readable(model)


def test_no_weights_at_all(model):
    (model / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        check_readable(model)


def test_an_adapter_alone_is_refused(model):
    (model / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "somebody/model"}))
    with pytest.raises(InputError, match="an adapter, not a whole model"):
        check_readable(model)


def index(model, name):
    (model / "model.safetensors").unlink(missing_ok=True)
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))


def test_a_missing_shard_is_named(model):
    index(model, "model-00001-of-00002.safetensors")
    assert "model-00001-of-00002.safetensors" in missing_weights(model)
    (model / "model-00001-of-00002.safetensors").write_bytes(b"")
    assert missing_weights(model) == ""


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/x.safetensors", "a\\b.safetensors", "x.bin", 3])
def test_an_index_that_leads_out_of_the_folder_is_refused(model, name):
    index(model, name)
    with pytest.raises(InputError, match="not a safetensors file inside the folder"):
        check_readable(model)


def test_a_broken_index_is_one_sentence(model):
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="is not an index"):
        check_readable(model)


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("SENSORIUM_CACHE", str(tmp_path / "here"))
    assert folders.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("SENSORIUM_CACHE")
    assert folders.cache_folder().parts[-2:] == (".cache", "sensorium")
