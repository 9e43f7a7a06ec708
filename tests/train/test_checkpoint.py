from __future__ import annotations

import contextlib

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensorium.core.errors import StageFailedError
from sensorium.train.checkpoint import Checkpoint, load, load_newest, save


def checkpoint(update=3, **more):
    tensors = {
        "weights/a": torch.arange(6.0).reshape(2, 3),
        "weights/flag": torch.tensor(True),
        "weights/empty": torch.zeros(0, 4),
        "moments/step": torch.tensor(7.0),
        "weights/half": torch.tensor([1.5, -2], dtype=torch.bfloat16),
        **more,
    }
    return Checkpoint(update=update, tensors=tensors, state={"skipped": 1, "rejected": {"é": "truncated"}})


def test_everything_comes_back_bit_for_bit(tmp_path):
    path = save(tmp_path, checkpoint())
    found = load(path)
    assert path.name == "update-00000003.safetensors"
    assert found.update == 3
    assert found.state == {"skipped": 1, "rejected": {"é": "truncated"}}
    for name, tensor in checkpoint().tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)
    assert path.read_bytes() == save(tmp_path / "again", checkpoint()).read_bytes()


def test_shared_and_partly_shared_memory(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"a": whole, "tied": whole, "part": whole[1], "turned": whole.T, "wide": whole.contiguous()}
    found = load(save(tmp_path, checkpoint(**tensors))).tensors
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor), name
    size = save(tmp_path, checkpoint(5, a=torch.zeros(10_000), b=torch.zeros(10_000))).stat().st_size
    tied = torch.zeros(10_000)
    assert save(tmp_path, checkpoint(6, a=tied, b=tied)).stat().st_size < size - 30_000


def test_the_newest_two_are_kept(tmp_path):
    for update in (2, 4, 6, 8):
        save(tmp_path, checkpoint(update))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["update-00000006.safetensors", "update-00000008.safetensors"]
    assert load_newest(tmp_path, print).update == 8


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert load_newest(tmp_path / "absent", print) is None


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_cut_and_any_changed_byte_is_noticed(tmp_path, data):
    content = save(tmp_path / "whole", checkpoint()).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = content[:place]
    if data.draw(st.booleans()):
        changed += bytes([content[place] ^ data.draw(st.integers(1, 255))]) + content[place + 1 :]
    path = tmp_path / "update-00000003.safetensors"
    path.write_bytes(changed)
    found = None
    with contextlib.suppress(ValueError):
        found = load(path)
    if found:  # a change in the header may leave the meaning as it was (a blank in JSON)
        assert found.state == checkpoint().state
        for name, tensor in checkpoint().tensors.items():
            assert torch.equal(found.tensors[name], tensor)


def test_damaged_files_are_named_and_all_damaged_stops(tmp_path):
    for update in (2, 4):
        save(tmp_path, checkpoint(update))
    newest = tmp_path / "update-00000004.safetensors"
    newest.write_bytes(b"")
    said = []
    assert load_newest(tmp_path, said.append).update == 2
    assert "update-00000004.safetensors is cut short" in said[0]
    assert "going on from update-00000002.safetensors" in said[0]
    (tmp_path / "update-00000002.safetensors").write_bytes(newest.read_bytes())
    with pytest.raises(StageFailedError, match=r"no checkpoint in .* can be read"):
        load_newest(tmp_path, said.append)
