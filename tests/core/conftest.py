"""An empty store for the tests of this folder."""

from __future__ import annotations

import pytest

from sensorium.core.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")
