from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    tiny = pytest.importorskip("tests.models.tiny_models")
    folder = tmp_path_factory.mktemp("clip") / "model"
    tiny.clip_folder(folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number, colour in enumerate(["red", "green", "blue"]):
        Image.new("RGB", (24, 20), colour).save(tmp_path / f"pictures/[{number}].png")
    (tmp_path / "pictures/broken.png").write_bytes(b"\x89PNG")
    return "pictures"


def test_models_at_hand_are_listed(sensorium):
    rows = sensorium("models", "list", "--no-verify", "--json").document
    assert {"name", "installed", "verified", "licence", "carrier", "what"} <= set(rows[0])
    assert sensorium("models", "list", "--no-verify").out.splitlines()[0].startswith("name")


def test_a_model_is_used_on_files(sensorium, model, pictures, tmp_path):
    ran = sensorium("apply", model, pictures, "--devices", 0, "--out", "embedded")
    assert ran.code == 0
    assert ran.out.startswith("embed: 3 of 4 rows in embedded/rows\nrejected 1: ")
    rows = pq.read_table(tmp_path / "embedded/rows").to_pylist()
    assert sorted(row["id"] for row in rows) == ["[0].png", "[1].png", "[2].png"]


def test_names_are_chosen_and_told_as_json(sensorium, model, pictures):
    ran = sensorium(
        "apply",
        model,
        pictures,
        "--classes",
        "dog,red circle",
        "--threads",
        1,
        "--devices",
        0,
        "--out",
        "named",
        "--json",
    )
    assert ran.err == ""
    assert (ran.document["does"], ran.document["rows_in"], ran.document["rows_out"]) == ("classify", 4, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--template", "a photo"], "a template holds one {}"),
        (["--template", "a {}"], "classes and templates have no effect on 'embed'."),
        (["--classes", "dog"], "to classify, give the names to choose from, at least two"),
        (["--does", "transcribe"], "does not transcribe; it does:"),
        (["--take", "sound"], "unknown value for --take 'sound'"),
        (["--threads", "-1"], "--threads is -1; it is a count, or 0 for all cores."),
        (["--columns", "text"], "--columns takes pairs like text=caption"),
    ],
)
def test_every_mistake_is_one_sentence(sensorium, model, pictures, tmp_path, words, says):
    ran = sensorium("apply", model, pictures, *words, "--out", "out", "--json")
    assert ran.code == 2
    assert says in ran.error
    assert ran.document["error"] == ran.error
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_and_missing_inputs(sensorium, model):
    assert sensorium("apply", "minlm", "x").error.startswith("unknown model 'minlm'; did you mean 'minilm'?")
    assert sensorium("apply", model, "gone.png").code == 2
    assert sensorium("apply", model).error.startswith("Missing argument 'inputs'")
