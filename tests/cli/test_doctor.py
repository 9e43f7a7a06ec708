from __future__ import annotations

import importlib.util

import pytest

from sensorium.cli.doctor import findings


def rows_of(found):
    return {row["what"]: row for row in found}


def test_the_machine_the_parts_and_the_store_are_told(sensorium):
    rows = rows_of(sensorium("doctor", "--json").document)
    assert {"machine", "disk", "torch", "SENSORIUM_DATA", "pocket models", "store"} <= set(rows)
    assert "cores" in rows["machine"]["state"]
    assert rows["store"]["state"] == "empty"
    assert rows["SENSORIUM_DATA"]["state"] == "not set"
    table = sensorium("doctor").out.splitlines()
    assert table[0].split() == ["what", "state", "note"]
    assert len(table) == len(rows) + 1


def test_a_missing_part_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    torch = rows_of(findings(tmp_path))["torch"]
    assert torch["state"] == "missing"
    assert torch["note"].endswith("pip install 'sensorium[train]'")


def test_folders_of_sets_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SENSORIUM_DATA", f"{tmp_path}:{tmp_path / 'gone'}")
    assert rows_of(findings(tmp_path))["SENSORIUM_DATA"]["note"] == f"no folder: {tmp_path / 'gone'}"
    monkeypatch.setenv("SENSORIUM_DATA", str(tmp_path))
    assert rows_of(findings(tmp_path))["SENSORIUM_DATA"]["note"] == str(tmp_path)


@pytest.mark.parametrize("number", [1, 2])
def test_finished_and_unfinished_stages_are_counted(sensorium, recipe, number):
    for t in range(number):
        sensorium("run", recipe, "--t", t + 1)
    store = rows_of(sensorium("doctor", "--json").document)["store"]
    assert store == {"what": "store", "state": f"{2 + number} finished stages", "note": "0 unfinished in runs"}
