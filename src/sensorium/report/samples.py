"""Rows of a pool for people to look at: chosen by the hash of their id, decoded, made small."""

from __future__ import annotations

import base64
import io
import wave
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sensorium.core.errors import UserError
from sensorium.data import chance
from sensorium.data.media import decode_audio, decode_image
from sensorium.report.blocks import Sample, Text
from sensorium.report.text import language

COUNT = 24
PIXELS = 160
SECONDS = 8.0
RATE = 16_000
_FILES, _ROWS, _BYTES = 8, 2048, 32 << 20


def folder_rows(folder: Path, part: str = "rows") -> pa.Table | None:
    """Candidate rows of a finished pool: the first of up to eight files, at most 32 MiB of each.

    Args:
        folder: a pool stage's folder.
        part: "rows" or "dropped".

    Returns:
        A table, or None when there is nothing to read.
    """
    paths = sorted((folder / part).glob("*.parquet"))
    picked = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, _FILES).astype(int))] if paths else []
    tables = []
    for path in picked:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows:
                batch = next(file.iter_batches(batch_size=_candidates(file.metadata)))
                tables.append(pa.Table.from_batches([batch]))
    return pa.concat_tables(tables, promote_options="permissive") if tables else None


def choose(table: pa.Table, count: int = COUNT) -> list[dict[str, Any]]:
    """Rows in the order of their ids' hashes; where rows have languages, one language after the other.

    Args:
        table: candidates; `id` is used where it is there, else a row's place.
        count: how many at most.
    """
    if "id" in table.column_names:
        ids = table["id"].cast(pa.large_string()).fill_null("")
    else:
        ids = pa.array([str(row) for row in range(table.num_rows)], pa.large_string())
    ordered = [int(row) for row in np.argsort(chance.keyed(chance.hash_ids(ids), 0, "page sample"), kind="stable")]
    if "lang" in table.column_names:
        ordered = _in_turn(ordered, table["lang"].to_pylist())
    return list(table.take(pa.array(ordered[:count], pa.int64())).to_pylist())


def _in_turn(ordered: Iterable[int], languages: Sequence[Any]) -> list[int]:
    queues: dict[str, deque[int]] = {}
    for row in ordered:
        queues.setdefault(str(languages[row] or ""), deque()).append(row)
    turns = deque(sorted(queues, key=lambda lang: (-len(queues[lang]), lang)))
    found = []
    while turns:
        lang = turns.popleft()
        found.append(queues[lang].popleft())
        if queues[lang]:
            turns.append(lang)
    return found


def samples(rows: Iterable[dict[str, Any]], folder: Path | None = None, note: str = "") -> tuple[Sample, ...]:
    """Rows as samples; a medium that cannot be decoded leaves its reason.

    Args:
        rows: plain rows.
        folder: where relative media paths start.
        note: the column shown in small print below a caption.
    """
    return tuple(_sample(row, folder, note) for row in rows)


MEDIA_VALUES = (bytes, dict, str)
"""What a media column holds; a user's column of that name with other things in it is shown without pictures."""


def _sample(row: dict[str, Any], folder: Path | None, note: str) -> Sample:
    image = audio = why = ""
    pixels = 0
    try:
        if isinstance(row.get("image"), MEDIA_VALUES):
            image, pixels = picture(decode_image(row["image"], folder=folder))
        if isinstance(row.get("audio"), MEDIA_VALUES):
            audio = sound(*decode_audio(row["audio"], folder=folder, rate=RATE))
    except UserError as error:
        why = str(error)
    lang = language(row.get("lang"))
    remark = "" if note and row.get(note) is None else str(row.get(note, ""))
    return Sample(
        caption=Text(content=str(row.get("text") or ""), lang=lang),
        image=image,
        audio=audio,
        note=" · ".join(part for part in (lang, remark) if part),
        why=why,
        pixels=pixels,
    )


def picture(image: Image.Image) -> tuple[str, int]:
    """A data URI of an image made small, and its longer side before that."""
    longest = max(image.size)
    image = image.convert("RGB")
    image.thumbnail((PIXELS, PIXELS), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    if longest <= 64:
        image.save(written, "PNG", optimize=True)
        return _data_uri("image/png", written.getvalue()), longest
    image.save(written, "JPEG", quality=84)
    return _data_uri("image/jpeg", written.getvalue()), longest


def sound(signal: np.ndarray, rate: int) -> str:
    """A data URI of a sound as 16-bit WAV, cut after eight seconds.

    Args:
        signal: mono samples in [-1, 1], shape (T,).
        rate: samples per second.
    """
    cut = np.asarray(signal, np.float32)[: int(SECONDS * rate)]
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(cut, -1, 1) * 32767).round().astype("<i2").tobytes())
    return _data_uri("audio/wav", written.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _candidates(metadata: pq.FileMetaData) -> int:
    first = metadata.row_group(0)
    per_row = max(1, first.total_byte_size // max(1, first.num_rows))
    return int(min(max(_BYTES // per_row, 8), _ROWS))
