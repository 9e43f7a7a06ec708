"""Small stages for the tests of this folder; worker processes find them through sys.path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def store(tmp_path):
    from sensorium.core.store import Store

    return Store(tmp_path / "runs")
