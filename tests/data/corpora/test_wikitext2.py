"""WikiText-2 from the excerpt and from its text files."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import wikitext2

from .conftest import json_lines, put

LINES = [
    " ",
    " = Robert <unk> = ",
    " ",
    " Robert is = here = . ",
    " ",
    " = = Career = = ",
    " ",
    " He ran . ",
    " ",
    " = A = B = ",
    " ",
    " Second . ",
]
TEXT = "\n".join(LINES) + "\n"


def test_articles_begin_at_titles_alone():
    found = list(wikitext2.split(LINES))
    assert [title for title, _ in found] == ["Robert <unk>", "A = B"]
    assert "= = Career = =" in found[0][1]
    assert "Robert is = here = ." in found[0][1]
    assert list(wikitext2.split([])) == []


def test_the_excerpt(excerpt, run):
    json_lines(excerpt / "data.jsonl.zst", [{"title": "A", "text": "one"}, {"title": "A", "text": "one"}])
    made = run(wikitext2.pool())
    assert [(row["text"], row["lang"], row["title"]) for row in made.rows] == [("one", "en", "A")] * 2
    with pytest.raises(InputError, match="no subset 'test', only valid"):
        run(wikitext2.pool("test"))


@pytest.mark.parametrize("name", ["wiki.valid.tokens", "valid.txt"])
def test_text_files(tmp_path, run, name):
    put(tmp_path / "at" / name, TEXT)
    made = run(wikitext2.pool(at=tmp_path / "at"))
    assert [row["title"] for row in made.rows] == ["Robert <unk>", "A = B"]
    with pytest.raises(InputError, match=r"neither wiki\.train\.tokens nor train\.txt"):
        run(wikitext2.pool("train", at=tmp_path / "at"))


def test_unknown_subset():
    with pytest.raises(SettingError, match="did you mean 'valid'"):
        wikitext2.pool("validation")
