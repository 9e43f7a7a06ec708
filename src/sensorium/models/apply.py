"""A model on the user's own files: `sensorium apply FOLDER INPUT...`, and `use(FOLDER)(...)` from Python.

What a model does stands in its card. Here: embed (pictures or texts -> unit vectors) and classify (pictures
against names the user gives -> label and score). Rows that cannot be used are listed with their reason.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from sensorium.core import files
from sensorium.core.errors import BusyError, InputError, SettingError, listing
from sensorium.core.stage import Machine, Progress
from sensorium.core.store import locked
from sensorium.data import rejected as rejects
from sensorium.data.sources import PoolWriter
from sensorium.models.card import Card, read_card
from sensorium.models.hub import HubModel, load, locate, parse_model
from sensorium.models.inputs import Batch, Chunk, Given, Inputs, Take, gather
from sensorium.models.matcher import ImageEmbedder, Matcher, TextEmbedder

BEGUN, DONE = "applied.json", "pool.json"
VERBS = ("embed", "classify")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of a model.

    Args:
        does: a verb of its card; "classify" where classes are given, otherwise its first one.
        take: "image" or "text"; by default pictures where there are any, else texts.
        classes: the names to choose from, at least two, for "classify".
        template: how a class name becomes a text; it holds one {}.
        columns: our column name -> name in the files, {"text": "caption"}.
        batch: how many rows are computed at once; no part of the result.
    """

    does: str | None = None
    take: Take | None = None
    classes: tuple[str, ...] = ()
    template: str = "{}"
    columns: Mapping[str, str] = field(default_factory=dict)
    batch: int = 64

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise SettingError(f"a batch has at least 1 row, not {self.batch}.")
        if self.template.count("{}") != 1:
            raise SettingError(f"a template holds one {{}} for the class name, unlike '{self.template}'.")
        repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if repeated:
            raise SettingError(f"the class '{repeated[0]}' is given twice.")

    def verb(self, card: Card, name: str) -> str:
        """The verb that the card and the wish agree on."""
        wanted = self.does or ("classify" if self.classes else card.does[0])
        if wanted not in card.does:
            raise SettingError(f"{name} does not {wanted}; it does: {listing(card.does)}.")
        if wanted not in VERBS:
            raise SettingError(
                f"applying a model that does '{wanted}' is not supported yet; these are: {listing(VERBS)}."
            )
        if wanted == "classify" and len(self.classes) < 2:
            raise SettingError("to classify, give the names to choose from, at least two: --classes dog,cat or a file.")
        if wanted != "classify" and (self.classes or self.template != "{}"):
            raise SettingError(f"classes and templates have no effect on '{wanted}'.")
        return wanted


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What applying a model left behind: a folder that can be read as a pool."""

    path: Path
    does: str
    rows_in: int
    rows_out: int
    reasons: Mapping[str, int]
    """Why rows were rejected, with counts; the rows themselves are in `path/rejected`."""


class Ready:
    """A model with its card, ready for the user's files; its own methods (`score`, ...) work as well.

    model = use("runs/mine/model")
    model("pictures/")                                   # a table: id, kind, embedding
    model("pictures/", classes=("dog", "cat"))           # a table: id, label, score, similarity
    model.rejected                                       # what could not be used in the last call
    """

    def __init__(self, model: Any, card: Card, name: str) -> None:
        self.model = model
        self.card = card
        self.name = name
        self.rejected = rejects.SCHEMA.empty_table()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "model" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.model, name)

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.card.does)}>"

    def __call__(self, inputs: Inputs, **wish: Any) -> pa.Table:
        """Do what the card says on files or a table; the settings are those of `Wish`.

        Returns:
            One line per usable row, text files first, else in stored order; the others are in `rejected`.
        """
        asked = Wish(**_tuples(wish))
        work = Work(self, asked)
        kept, refused = [], []
        for chunk in gather(inputs, asked.columns).chunks(asked.take):
            work.check(chunk)
            for table, rejected in work.results(chunk):
                kept.append(table)
                refused.append(rejected)
        self.rejected = pa.concat_tables([rejects.SCHEMA.empty_table(), *refused])
        return pa.concat_tables([work.schema().empty_table(), *kept])


class Work:
    """One verb of one model, row by row."""

    def __init__(self, ready: Ready, wish: Wish) -> None:
        self.ready, self.wish = ready, wish
        self.does = wish.verb(ready.card, ready.name)
        self._width: int | None = None
        self._classes: np.ndarray | None = None

    def check(self, chunk: Chunk) -> None:
        """Refuse inputs that the model cannot take, before anything is computed."""
        taken = "image" if self.does == "classify" else chunk.take
        able = ImageEmbedder if taken == "image" else TextEmbedder
        if chunk.take != taken or not isinstance(self.ready.model, able):
            raise InputError(
                f"{self.ready.name} cannot {self.does} {chunk.take}s; "
                f"its inputs are: {listing(self.ready.card.inputs)}."
            )
        if self.does == "classify" and not isinstance(self.ready.model, Matcher):
            raise InputError(f"{self.ready.name} cannot compare pictures with names.")

    def results(self, chunk: Chunk) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Tables of results and of rejected rows, in stored order."""
        for batch in chunk.batches(self.wish.batch):
            table = self._classify(batch) if self.does == "classify" else self._embed(batch, chunk.take)
            yield table, chunk.rejected(batch.refused)

    def schema(self) -> pa.Schema:
        """The columns of the results."""
        if self.does == "classify":
            kinds = {
                "id": pa.string(),
                "label": pa.string(),
                "score": pa.float32(),
                "similarity": pa.float32(),
            }
        else:
            vector = pa.list_(pa.float32(), self.width())
            kinds = {"id": pa.string(), "kind": pa.string(), "embedding": vector, "cut": pa.bool_()}
        return pa.schema(list(kinds.items()))

    def width(self) -> int:
        """The width of the embeddings; asked of the model, with nothing to embed."""
        if self._width is None:
            model = self.ready.model
            empty = model.embed_texts([]) if isinstance(model, TextEmbedder) else model.embed_images([])
            self._width = int(empty.shape[1])
        return self._width

    def _embed(self, batch: Batch, take: Take) -> pa.Table:
        model, size = self.ready.model, len(batch.ids)
        if not size:
            return self.schema().empty_table()
        embed = model.embed_images if take == "image" else model.embed_texts
        vectors = embed(batch.items, batch=self.wish.batch)
        # A cut text is not rejected, but whoever reads the vector must be able to see it.
        cut = model.is_cut(batch.items).tolist() if take == "text" and hasattr(model, "is_cut") else [None] * size
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns = [
            pa.array(batch.ids, pa.string()),
            pa.array([take] * size, pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            pa.array(cut, pa.bool_()),
        ]
        return pa.table(columns, schema=self.schema())

    def _classify(self, batch: Batch) -> pa.Table:
        """The best name, its share of the softmax over all names, its cosine; among equals the first wins."""
        if not batch.ids:
            return self.schema().empty_table()
        model = self.ready.model
        if self._classes is None:
            self._classes = model.embed_texts([self.wish.template.replace("{}", name) for name in self.wish.classes])
        vectors = model.embed_images(batch.items, batch=self.wish.batch)
        logits = np.asarray(model.score(vectors, self._classes), np.float64)
        best = logits.argmax(1)
        rows = np.arange(len(best))
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        similarity = (vectors * self._classes[best]).sum(1)
        columns = [
            pa.array(batch.ids, pa.string()),
            pa.array([self.wish.classes[k] for k in best], pa.string()),
            pa.array(shares[rows, best].astype(np.float32)),
            pa.array(similarity.astype(np.float32)),
        ]
        return pa.table(columns, schema=self.schema())


def use(model: str | Path | HubModel, machine: Machine | None = None) -> Ready:
    """A ready model with its card, by folder, pocket name or name on the Hub."""
    source = _source(model)
    found = source.locate()
    devices, precision = (machine.devices, machine.precision) if machine else (-1, "32")
    return Ready(load(source, devices=devices, precision=precision), read_card(found.path), found.name)


def apply(
    model: str | Path | HubModel,
    inputs: Inputs,
    out: Path,
    wish: Wish | None = None,
    *,
    machine: Machine | None = None,
    progress: Progress | None = None,
) -> Applied:
    """Apply a model to files and write a folder: `rows/*.parquet`, `rejected/*.parquet`, `pool.json`.

    Each shard or text file is written whole or not at all; the same command goes on where another stopped.

    Args:
        model: a folder, a pocket name, a name on the Hub, or a HubModel (which may be allowed to fetch).
        inputs: see `inputs.gather`.
        out: a new or empty folder, or that of the same command.
        wish: what is wanted; by default the first verb of the card.
        machine: device and precision.
        progress: where it is shown.

    Raises:
        BusyError: `out` holds something else.
    """
    asked = wish or Wish()
    source = _source(model)
    given = gather(inputs, asked.columns)
    chunks = given.chunks(asked.take)
    folder = locate(source.name, revision=source.revision, online=source.online).path
    does = asked.verb(read_card(folder), folder.name)
    out = Path(out)
    with locked(out):
        _begin(out, _record(source, given, dataclasses.replace(asked, does=does), machine))
        waiting = [chunk for chunk in chunks if not _mark(out, chunk).exists()]
        if waiting:
            work = Work(use(source, machine), asked)
            for chunk in waiting:
                work.check(chunk)
            _work_off(out, work, waiting, progress)
        return _finish(out, does, read_card(folder))


def _source(model: str | Path | HubModel) -> HubModel:
    if isinstance(model, HubModel):
        return model
    return HubModel(str(model)) if isinstance(model, Path) else parse_model(model)


def _work_off(out: Path, work: Work, chunks: list[Chunk], progress: Progress | None) -> None:
    with progress.task(f"{work.does} with {work.ready.name}", unit="rows") if progress else nullcontext() as task:
        for chunk in chunks:
            name = files.safe_name(chunk.name)
            refused = [rejects.SCHEMA.empty_table()]
            with PoolWriter(out / "rows" / f"{name}.parquet", work.schema()) as writer:
                for table, rejected in work.results(chunk):
                    writer.write(table)
                    refused.append(rejected)
                    if task:
                        task.advance(table.num_rows + rejected.num_rows)
            # The rejected file comes last: it is the mark of a finished chunk.
            with PoolWriter(_mark(out, chunk), rejects.SCHEMA) as writer:
                writer.write(pa.concat_tables(refused))


def _mark(out: Path, chunk: Chunk) -> Path:
    return out / "rejected" / f"{files.safe_name(chunk.name)}.parquet"


def _record(source: HubModel, given: Given, wish: Wish, machine: Machine | None) -> dict[str, Any]:
    """What a folder of results is of; no path of this machine is in it."""
    settings = {key: value for key, value in dataclasses.asdict(wish).items() if key != "batch"}
    precision = machine.precision if machine else "32"
    return {"model": source.identity(), "wish": settings, "inputs": given.identity(), "precision": precision}


def _begin(out: Path, record: Mapping[str, Any]) -> None:
    known = files.read_json(out / BEGUN) if (out / BEGUN).is_file() else None
    others = [path.name for path in out.iterdir() if not path.name.startswith(".")]
    if known is None and others:
        raise BusyError(f"{out} holds other files ({others[0]}, ...); choose an empty or new folder.")
    if known is not None and known != _plain(record):
        raise BusyError(f"{out} holds results of another model, input or wish; choose another folder, or delete it.")
    files.remove_debris(out)
    files.write_json(out / BEGUN, record)


def _plain(value: Any) -> Any:
    """The value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def _finish(out: Path, does: str, card: Card) -> Applied:
    rows, rejected = (ds.dataset(out / name, format="parquet") for name in ("rows", "rejected"))
    kept, lost = rows.count_rows(), rejected.count_rows()
    reasons = rejects.count_reasons(out / "rejected")
    content = {
        "columns": {item.name: str(item.type) for item in rows.schema},
        "rows_in": kept + lost,
        "rows_out": kept,
        "dropped": 0,
        "rejected": lost,
        "rejected_by_reason": reasons,
        **({"attribution": list(card.attribution)} if card.attribution else {}),
    }
    files.write_json(out / DONE, content)
    return Applied(path=out, does=does, rows_in=kept + lost, rows_out=kept, reasons=reasons)


def _tuples(wish: Mapping[str, Any]) -> dict[str, Any]:
    known = {item.name for item in dataclasses.fields(Wish)}
    for name in wish:
        if name not in known:
            raise SettingError(f"{name} is not a setting here; there are: {listing(sorted(known))}.")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in wish.items()}
