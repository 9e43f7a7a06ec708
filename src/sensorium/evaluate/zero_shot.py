"""The stage `ZeroShot`: how often a model finds the class of a picture by the names of the classes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.core.stage import Here, Stage, aside, stage, takes
from sensorium.data import rejected
from sensorium.data.media import BrokenMediaError, decode_image
from sensorium.data.shards import Shard
from sensorium.data.sources import Pool, open_pool
from sensorium.models.hub import HubModel, open_model
from sensorium.models.matcher import Matcher
from sensorium.tasks.classes import (
    FILE,
    ClassFile,
    ClassList,
    Names,
    classes_from,
    classes_of_labels,
    is_missing,
    read_classes,
)
from sensorium.tasks.task import TaskCard
from sensorium.tasks.templates import Templates, sentences
from sensorium.tasks.zero_shot import ITEMS, Frequency, ZeroShotClassification

_FOUND = pa.schema([*ITEMS, ("shard", pa.string()), ("reason", pa.string())])
_WORK = "shards"  # outcomes by shard, so that a killed run goes on; gone when the scores are written


@stage
class ZeroShot(Stage):
    """Zero-shot classification of a pool of labelled pictures by a model with an image and a text side.

    Writes `scores.json` (top1, top5, mean_per_class, one score per group, each with interval and definition),
    `items.parquet` (id, label, prediction, rank, group; sorted by id), `rejected/rows.parquet` (id, shard,
    reason) and `task.json` (what was asked). Pictures that cannot be decoded or have no known label are
    listed there and counted in each score as n of m.

    Args:
        model: a model stage, or a released model as `HubModel("owner/name")`.
        pool: rows with `image` and `label`.
        classes: None takes the pool stage's own `classes.json`; `ClassFile(path)`; a mapping label -> name,
            names or names by language; or "labels" to use the labels themselves as names (folders named by
            class).
        templates: "general", "plain", own sentences such as ("a photo of a {}",), or own sentences by
            language.
        languages: whose names and sentences are used.
        names: all names of a class, or the first of each language.
        groups: "auto" takes the groups of the class list, else `Frequency()` where ranks allow it; a
            `Frequency`; or class ids by group; None for none.
        batch: pictures embedded at once. The last batch of a shard is filled up, so that each has the same
            shape.
    """

    gives: ClassVar[str] = "scores"
    uses: ClassVar[tuple[str, ...]] = ("precision",)
    model: Stage | HubModel = takes("model")
    pool: Pool = takes("pool")
    classes: ClassFile | Mapping[str, Any] | Literal["labels"] | None = None
    templates: Templates = "general"
    languages: tuple[str, ...] = ("en",)
    names: Names = "all"
    groups: Frequency | Mapping[str, tuple[str, ...]] | Literal["auto"] | None = "auto"
    batch: int = aside(64)

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if self.batch < 1:
            raise SettingError(f"batch = {self.batch}; at least 1 picture is embedded at once.")
        if isinstance(self.classes, str) and self.classes != "labels":
            raise SettingError(f"classes = '{self.classes}'; give 'labels', a mapping, or ClassFile('{self.classes}').")
        if isinstance(self.groups, str) and self.groups != "auto":
            raise SettingError(f"groups = '{self.groups}'; give 'auto', a Frequency, class ids by group, or None.")
        languages: Any = self.languages
        if isinstance(languages, str) or not languages:
            raise SettingError(f"languages are a list such as ('en',), not {languages!r}.")
        for language in self.languages:
            sentences(self.templates, language)
        if self.names not in ("all", "first"):
            raise SettingError(f"names = '{self.names}'; allowed are 'all' and 'first'.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Embed, rank, score."""
        shards = open_pool(self.pool, here)
        task = self._task(shards, here)
        model = open_model(self.model, here)
        if not isinstance(model, Matcher):
            raise SettingError(
                f"{type(model).__name__} embeds no pictures and texts in one space; zero-shot needs both."
            )
        texts, owners = task.prompts()
        head = task.fit(model.embed_texts(texts), owners)
        classifier = _Classifier(task, model, head, self.batch)
        found = pa.concat_tables(self._outcomes(shards, classifier, here))
        return _write(here, task, found, self._about(task, head, len(texts), here))

    def _task(self, shards: Sequence[Shard], here: Here) -> ZeroShotClassification:
        classes = self._classes(shards, here)
        groups = self._groups(classes)
        card = TaskCard(
            name="zero-shot",
            says=f"Find the class of a picture among {len(classes)} by their names.",
            columns=("image", "label"),
            chance=1 / len(classes),
        )
        return ZeroShotClassification(
            card=card,
            classes=classes,
            templates=self.templates,
            languages=self.languages,
            groups=groups,
            names=self.names,
        )

    def _about(self, task: ZeroShotClassification, head: np.ndarray, num_prompts: int, here: Here) -> dict[str, Any]:
        """What was asked, and which classes the model cannot tell apart whatever the picture."""
        twins = task.twins(head)
        if twins:
            here.progress.say(
                f"{len(twins)} pairs of classes have one embedding, such as {twins[0][0]} and {twins[0][1]}; "
                "their pictures count as misses."
            )
        return {
            **asdict(task.card),
            "classes": len(task.classes),
            "groups": {name: len(ids) for name, ids in (task.groups or {}).items()},
            "languages": task.languages,
            "names": task.names,
            "prompts": num_prompts,
            "templates": task.templates,
            "twins": twins,
        }

    def _classes(self, shards: Sequence[Shard], here: Here) -> ClassList:
        if isinstance(self.classes, ClassFile):
            return self.classes.read()
        if isinstance(self.classes, Mapping):
            return classes_from(self.classes)
        if self.classes == "labels":
            return classes_of_labels(
                label
                for shard in shards
                for piece in shard.pieces(("label",))
                for label in pc.unique(piece.table["label"]).to_pylist()
            )
        if isinstance(self.pool, Stage) and (here.path(self.pool) / FILE).exists():
            return read_classes(here.path(self.pool) / FILE)
        raise InputError(
            "the pool brings no class list; give classes=ClassFile('classes.json'), "
            "classes={'label': 'name'}, or classes='labels' when the labels are the names."
        )

    def _groups(self, classes: ClassList) -> Mapping[str, Sequence[str]] | None:
        if isinstance(self.groups, Frequency):
            return self.groups.groups(classes)
        if self.groups != "auto":
            return self.groups
        usual = Frequency()
        return classes.groups() or (usual.groups(classes) if usual.fits(classes) else None)

    def _outcomes(self, shards: Sequence[Shard], classifier: _Classifier, here: Here) -> list[pa.Table]:
        """One table per shard, schema `_FOUND`; finished shards of a killed run are read back."""
        tables = []
        with here.progress.task(self.label(), len(shards), "shards") as line:
            for shard in shards:
                path = here.out / _WORK / f"{files.safe_name(shard.name)}.parquet"
                if not path.exists():
                    table = classifier.classify(shard)
                    with files.atomic(path) as temporary:
                        pq.write_table(table, temporary)
                tables.append(pq.read_table(path))
                line.advance(1)
        return tables or [_FOUND.empty_table()]


