"""Textbook figures from the excerpt and from CNXML modules."""

from __future__ import annotations

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.data.corpora import openstax_figures

from .conftest import parquet, png, put

MODULE = """<document xmlns="http://cnx.rice.edu/cnxml"><title>T</title><content>
<figure id="f1"><media alt="A  dog
 runs."><image mime-type="image/jpeg" src="../../media/dog.jpg"/></media>
 <caption>Speed is <emphasis>distance</emphasis> over time. (credit: NASA)</caption></figure>
<figure id="f2"><media alt="Two."><image src="../../media/dog.jpg"/>
<image src="../../media/cat.jpg"/></media></figure>
<figure id="f3"><media alt=""><image src="../../media/cat.jpg"/></media></figure>
<figure id="f4"><media alt="Not there."><image src="../../media/none.jpg"/></media></figure>
<figure id="f5"><media alt="Outside."><image src="../../../../secret.png"/></media></figure>
</content></document>"""


@pytest.fixture
def books(tmp_path):
    root = tmp_path / "books"
    for book in ("osbooks-physics", "osbooks-fizyka-bundle"):
        put(root / book / "modules" / "m1" / "index.cnxml", MODULE)
        put(root / book / "media" / "dog.jpg", png(1))
        put(root / book / "media" / "cat.jpg", png(2))
    put(tmp_path / "secret.png", png(3))
    return root


@pytest.fixture
def prepared(excerpt):
    parquet(
        excerpt / "data.parquet",
        id=["a", "b"],
        image=[png(1), png(2)],
        language=["en", "es"],
        alt_text=["a dog", "un gato"],
        caption=["Dogs run.", " "],
        book=["physics", "fisica"],
    )


@pytest.mark.usefixtures("prepared")
def test_the_excerpt_with_either_text(run):
    made = run(openstax_figures.pool())
    assert [(row["text"], row["lang"]) for row in made.rows] == [("a dog", "en"), ("un gato", "es")]
    assert [row["text"] for row in run(openstax_figures.pool("caption")).rows] == ["Dogs run."]
    assert [row["id"] for row in run(openstax_figures.pool(languages=("es",))).rows] == ["b"]


def test_modules(books, run):
    made = run(openstax_figures.pool(at=books))
    assert [(row["id"], row["lang"], row["text"], row["caption"]) for row in made.rows] == [
        ("fizyka/dog", "pl", "A dog runs.", "Speed is distance over time. (credit: NASA)"),
        ("physics/dog", "en", "A dog runs.", "Speed is distance over time. (credit: NASA)"),
    ]
    assert made.rows[0]["image"]["bytes"] == png(1)


def test_a_picture_used_twice_counts_once(books, run):
    put(books / "osbooks-physics" / "modules" / "m2" / "index.cnxml", MODULE)
    assert len(run(openstax_figures.pool(languages=("en",), at=books)).rows) == 1


def test_a_broken_module_is_named(books, run):
    put(books / "osbooks-physics" / "modules" / "m2" / "index.cnxml", "<document>")
    with pytest.raises(InputError, match=r"m2/index\.cnxml is not a CNXML document"):
        run(openstax_figures.pool(at=books))


def test_wrong_settings():
    with pytest.raises(SettingError, match="unknown text 'alt'"):
        openstax_figures.pool("alt")
    with pytest.raises(SettingError, match="unknown language 'de'"):
        openstax_figures.pool(languages=("de",))
