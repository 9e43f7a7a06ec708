"""The journeys that carry the documentation, through the command line, at reduced size.

Journey 1: files of pictures with captions -> curated pool -> CLIP -> scores -> applied to new files. On a small
pool that the test makes, and on 2,000 real figures where SENSORIUM_DATA has them.
"""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sensorium.__main__ import call
from sensorium.data import catalog

SHAPES = ("dog", "cat", "boat", "quokka")
HERE = ("--devices", "0", "--workers", "1", "--threads", "1")


@pytest.fixture
def go(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder and returns its JSON document."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)

    def command(*words):
        capsys.readouterr()
        code = call([str(word) for word in (*words, "--json")])
        seen = capsys.readouterr()
        assert code == 0, seen.err
        return json.loads(seen.out)

    return command


def picture(kind: int, row: int) -> bytes:
    """A picture whose kind can be seen: a bright quarter on noise."""
    pixels = np.random.default_rng(row).integers(0, 90, (24, 24, 3), np.uint8)
    top, left = 12 * (kind // 2), 12 * (kind % 2)
    pixels[top : top + 12, left : left + 12, kind % 3] = 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def make_folder(folder) -> dict[str, int]:
    """A folder as people have it: pictures with a text file each, some of no use, one broken."""
    folder.mkdir()
    count = dict.fromkeys(SHAPES, 0)
    for row in range(160):
        kind = min(row % 16 // 4, 3) if row % 4 == 0 else 0
        count[SHAPES[kind]] += 1
        (folder / f"{row:03d}.png").write_bytes(picture(kind, row))
        (folder / f"{row:03d}.txt").write_text(f"my {SHAPES[kind]} number {row}", "utf-8")
    for row in range(160, 176):
        (folder / f"{row}.png").write_bytes(picture(1, row))
        (folder / f"{row}.txt").write_text(f"IMG_{row}.jpg", "utf-8")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    (folder / "broken.txt").write_text("a dog that cannot be seen", "utf-8")
    return count


def accounted(metrics) -> bool:
    return metrics["rows_in"] == metrics["rows_out"] + metrics["dropped"] + metrics["rejected"]


def test_from_a_folder_of_captions_to_a_model_at_work(go, tmp_path):
    count = make_folder(tmp_path / "web")
    (tmp_path / "concepts.txt").write_text("\n".join(SHAPES) + "\nunicorn\n")
    peek = go("data", "peek", "web", "--rows", 2)
    assert {"id", "image", "text"} <= set(peek["columns"])

    curated = go("curate", "web", "--concepts", "concepts.txt", "--t", 20, "--out", "curated", "--workers", 1)
    assert accounted(curated["metrics"])
    assert curated["metrics"]["rows_in"] == 177
    texts = pq.read_table(tmp_path / "curated/rows")["text"].to_pylist()
    kept = {shape: sum(shape in text for text in texts) for shape in SHAPES}
    assert [kept[shape] for shape in SHAPES[1:]] == [count[shape] for shape in SHAPES[1:]], "rare entries keep all"
    assert 8 <= kept["dog"] <= 40 < count["dog"]
    reasons = pq.read_table(tmp_path / "curated/dropped")["dropped"].to_pylist()
    assert set(reasons) == {"no match", "balanced away"}
    assert reasons.count("no match") == 16

    settings = ("--concepts", "concepts.txt", "--t", 20, "--batch", 16, "--updates", 60, "--pixels", 24, *HERE)
    run = go("run", "metaclip", "--pool", "web", *settings)
    assert run["metrics"]["texts"] > 5
    assert 0 <= run["metrics"]["text_to_image_r1"] <= 1
    again = go("run", "metaclip", "--pool", "web", *settings)
    assert again == run, "what is finished is kept"

    new = tmp_path / "new"
    new.mkdir()
    for row in range(8):
        (new / f"{row}.png").write_bytes(picture(row % 4, 1000 + row))
    (new / "not a picture.png").write_text("html")
    model = "runs/metaclip/mini/clip"
    embedded = go("apply", model, "new", "--out", "embedded", "--devices", 0)
    assert (embedded["rows_in"], embedded["rows_out"]) == (9, 8)
    vectors = np.stack(pq.read_table(tmp_path / "embedded/rows")["embedding"].to_numpy())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    named = go(
        "apply", model, "new", "--classes", ",".join(SHAPES), "--template", "my {}", "--out", "named", "--devices", 0
    )
    assert named["does"] == "classify"
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "named/rows").to_pylist()}
    assert set(rows) == {f"{row}.png" for row in range(8)}


@pytest.mark.slow
def test_the_same_on_real_figures(go, tmp_path, monkeypatch):
    if not catalog.is_here("openstax_figures") or not catalog.is_here("wordnet"):
        pytest.skip("needs openstax_figures and wordnet in SENSORIUM_DATA")
    curated = go("curate", "openstax_figures", "--concepts", "wordnet", "--t", 20, "--out", "curated", "--workers", 1)
    assert accounted(curated["metrics"])
    assert curated["metrics"]["rows_in"] == 2000
    assert 1000 < curated["metrics"]["rows_out"] < 2000

    settings = ("--t", 20, "--pixels", 48, "--batch", 96, "--updates", 60, *HERE)
    run = go("run", "metaclip", "--pool", "openstax_figures", *settings)
    metrics = run["metrics"]
    # Guessing finds 10 of 213 by chance; a network that learned nothing stays there.
    assert metrics["text_to_image_r10"] > 1.5 * 10 / metrics["images"]
    scores = json.loads((tmp_path / run["path"] / "scores.json").read_text("utf-8"))
    found = scores["text_to_image_r10"]
    assert found["low"] <= found["value"] <= found["high"]
    page = (tmp_path / run["page"]).read_text("utf-8")
    assert "OpenStax" in page or "openstax" in page, "whose material is shown is said"

    first = next(iter(pq.ParquetFile(os.path.join(catalog.folder("openstax_figures"), "data.parquet")).iter_batches(8)))
    (tmp_path / "new").mkdir()
    for number, image in enumerate(first["image"].to_pylist()):
        (tmp_path / f"new/{number}.webp").write_bytes(image["bytes"])
    applied = go("apply", "runs/metaclip/mini/clip", "new", "--classes", "photograph,map,diagram", "--out", "named")
    assert (applied["rows_in"], applied["rows_out"]) == (8, 8)
