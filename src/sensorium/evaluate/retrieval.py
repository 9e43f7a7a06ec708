"""The stage `Retrieval`: finding the texts of a picture and the picture of a text among all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.score import Score
from sensorium.core.stage import Here, Stage, aside, stage, takes
from sensorium.data import rejected
from sensorium.data.media import BrokenMediaError, decode_image
from sensorium.data.shards import Shard
from sensorium.data.sources import Pool, open_pool
from sensorium.metrics.classification import TIED, predictions, rate_score
from sensorium.metrics.names import metric
from sensorium.metrics.retrieval import best_ranks
from sensorium.models.hub import HubModel, open_model
from sensorium.models.matcher import Matcher
from sensorium.tasks.zero_shot import ITEMS, unit

USUAL_KEY = "key"
DIRECTIONS = ("image_to_text", "text_to_image")
_QUERIES = 256  # rows of the score matrix held at once


@stage
class Retrieval(Stage):
    """Image-text retrieval on a pool of pictures with texts.

    Rows with the same value in the column `key` are texts of one picture, which is taken from the row with
    the smallest id whose picture decodes. A picture is found if any of its texts is; R@k is the share of
    queries whose best match ranks among the first k of all texts (pictures) of the pool. Equal scores count
    against the model, so texts that several pictures share are misses; they are counted in `task.json`. With no
    more than k pictures (texts) to choose from, every answer is among the first k, and R@k has no value.

    Writes `scores.json` (image_to_text_r1, ..., text_to_image_r10), `items.parquet` (id, label = key,
    prediction, rank, group = direction), `rejected/rows.parquet` and `task.json`.

    Args:
        model: a model stage, or a released model as `HubModel("owner/name")`.
        pool: rows with `image` and `text`.
        key: the column that groups texts of one picture; rows without a value are pairs of their own, and so
            are all rows with "", or in a pool without a column of the usual name.
        ks: the k of R@k.
        batch: pictures or texts embedded at once.
    """

    gives: ClassVar[str] = "scores"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    model: Stage | HubModel = takes("model")
    pool: Pool = takes("pool")
    key: str = USUAL_KEY
    ks: tuple[int, ...] = (1, 5, 10)
    batch: int = aside(64)

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if not self.ks or any(k < 1 for k in self.ks) or len(set(self.ks)) < len(self.ks):
            raise SettingError(f"ks = {self.ks}; give different numbers of at least 1.")
        if self.batch < 1:
            raise SettingError(f"batch = {self.batch}; at least 1 is embedded at once.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Embed both sides, rank, score."""
        model = open_model(self.model, here)
        if not isinstance(model, Matcher):
            raise SettingError(
                f"{type(model).__name__} embeds no pictures and texts in one space; retrieval needs both."
            )
        found = _Gallery(model, self.batch)
        shards = open_pool(self.pool, here)
        has_key = bool(shards) and USUAL_KEY in shards[0].layout.schema.names
        key = self.key if has_key or self.key != USUAL_KEY else ""
        with here.progress.task(self.label(), len(shards), "shards") as line:
            for shard in shards:
                found.read(shard, key)
                line.advance(1)
        return self._write(here, found.close())

    def _write(self, here: Here, pairs: _Pairs) -> dict[str, float]:
        if len(pairs.keys) < 2:
            raise InputError(f"{len(pairs.keys)} pictures with a text could be read; retrieval needs at least 2.")
        items = pa.concat_tables([_rank(direction, pairs) for direction in DIRECTIONS])
        scores = self._scores(items, pairs)
        files.write_json(here.out / "scores.json", {name: score.as_json() for name, score in scores.items()})
        with files.atomic(here.out / "items.parquet") as temporary:
            pq.write_table(items, temporary)
        with files.atomic(here.out / "rejected" / "rows.parquet") as temporary:
            pq.write_table(pairs.rejected, temporary)
        files.write_json(here.out / "task.json", self._about(pairs))
        figures = {name: score.value for name, score in scores.items() if score.value is not None}
        return {**figures, "images": len(pairs.keys), "texts": len(pairs.texts), "given": pairs.num_given}

    def _scores(self, items: pa.Table, pairs: _Pairs) -> dict[str, Score]:
        scores = {}
        for direction in DIRECTIONS:
            mine = items.filter(pc.equal(items["group"], direction))
            ranks = mine["rank"].to_numpy()
            # Texts of one picture are resampled together; as a query, a picture is on its own.
            texts = direction == "text_to_image"
            clusters = mine["label"].to_pylist() if texts else None
            of = pairs.num_given if texts else pairs.num_given_keys
            choices = len(pairs.keys) if texts else len(pairs.texts)
            for k in self.ks:
                name = f"{direction}_r{k}"
                definition = metric(name).definition
                if choices <= k:
                    what = "pictures" if texts else "texts"
                    note = f"with {choices} {what} every answer is among the first {k}"
                    scores[name] = Score(value=None, n=len(ranks), of=of, definition=definition, note=note)
                else:
                    scores[name] = rate_score(ranks <= k, clusters, of=of, definition=definition, shared="images")
        return scores

    def _about(self, pairs: _Pairs) -> dict[str, Any]:
        owners: dict[str, set[int]] = {}
        for text, owner in zip(pairs.texts, pairs.owners.tolist(), strict=True):
            owners.setdefault(text, set()).add(owner)
        return {
            "name": "retrieval",
            "version": 1,
            "main": f"text_to_image_r{min(self.ks)}",
            "images": len(pairs.keys),
            "texts": len(pairs.texts),
            "shared_texts": sum(len(found) > 1 for found in owners.values()),
            "broken_images": pairs.broken,
        }


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Everything embedded: K pictures in the order of their keys, T texts in the order of their ids."""

    keys: list[str]
    images: np.ndarray  # (K, D) float64, unit
    ids: list[str]
    texts: list[str]
    owners: np.ndarray  # (T,) place of each text's picture
    vectors: np.ndarray  # (T, D) float64, unit
    rejected: pa.Table
    broken: list[dict[str, str]]  # pictures that did not decode though another row of the key has one
    num_given: int
    num_given_keys: int


@dataclass
class _Picture:
    """The picture of a key so far: the row with the smallest id that decoded."""

    id: str
    vector: np.ndarray | None = None


@dataclass(frozen=True)
class _Row:
    """The text side of a row, and why its own picture could not be used, if so."""

    id: str
    shard: str
    key: str
    text: str
    reason: str


class _Gallery:
    """Collects pictures and texts from shards in any order; the result does not depend on it."""

    def __init__(self, model: Matcher, batch: int) -> None:
        self._model = model
        self._batch = batch
        self._pictures: dict[str, _Picture] = {}
        self._waiting: list[tuple[str, str, Any]] = []  # key, row id, image
        self._rows: dict[str, _Row] = {}
        self._bad: list[tuple[str, str, str]] = []  # row id, shard, reason

    def read(self, shard: Shard, key: str) -> None:
        """Take the rows of one shard."""
        columns = ("image", "text", key) if key else ("image", "text")
        for piece in shard.pieces(columns, rows=1024):
            self._bad += [(row["id"], shard.name, row["reason"]) for row in piece.rejected.to_pylist()]
            for first in range(0, len(piece.table), self._batch):
                for row in piece.table.slice(first, self._batch).to_pylist():
                    # Keys and ids are kept apart, so that a row without a key never meets a key of its id's
                    # name.
                    given = row[key] if key else None
                    self._take(row, f"id:{row['id']}" if given is None else f"key:{given}", shard)

    def close(self) -> _Pairs:
        """Embed what is left and put both sides in their final order."""
        self._flush()
        rows = sorted(self._rows.values(), key=lambda row: row.id)
        good, lost = self._sorted_out(rows)
        keys = sorted({row.key for row in good})
        place = {key: number for number, key in enumerate(keys)}
        texts = [row.text for row in good]
        vectors = self._model.embed_texts(texts, self._batch) if texts else np.zeros((0, 1), np.float32)
        bad = sorted([*self._bad, *lost])
        columns = list(zip(*bad, strict=True)) or [(), (), ()]
        return _Pairs(
            keys=[key.partition(":")[2] for key in keys],
            images=np.array([self._pictures[key].vector for key in keys]),
            ids=[row.id for row in good],
            texts=texts,
            owners=np.array([place[row.key] for row in good], np.int64),
            vectors=unit(vectors, "text"),
            rejected=pa.table([pa.array(column, pa.string()) for column in columns], schema=rejected.SCHEMA),
            broken=self._broken(good),
            num_given=len(rows) + len(self._bad),
            num_given_keys=len({row.key for row in rows}),
        )

    def _take(self, row: dict[str, Any], key: str, shard: Shard) -> None:
        name, reason, image = row["id"], "", None
        assert name not in self._rows, "open_pool lets no id through twice"
        known = self._pictures.get(key)
        if row["image"] is None:
            reason = "no image"
        elif known is None or name < known.id:
            try:
                image = decode_image(row["image"], folder=shard.folder)
            except BrokenMediaError as error:
                reason = f"image: {error}"
        self._rows[name] = _Row(name, shard.name, key, row["text"] or "", reason)
        if image is not None:
            self._pictures[key] = _Picture(name)
            self._waiting.append((key, name, image))
        if len(self._waiting) == self._batch:
            self._flush()

    def _flush(self) -> None:
        """Embed the waiting pictures as one full batch, so that each has the same shape."""
        if not self._waiting:
            return
        images = [image for _, _, image in self._waiting]
        filled = images + [images[-1]] * (self._batch - len(images))
        vectors = unit(self._model.embed_images(filled, self._batch), "picture")
        for (key, name, _), vector in zip(self._waiting, vectors, strict=False):
            # A later row with a smaller id may have taken the place meanwhile.
            if self._pictures[key].id == name:
                self._pictures[key].vector = vector
        self._waiting.clear()

    def _sorted_out(self, rows: list[_Row]) -> tuple[list[_Row], list[tuple[str, str, str]]]:
        """Rows that are queries, and (id, shard, reason) of the others; rows come sorted by id."""
        good, lost = [], []
        seen: set[tuple[str, str]] = set()
        for row in rows:
            reason = ""
            if row.key not in self._pictures:
                reason = row.reason
            elif not row.text.strip():
                reason = "no text"
            elif (row.key, row.text) in seen:
                reason = "text repeated for the same image"
            seen.add((row.key, row.text))
            if reason:
                lost.append((row.id, row.shard, reason))
            else:
                good.append(row)
        return good, lost

    def _broken(self, good: list[_Row]) -> list[dict[str, str]]:
        # Rows behind the chosen one were looked at in some orders only; they are left out in all.
        return [
            {"id": row.id, "reason": row.reason}
            for row in good
            if row.reason and row.reason != "no image" and row.id < self._pictures[row.key].id
        ]


def _rank(direction: str, pairs: _Pairs) -> pa.Table:
    """The rank of the best match of every query, schema `ITEMS`."""
    places = np.arange(len(pairs.keys))
    if direction == "image_to_text":
        queries, gallery = (pairs.images, places, pairs.keys), (pairs.vectors, pairs.owners, pairs.ids)
    else:
        queries, gallery = (pairs.vectors, pairs.owners, pairs.ids), (pairs.images, places, pairs.keys)
    ranks, best = [], []
    for first in range(0, len(queries[0]), _QUERIES):
        scores = queries[0][first : first + _QUERIES] @ gallery[0].T
        ranks.append(best_ranks(scores, queries[1][first : first + _QUERIES, None] == gallery[1][None, :], TIED))
        best.append(predictions(scores, TIED))
    chosen = [gallery[2][number] if number >= 0 else None for number in np.concatenate(best)]
    labels = [pairs.keys[owner] for owner in queries[1]]
    columns = [queries[2], labels, chosen, np.concatenate(ranks), [direction] * len(labels)]
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, ITEMS.types, strict=True)], schema=ITEMS)
