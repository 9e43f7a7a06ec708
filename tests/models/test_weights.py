"""Weights: a gap, a rest, a misfit or a NaN stops the load; a pickle gives tensors or nothing."""

from __future__ import annotations

import hashlib
import io
import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models import tiny_models
from transformers import CLIPModel

from sensorium.core.errors import InputError, SettingError
from sensorium.models import weights as loading
from sensorium.models.device import choose_device, precision_context
from sensorium.models.weights import from_pickle, open_network, read_pickle, read_tokenizer

KEY = "visual_projection.weight"


@pytest.fixture
def model(tmp_path):
    tiny_models.clip_folder(tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_the_saved_weights_come_back(model):
    wanted = load_file(model / "model.safetensors")
    network = open_network(CLIPModel, model)
    assert not network.training
    assert not any(value.requires_grad for value in network.parameters())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in wanted.items())


def test_missing_weights_stop_the_load_and_are_listed(model):
    rewrite(model, lambda state: state.pop(KEY))
    with pytest.raises(InputError, match=rf"1 missing \(they would be random\): {KEY}"):
        open_network(CLIPModel, model)


def test_weights_left_over_stop_the_load_and_are_listed(model):
    rewrite(model, lambda state: state.update({"extra.head.weight": torch.zeros(2)}))
    with pytest.raises(InputError, match=r"1 left over .*extra\.head\.weight"):
        open_network(CLIPModel, model)


def test_weights_of_another_shape_stop_the_load(model):
    rewrite(model, lambda state: state.update({KEY: torch.zeros(8, 17)}))
    with pytest.raises(InputError, match="model"):
        open_network(CLIPModel, model)


def test_settings_that_need_more_layers_stop_the_load(model):
    import json

    config = json.loads((model / "config.json").read_text("utf-8"))
    config["text_config"]["num_hidden_layers"] = 3
    tiny_models.write(model / "config.json", config)
    with pytest.raises(InputError, match=r"missing .*text_model\.encoder\.layers\.2"):
        open_network(CLIPModel, model)


def test_weights_that_are_not_numbers_stop_the_load(model):
    rewrite(model, lambda state: state[KEY].fill_(float("nan")))
    with pytest.raises(InputError, match=f"not finite numbers: {KEY}"):
        open_network(CLIPModel, model)


def test_a_cut_file_is_one_sentence(model):
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="could not be loaded as CLIPModel"):
        open_network(CLIPModel, model)


def test_a_kernel_named_by_a_config_is_not_fetched(model):
    tiny_models.edit(
        model / "config.json", _attn_implementation="somebody/kernel", attn_implementation="somebody/kernel"
    )
    network = open_network(CLIPModel, model)
    assert network.config._attn_implementation == "sdpa"


def test_code_named_by_a_folder_is_not_run(model):
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        tiny_models.edit(model / name, auto_map={"AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]})
    (model / "evil.py").write_text("raise RuntimeError('code of a model folder was run')")
    open_network(CLIPModel, model)
    read_tokenizer(model)


def test_a_folder_without_a_tokenizer_is_one_sentence(model):
    for path in model.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match="has no tokenizer"):
        read_tokenizer(model)
    (model / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="has no readable tokenizer"):
        read_tokenizer(model)


class Evil:
    """What a malicious pickle does: run something when it is opened."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def saved(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", ["torch", "plain"])
def test_a_pickle_with_code_is_refused_and_the_code_does_not_run(tmp_path, protocol):
    mark = tmp_path / "ran"
    content = {"weight": Evil(str(mark))}
    raw = saved(content) if protocol == "torch" else pickle.dumps(content)
    with pytest.raises(InputError, match="holds more than tensors"):
        read_pickle(raw, "x.pt")
    assert not mark.exists()


@pytest.mark.parametrize("wrap", [None, "state_dict", "model_state"])
def test_the_tensors_of_a_pickle(wrap):
    shared = torch.arange(6.0)
    tensors = {"a": shared.view(2, 3).T, "b": shared}
    read = read_pickle(saved({wrap: tensors, "step": 3} if wrap else tensors), "x.pt")
    assert torch.equal(read["a"], tensors["a"])
    assert read["a"].is_contiguous()
    assert read["a"].data_ptr() != read["b"].data_ptr()


@pytest.mark.parametrize("content", [{}, [1], {"a": "text"}, torch.zeros(2)])
def test_a_pickle_without_named_tensors_is_refused(content):
    with pytest.raises(InputError, match="no table of named tensors"):
        read_pickle(saved(content), "x.pt")


def test_a_cut_pickle_is_one_sentence():
    raw = saved({"a": torch.zeros(100)})
    with pytest.raises(InputError, match="not a whole file"):
        read_pickle(raw[: len(raw) // 2], "x.pt")


def test_a_pinned_pickle_is_opened_once_and_kept_as_safetensors(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(saved({"a": torch.ones(3)}))
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    made = from_pickle(path, sha, "tiny")
    assert torch.equal(load_file(made)["a"], torch.ones(3))
    monkeypatch.setattr(loading, "read_pickle", lambda *_: pytest.fail("opened again"))
    assert from_pickle(path, sha, "tiny") == made


def test_a_spoiled_conversion_is_made_again(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(saved({"a": torch.ones(3)}))
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    made = from_pickle(path, sha, "tiny")
    save_file({"a": torch.zeros(3)}, made)
    assert torch.equal(load_file(from_pickle(path, sha, "tiny"))["a"], torch.ones(3))


def test_a_pickle_with_another_hash_is_not_opened(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(saved({"a": torch.ones(3)}))
    monkeypatch.setattr(loading, "read_pickle", lambda *_: pytest.fail("opened"))
    with pytest.raises(InputError, match="is not opened"):
        from_pickle(path, "0" * 64, "tiny")


def test_devices_and_precision():
    assert choose_device(0).type == "cpu"
    if not torch.accelerator.is_available():
        assert choose_device(-1).type == "cpu"
        with pytest.raises(SettingError, match="no accelerator"):
            choose_device(1)
        assert choose_device(2).type == "cpu"  # two processes on the processor, as in training
    with pytest.raises(SettingError, match="unknown precision 'bf15'; did you mean 'bf16'"):
        precision_context(torch.device("cpu"), "bf15")
    layer = torch.nn.Linear(4, 4)
    with precision_context(torch.device("cpu"), "bf16")():
        assert layer(torch.ones(1, 4)).dtype is torch.bfloat16
    with precision_context(torch.device("cpu"), "32")():
        assert layer(torch.ones(1, 4)).dtype is torch.float32