@dataclass(frozen=True)
class _Classifier:
    """A model with the class vectors of a task."""

    task: ZeroShotClassification
    model: Matcher
    head: np.ndarray
    batch: int

    def classify(self, shard: Shard) -> pa.Table:
        """The outcomes of a shard's rows, and the reasons of those that have none; schema `_FOUND`."""
        tables = [_FOUND.empty_table()]
        for piece in shard.pieces(("image", "label"), rows=max(self.batch, 1024)):
            tables.append(_without_outcome(piece.rejected["id"].to_pylist(), piece.rejected["reason"].to_pylist()))
            for first in range(0, len(piece.table), self.batch):
                tables.append(self._rows(piece.table.slice(first, self.batch), shard.folder))
        found = pa.concat_tables(tables)
        place = found.schema.get_field_index("shard")
        return found.set_column(place, _FOUND.field("shard"), pa.array([shard.name] * len(found), pa.string()))

    def _rows(self, rows: pa.Table, folder: str) -> pa.Table:
        """The outcomes of at most one batch."""
        ids, labels = rows["id"].to_pylist(), self.task.classes.numbers(rows["label"])
        images, reasons = _decoded(rows["image"].to_pylist(), labels, folder)
        reasons = [
            _label_reason(rows["label"][row].as_py()) if labels[row] < 0 else why for row, why in enumerate(reasons)
        ]
        usable = [row for row, why in enumerate(reasons) if not why]
        lost = [row for row, why in enumerate(reasons) if why]
        known = [self.task.classes.ids[labels[row]] if labels[row] >= 0 else None for row in lost]
        bad = _without_outcome([ids[row] for row in lost], [reasons[row] for row in lost], known)
        if not usable:
            return bad
        vectors = _embed([images[row] for row in usable], self.model, self.batch)
        scores = self.task.predict(self.head, vectors)
        good = self.task.outcomes([ids[row] for row in usable], scores, labels[usable])
        empty = [pa.nulls(len(good), field.type) for field in _FOUND][len(ITEMS) :]
        return pa.concat_tables([pa.table([*good.columns, *empty], schema=_FOUND), bad])


