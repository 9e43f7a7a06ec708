from __future__ import annotations

import pytest

from sensorium.core.errors import MissingExtraError, SettingError, UserError, listing, nearest, need, unknown


def test_nearest_ignores_case_and_gives_the_allowed_spelling():
    assert nearest("METACLPI", ["metaclip", "Mode"]) == "metaclip"
    assert nearest("mod", ["metaclip", "Mode"]) == "Mode"
    assert nearest("xyzzy", ["metaclip", "Mode"]) is None
    assert nearest("x", []) is None


def test_unknown_says_what_was_given_what_is_allowed_and_what_is_near():
    error = unknown("recipe", "metclip", ["mode", "metaclip", "mode"])
    assert isinstance(error, SettingError)
    assert str(error) == "unknown recipe 'metclip'; did you mean 'metaclip'? Known: metaclip, mode."
    assert str(unknown("recipe", "x", [])) == "unknown recipe 'x'; Known: none."


def test_listing_cuts_and_counts_the_rest():
    assert listing([]) == "none"
    assert listing(["a", "b"]) == "a, b"
    assert listing(map(str, range(15)), 3) == "0, 1, 2 and 12 more"


def test_need_names_the_extra_and_looks_without_importing():
    need("json", "train", "reading")
    for module in ("no_such_module", "no_such_package.inner", "json.no_such_inner"):
        with pytest.raises(MissingExtraError, match=r"training needs the package .* pip install 'sensorium\[train\]'"):
            need(module, "train", "training")


def test_errors_for_users_are_value_errors():
    assert issubclass(UserError, ValueError)
