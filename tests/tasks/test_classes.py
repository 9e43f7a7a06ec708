import json

import numpy as np
import pyarrow as pa
import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.core.stage import Source
from sensorium.tasks.classes import (
    ClassFile,
    ClassList,
    LabelClass,
    classes_from,
    classes_of_labels,
    read_classes,
)

ENTRIES = [
    {
        "label": 0,
        "names": {"en": ["dog face", "dog"], "de": ["Hundegesicht"]},
        "rank": 2,
        "group": "tail",
        "emoji": "x",
    },
    {"label": 1, "names": {"en": ["cat"], "de": ["Katze"]}, "rank": 1, "group": "head"},
    {"id": "x7", "names": {"en": "taxi", "de": "Taxi"}, "rank": 2, "group": "tail"},
]


def write(path, entries):
    path.write_text(json.dumps({"classes": entries}), "utf-8")
    return path


def test_a_class_file_is_read_in_its_order(tmp_path):
    found = read_classes(write(tmp_path / "classes.json", ENTRIES))
    assert found.ids == ["0", "1", "x7"]
    assert len(found) == 3
    assert found.classes[0].names == {"en": ("dog face", "dog"), "de": ("Hundegesicht",)}
    assert found.by_frequency() == [1, 0, 2]  # equal ranks keep the order of the list
    assert found.groups() == {"tail": ("0", "x7"), "head": ("1",)}


def test_labels_are_numbers_or_texts():
    found = classes_from({"7": "seven", "cat": "cat"})
    assert found.numbers([7, "7", 7.0, "cat", None, "dog", 7.5]).tolist() == [0, 0, 0, 1, -1, -1, -1]
    assert found.numbers(pa.chunked_array([["cat"], ["7", None]])).tolist() == [1, 0, -1]
    assert found.numbers([]).dtype == np.int64


def test_prompts_are_names_in_sentences_by_language():
    found = ClassList(
        [
            LabelClass(id="0", names={"en": ("dog", "hound"), "de": ("Hund",)}),
            LabelClass(id="1", names={"en": ("taxi",), "de": ("taxi",)}),
        ]
    )
    texts, owners = found.prompts(("{}", "a {}"), ("en",))
    assert texts == ["dog", "a dog", "hound", "a hound", "taxi", "a taxi"]
    assert owners.tolist() == [0, 0, 0, 0, 1, 1]
    texts, owners = found.prompts("plain", ("en", "de"))
    assert texts == ["dog", "hound", "Hund", "taxi"]  # the same name in two languages is one prompt
    assert found.prompts("plain", ("en", "de"), "first")[0] == ["dog", "Hund", "taxi"]


def test_names_without_a_language_belong_to_each():
    found = classes_from({"a": "Apfel", "b": ("Birne", "Birne ", " "), "c": {"en": "cherry"}})
    assert found.classes[1].names == {"*": ("Birne",)}
    assert found.prompts("plain", ("en",))[0] == ["Apfel", "Birne", "cherry"]
    with pytest.raises(SettingError, match=r"1 of 3 classes have no name in 'de' \(c\)"):
        found.prompts("plain", ("de",))
    for languages in ((), "en"):
        with pytest.raises(SettingError, match="languages are a list"):
            found.prompts("plain", languages)


def test_labels_can_be_the_names():
    found = classes_of_labels(["golden_retriever", "cat", None, "cat"])
    assert found.ids == ["cat", "golden_retriever"]
    assert found.prompts("plain", ("en",))[0] == ["cat", "golden retriever"]


def test_labels_that_say_nothing_make_no_class():
    found = classes_of_labels([float("nan"), 1.0, 2, "", " ", "_", None])
    assert found.ids == ["1", "2"]
    named = classes_from({"nan": "naan", "1": "one"})
    assert named.numbers([float("nan"), "nan", 1.0, None, ""]).tolist() == [-1, 0, 1, -1, -1]


def test_a_class_file_is_known_by_its_content(tmp_path):
    first = ClassFile(str(write(tmp_path / "classes.json", ENTRIES)))
    copy = ClassFile(str(write(tmp_path / "other.json", ENTRIES)))
    assert isinstance(first, Source)
    before = first.identity()
    assert before == copy.identity()
    write(tmp_path / "classes.json", ENTRIES[:2])
    assert first.identity() != before
    assert len(first.read()) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "no class list"),
        ('{"classes": [{"label": 1}]}', "without label or names"),
        ('{"classes": ["a", "b"]}', "without label or names"),
        ('{"classes": [{"label": 1, "names": [3]}]}', "class names are texts"),
        ('{"classes": [{"label": 1, "names": ["a"], "rank": "high"}]}', "rank of class 1"),
        ('{"classes": [{"label": 1, "names": ["a"]}]}', "at least 2 classes"),
        ('{"classes": [{"label": 1, "names": ["a"]}, {"label": "1", "names": ["b"]}]}', "occur twice: 1"),
        ('{"classes": [{"label": 1, "names": ["a"]}, {"label": 2, "names": [" "]}]}', "no name: 2"),
    ],
)
def test_class_files_of_another_form_are_refused(tmp_path, content, says):
    path = tmp_path / "classes.json"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=says):
        read_classes(path)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(InputError, match="there is no class list"):
        ClassFile(str(tmp_path / "none.json")).identity()
    with pytest.raises(InputError, match="2 of 2 classes have no rank"):
        classes_from({"a": "a", "b": "b"}).by_frequency()
