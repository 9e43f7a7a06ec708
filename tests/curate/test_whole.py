"""A curated pool stands by itself: media in files of their own are taken in, and what cannot be read is rejected."""

import io
import json
import shutil

import pyarrow as pa
import pytest
from PIL import Image
from running import ids, rows, run, write_pool

from sensorium.curate.curate import Curate
from sensorium.curate.match import Match
from sensorium.curate.metadata import Entries
from sensorium.data.blobs import embed
from sensorium.data.media import decode_image
from sensorium.data.sources import Files


def png(shade):
    held = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(held, "PNG")
    return held.getvalue()


@pytest.fixture
def pool(tmp_path):
    """Six rows whose pictures lie beside the table; one file is missing, one row is not matched."""
    folder = tmp_path / "pool"
    (folder / "pictures").mkdir(parents=True)
    for number in range(6):
        if number != 4:
            (folder / f"pictures/{number}.png").write_bytes(png(number))
    table = pa.table(
        {
            "id": [f"r{number}" for number in range(6)],
            "text": ["dog", "dog", "cat", "dog", "dog", "dog"],
            "image": [f"pictures/{number}.png" for number in range(6)],
        }
    )
    return write_pool(folder, table, 2)


def curated(pool, tmp_path):
    steps = (Match(vocabulary=Entries(entries=("dog",))),)
    return run(Curate(pool=Files(f"{pool}/*.parquet"), steps=steps), tmp_path / "runs")[0]


def test_pictures_are_inside_and_outlive_their_files(pool, tmp_path):
    folder = curated(pool, tmp_path)
    shutil.rmtree(pool / "pictures")
    found = rows(folder)
    assert found["id"].to_pylist() == ["r0", "r1", "r3", "r5"]
    shades = [decode_image(value).getpixel((0, 0))[0] for value in found["image"].to_pylist()]
    assert shades == [0, 1, 3, 5]


def test_a_missing_file_is_rejected_with_its_reason_and_nothing_is_lost(pool, tmp_path):
    folder = curated(pool, tmp_path)
    assert ids(folder, "rejected") == ["r4"]
    assert rows(folder, "rejected")["reason"].to_pylist() == ["file not found"]
    assert ids(folder, "dropped") == ["r2"]
    counts = json.loads((folder / "pool.json").read_text())
    assert counts["rows_in"] == 6 == counts["rows_out"] + counts["dropped"] + counts["rejected"]
    assert (counts["rows_out"], counts["dropped"], counts["rejected"]) == (4, 1, 1)


def test_bytes_that_are_inside_already_stay_as_they_are(tmp_path):
    image = pa.array(
        [{"bytes": png(1), "path": "gone.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    folder = write_pool(tmp_path / "pool", pa.table({"id": ["a"], "text": ["dog"], "image": image}))
    found = rows(curated(folder, tmp_path))
    assert found["image"].to_pylist() == image.to_pylist()


@pytest.mark.parametrize("most", [1, 150, 1 << 20])
def test_memory_follows_the_bytes_of_files_not_their_number(tmp_path, monkeypatch, most):
    monkeypatch.setattr("sensorium.curate.whole.STEP_BYTES", most)
    held = []
    monkeypatch.setattr("sensorium.curate.whole.embed", lambda *given, **more: noted(held, *given, **more))
    folder = tmp_path / "pool"
    folder.mkdir()
    for row in range(20):
        (folder / f"{row}.png").write_bytes(bytes(40 + row))
        (folder / f"{row}.wav").write_bytes(bytes(10 * row + 1))
    media = {"image": [f"{row}.png" for row in range(20)], "audio": [f"{row}.wav" for row in range(20)]}
    table = pa.table({"id": [f"r{row:02d}" for row in range(20)], "text": ["dog"] * 18 + ["cat"] * 2, **media})
    done = curated(write_pool(folder, table), tmp_path)
    found = rows(done)
    assert [len(value["bytes"]) for value in found["image"].to_pylist()] == [40 + row for row in range(18)]
    assert [len(value["bytes"]) for value in found["audio"].to_pylist()] == [10 * row + 1 for row in range(18)]
    assert ids(done, "dropped") == ["r18", "r19"]
    assert max(held) < most + 200


def noted(held, *given, **more):
    column, faults = embed(*given, **more)
    held.append(sum(len(value["bytes"]) for value in column.to_pylist() if value))
    return column, faults
