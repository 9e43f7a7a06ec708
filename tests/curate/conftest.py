"""Paths and fixtures of the curation tests."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def real_data():
    """The folder of real sets, or skip."""
    for folder in os.environ.get("SENSORIUM_DATA", "").split(os.pathsep):
        if folder and (Path(folder) / "wordnet").is_dir():
            return Path(folder)
    pytest.skip("SENSORIUM_DATA names no folder with real sets")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Whether files survive a power cut is not tested here, and the disk of a busy machine is slow."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
