import string

import pyarrow as pa
import pytest
import reference

from sensorium.core.errors import SettingError
from sensorium.curate.atoms import OPEN_MARKS, WHITE_SPACE, Rules, cut


def atoms_of(text, semantics="published-v1", wrap=True):
    rules = Rules.of(semantics)
    atoms = cut(rules.prepare(pa.array([text])), rules, wrap=wrap)
    return list(zip(atoms.words.to_pylist(), atoms.gap.tolist(), atoms.tail.tolist(), strict=True))


def test_blanks_around_atoms_are_those_of_the_normalised_text():
    assert atoms_of("a dog") == [("a", 1, 1), ("dog", 1, 1)]
    assert atoms_of("hot, dog") == [("hot", 1, 1), (",", 1, 2), ("dog", 2, 1)]
    assert atoms_of("hot  dog.") == [("hot", 1, 2), ("dog", 2, 1), (".", 1, 2)]
    assert atoms_of("\thot\r\ndog ") == [("hot", 2, 2), ("dog", 2, 2)]


def test_each_open_character_is_an_atom_of_its_own():
    assert [atom for atom, *_ in atoms_of("犬(cat)", "published-v2")] == ["犬", "(", "cat", ")"]
    assert [atom for atom, *_ in atoms_of("𠀀ไคana", "published-v2")] == ["𠀀", "ไ", "ค", "ana"]
    assert [atom for atom, *_ in atoms_of("かな", "published-v2")] == ["かな"]
    assert [atom for atom, *_ in atoms_of("かな", "strict")] == ["か", "な"]


def test_entries_taken_as_they_are_have_their_own_blanks_only():
    assert atoms_of("St. Louis", wrap=False) == [("St", 0, 0), (".", 0, 1), ("Louis", 1, 0)]


def test_texts_lie_side_by_side_without_touching():
    rules = Rules.of("published-v1")
    atoms = cut(pa.array(["ab", "", "cd", "e"], pa.large_string()).slice(0, 4), rules)
    assert atoms.first.tolist() == [0, 1, 1, 2, 3]
    assert atoms.words.to_pylist() == ["ab", "cd", "e"]
    assert atoms.row.tolist() == [0, 2, 3]


@pytest.mark.parametrize("texts", [[], [""], ["", " ", "\t"]])
def test_texts_without_atoms(texts):
    rules = Rules.of("strict")
    atoms = cut(rules.prepare(pa.array(texts, pa.string())), rules)
    assert len(atoms.words) == 0
    assert len(atoms.first) == len(texts) + 1


def test_open_characters_are_those_of_the_contract():
    rules = Rules.of("published-v2")
    probe = [
        *string.printable,
        *reference.LISTED,
        *"éßкقあアー한\u00a0　犬㐀豈⺀⼀⿰ไລཀကក\U00020000\U0002a700\U0002ebef",
    ]
    assert [character for character in probe if rules.is_open(character)] == [c for c in probe if reference.is_open(c)]
    assert not any(Rules.of("published-v1").is_open(character) for character in probe)
    assert len(OPEN_MARKS) == 32 + 25


def test_white_space_is_that_of_python():
    assert set(WHITE_SPACE) == {chr(code) for code in range(0x110000) if chr(code).isspace()}


def test_an_unknown_semantics_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'published-v1'"):
        Rules.of("publishd-v1")
