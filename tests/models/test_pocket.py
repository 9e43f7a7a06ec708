"""The table: every file pinned, every package in the requirements file with its hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sensorium.models import carriers
from sensorium.models.pocket import CARRIERS, by_hub_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "pocket.txt"
LINE = re.compile(r"([a-z0-9-]+)==([0-9.]+) --hash=sha256:[0-9a-f]{64}")


def test_every_file_is_pinned_by_a_whole_sha256():
    for carrier in CARRIERS.values():
        names = [carried.name for carried in carrier.carried]
        assert len(set(names)) == len(names)
        for carried in carrier.carried:
            assert re.fullmatch(r"[0-9a-f]{64}", carried.sha256)
            assert {part.package for part in carried.parts} <= set(carrier.packages)


def test_the_requirements_are_the_carriers_of_the_table():
    lines = [line for line in REQUIREMENTS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    found = dict(LINE.fullmatch(line).groups() for line in lines)
    wanted = {package: version for carrier in CARRIERS.values() for package, version in carrier.packages.items()}
    assert found == wanted


def test_a_folder_can_be_loaded_as_it_is_pinned():
    for carrier in CARRIERS.values():
        if carrier.form == "folder":
            assert {"config.json", "model.safetensors"} <= {carried.name for carried in carrier.carried}
            assert carrier.hub
            assert re.fullmatch(r"[0-9a-f]{40}", carrier.revision)


def test_found_by_the_name_on_the_hub():
    assert by_hub_name("sentence-transformers/all-MiniLM-L6-v2").name == "minilm"
    assert by_hub_name("") is None
    assert by_hub_name("nobody/nothing") is None


@pytest.mark.parametrize("name", sorted(CARRIERS))
def test_an_installed_carrier_has_the_released_bytes(name):
    if carriers.find(CARRIERS[name]) is None:
        pytest.skip(f"{CARRIERS[name].requirement()} is not installed (requirements/pocket.txt)")
    assert carriers.verified(CARRIERS[name])
