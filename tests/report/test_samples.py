from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.report.report_stages import picture

from sensorium.report.samples import PIXELS, choose, folder_rows, samples, sound
from sensorium.report.samples import picture as small


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def write(folder, tables):
    (folder / "rows").mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, folder / "rows" / f"{number}.parquet")


def table(first: int, count: int, langs=("en",)):
    ids = [f"r{i}" for i in range(first, first + count)]
    return pa.table({"id": ids, "text": [f"t {i}" for i in ids], "lang": [langs[i % len(langs)] for i in range(count)]})


@pytest.mark.parametrize("cuts", [(60,), (20, 20, 20), (1, 9, 10, 10, 10, 10, 10)])
def test_the_same_rows_are_chosen_on_any_sharding_of_a_small_pool(tmp_path, cuts):
    starts = np.cumsum((0, *cuts[:-1])).tolist()
    write(tmp_path, [table(start, count) for start, count in zip(starts, cuts, strict=True)])
    chosen = [row["id"] for row in choose(folder_rows(tmp_path), 12)]
    assert chosen == [row["id"] for row in choose(table(0, 60), 12)]


def test_languages_take_turns_from_the_largest():
    rows = choose(table(0, 90, ("en", "en", "ja", "ar")), 6)
    assert [row["lang"] for row in rows[:3]] == ["en", "ar", "ja"]
    assert {row["lang"] for row in rows} == {"en", "ja", "ar"}


def test_rows_without_ids_and_fewer_rows_than_wanted():
    assert len(choose(pa.table({"text": ["a", "b"]}), 24)) == 2


def test_an_empty_or_missing_pool_has_no_rows(tmp_path):
    assert folder_rows(tmp_path) is None
    write(tmp_path, [table(0, 0)])
    assert folder_rows(tmp_path) is None


def test_large_values_are_not_read_by_the_thousand(tmp_path, monkeypatch):
    monkeypatch.setattr("sensorium.report.samples._BYTES", 1 << 18)
    noise = np.random.default_rng(0).bytes((1 << 14) + 200)
    big = pa.table({"id": [f"{i}" for i in range(200)], "image": [noise[i : i + (1 << 14)] for i in range(200)]})
    write(tmp_path, [big])
    assert folder_rows(tmp_path).num_rows <= 16


def test_pictures_become_small():
    uri, longest = small(Image.new("RGBA", (1000, 500), (0, 128, 255, 128)))
    shown = Image.open(io.BytesIO(content(uri)))
    assert longest == 1000
    assert max(shown.size) == PIXELS
    assert uri.startswith("data:image/jpeg;base64,")


def test_tiny_pictures_stay_exact():
    drawn = Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3))
    uri, longest = small(drawn)
    assert longest == 32
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content(uri)))), np.asarray(drawn))


def test_sounds_become_short_wav():
    signal = np.sin(np.arange(20 * 8000) / 20).astype(np.float32) * 1.5
    with wave.open(io.BytesIO(content(sound(signal, 8000)))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8000, 8 * 8000)
        frames = np.frombuffer(file.readframes(8000), "<i2")
    assert frames.max() == 32767
    assert abs(int(frames[10]) - round(min(1.0, float(signal[10])) * 32767)) <= 1


def test_what_cannot_be_decoded_leaves_its_reason_and_its_caption():
    rows = [
        {"id": "a", "text": "good", "image": {"bytes": picture(), "path": None}, "lang": "en"},
        {"id": "b", "text": "bad", "image": {"bytes": b"nope", "path": None}, "lang": None},
        {"id": "c", "text": None, "image": None},
    ]
    good, bad, none = samples(rows)
    assert good.image
    assert good.caption.lang == "en"
    assert not bad.image
    assert bad.why
    assert bad.caption.content == "bad"
    assert (none.image, none.why, none.caption.content) == ("", "", "")


def test_notes_name_the_language_and_one_column():
    assert samples([{"text": "x", "lang": "de", "kind": "file name"}], note="kind")[0].note == "de · file name"
    assert samples([{"text": "x", "kind": None}], note="kind")[0].note == ""


@pytest.mark.parametrize("value", [7, [1, 2], 0.5])
def test_a_column_called_image_that_holds_no_media_is_shown_as_text(value):
    (one,) = samples([{"id": "a", "text": "a dog", "image": value}], None)
    assert (one.image, one.why, one.caption.content) == ("", "", "a dog")
