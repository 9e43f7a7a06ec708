"""Kodak from the excerpt and from PNG files."""

from __future__ import annotations

from sensorium.data.corpora import kodak

from .conftest import parquet, png, put


def test_the_excerpt(excerpt, run):
    parquet(excerpt / "data.parquet", id=["kodak01"], image=[png(1)], width=[4], height=[4])
    assert run(kodak.pool()).table.column_names == ["id", "image"]


def test_png_files(tmp_path, run):
    put(tmp_path / "at" / "kodim02.png", png(2))
    put(tmp_path / "at" / "kodim01.png", png(1))
    made = run(kodak.pool(at=tmp_path / "at"))
    assert [row["id"] for row in made.rows] == ["kodim01", "kodim02"]
    assert made.rows[1]["image"]["bytes"] == png(2)
    assert made.classes is None