def _decoded(values: Sequence[Any], labels: np.ndarray, folder: str) -> tuple[list[Any], list[str]]:
    """Pictures of the rows with a label, and for each row why it has none (empty when it has)."""

    def one(row: int) -> tuple[Any, str]:
        if labels[row] < 0:
            return None, ""
        try:
            return decode_image(values[row], folder=folder), ""
        except BrokenMediaError as error:
            return None, f"image: {error}"

    # Decoders release the interpreter's lock; four threads keep up with a model on a CPU.
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(one, range(len(values))))
    return [image for image, _ in found], [reason for _, reason in found]


def _label_reason(label: Any) -> str:
    return "no label" if is_missing(label) else f"unknown label: {label!r:.60}"


def _embed(images: list[Any], model: Matcher, batch: int) -> np.ndarray:
    """Embeddings of at most one batch, computed as a full one.

    Matrix products of another shape add in another order; with one shape, a picture's vector does not depend
    on how many pictures its shard happened to hold.
    """
    filled = images + [images[-1]] * (batch - len(images))
    return np.asarray(model.embed_images(filled, batch))[: len(images)]


def _without_outcome(
    ids: Sequence[str], reasons: Sequence[str], labels: Sequence[str | None] | None = None
) -> pa.Table:
    columns = {"id": list(ids), "reason": list(reasons), "label": list(labels or [None] * len(ids))}
    arrays = [pa.array(columns.get(field.name, [None] * len(ids)), field.type) for field in _FOUND]
    return pa.table(arrays, schema=_FOUND)


def _write(here: Here, task: ZeroShotClassification, found: pa.Table, about: Mapping[str, Any]) -> dict[str, float]:
    """Write the result files and return the figures for the record."""
    scored = found.filter(pc.is_null(found["reason"]))
    items = scored.select(ITEMS.names).sort_by("id")
    if not len(items):
        raise InputError(_nothing(found))
    lost = found.filter(pc.is_valid(found["reason"]))
    scores = task.score_items(items, _given(task, found))
    files.write_json(here.out / "scores.json", {name: score.as_json() for name, score in scores.items()})
    with files.atomic(here.out / "items.parquet") as temporary:
        pq.write_table(items, temporary)
    with files.atomic(here.out / "rejected" / "rows.parquet") as temporary:
        pq.write_table(lost.select(rejected.SCHEMA.names).sort_by("id"), temporary)
    files.write_json(here.out / "task.json", about)
    files.remove(here.out / _WORK)
    figures = {name: score.value for name, score in scores.items() if score.value is not None}
    return {**figures, "items": len(items), "given": len(found), "classes": len(task.classes)}


def _given(task: ZeroShotClassification, found: pa.Table) -> dict[str, int]:
    """How many pictures there were, scored or not: in all, and of the classes of each group."""
    labels = found["label"]
    groups = {name: pa.array([str(label) for label in ids], pa.string()) for name, ids in (task.groups or {}).items()}
    counts = {name: int(pc.sum(pc.is_in(labels, ids)).as_py() or 0) for name, ids in groups.items()}
    return {"": len(found), **counts}


def _nothing(found: pa.Table) -> str:
    if not len(found):
        return "the pool has no rows to score."
    return f"none of the {len(found)} rows could be scored; the first reason: {found['reason'][0].as_py()}."
