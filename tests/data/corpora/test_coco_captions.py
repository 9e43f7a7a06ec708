"""COCO captions from the excerpt and from annotation files."""

from __future__ import annotations

import json

import pytest

from sensorium.core.errors import InputError
from sensorium.data.corpora import coco_captions

from .conftest import json_lines, put


def test_the_excerpt_becomes_one_row_a_caption(excerpt, run):
    json_lines(excerpt / "data.jsonl.zst", [{"image_id": 139, "captions": ["a room", "a table"]}])
    assert run(coco_captions.pool()).rows == [
        {"id": "139-0", "text": "a room", "lang": "en", "key": "139"},
        {"id": "139-1", "text": "a table", "lang": "en", "key": "139"},
    ]


def test_annotation_files(tmp_path, run):
    rows = [{"image_id": 7, "id": 70, "caption": "A dog."}, {"image_id": 7, "id": 71, "caption": "A pet."}]
    put(tmp_path / "at" / "annotations" / "captions_val2017.json", json.dumps({"annotations": rows}))
    put(tmp_path / "at" / "annotations" / "captions_train2017.json", json.dumps({"annotations": []}))
    made = run(coco_captions.pool(at=tmp_path / "at"))
    assert [(row["id"], row["text"], row["key"]) for row in made.rows] == [
        ("7-70", "A dog.", "7"),
        ("7-71", "A pet.", "7"),
    ]


def test_other_json_is_named(tmp_path, run):
    put(tmp_path / "at" / "annotations" / "captions_val2017.json", "{}")
    with pytest.raises(InputError, match=r"captions_val2017\.json is not a file of COCO annotations"):
        run(coco_captions.pool(at=tmp_path / "at"))
