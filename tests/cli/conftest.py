"""The command line in this process, and small things to point it at."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sensorium.__main__ import call
from sensorium.cli.new import recipe_text

CAPTIONS = ("a red dog", "my dog", "two dogs", "a dog and a quokka", "nothing here", "one cat", "dog", "the cat")


@dataclass(frozen=True)
class Ran:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The sentence of a mistake, which is the last line on standard error."""
        assert self.code, self.out
        assert "Traceback" not in self.err, self.err
        return self.err.strip().splitlines()[-1].removeprefix("sensorium: ")


@pytest.fixture
def sensorium(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder: `sensorium("run", "metaclip")`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENSORIUM_DATA", raising=False)

    def command(*words: object) -> Ran:
        capsys.readouterr()
        code = call([str(word) for word in words])
        return Ran(code, *capsys.readouterr())

    return command


@pytest.fixture
def recipe(tmp_path):
    """`./mine.py`, as `sensorium new recipe mine` writes it."""
    path = tmp_path / "mine.py"
    path.write_text(recipe_text("mine"), "utf-8")
    yield "./mine.py"
    sys.modules.pop("sensorium_file_mine", None)


@pytest.fixture
def pool(tmp_path):
    """Eight captions, and entries to look for."""
    rows = [{"id": f"r{row}", "text": text} for row, text in enumerate(CAPTIONS)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pool.parquet")
    (tmp_path / "entries.txt").write_text("dog\ncat\nquokka\n", "utf-8")
    return "pool.parquet"
