from __future__ import annotations

import json
import os

import pytest

from sensorium.core.errors import SettingError
from sensorium.engine.machine import PRECISIONS, Machine, describe, num_cores, this_machine


def test_a_wrong_precision_names_the_nearest():
    with pytest.raises(SettingError, match="unknown precision 'bf61'; did you mean 'bf16'"):
        Machine(precision="bf61")


@pytest.mark.parametrize("settings", [{"workers": 0}, {"threads": 0}, {"workers": -3}])
def test_counts_are_at_least_one(settings):
    with pytest.raises(SettingError, match="workers and threads are at least 1"):
        Machine(**settings)


def test_devices_are_all_none_or_a_count():
    assert [Machine(devices=count).devices for count in (-1, 0, 4)] == [-1, 0, 4]
    with pytest.raises(SettingError, match="not -2"):
        Machine(devices=-2)


def test_nothing_said_means_all_cores():
    cores = num_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)
    assert (this_machine().workers, this_machine().threads) == (cores, cores)
    chosen = this_machine(workers=3, threads=2, devices=0, precision="16", compile=True)
    assert chosen == Machine(workers=3, threads=2, devices=0, precision="16", compile=True)
    with pytest.raises(SettingError):
        this_machine(workers=-1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity_is_respected():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_the_description_is_for_readers_and_json():
    found = describe()
    assert json.loads(json.dumps(found)) == found
    assert found["cores"] == num_cores()
    assert found["memory_gib"] > 0
    assert found["system"]
    assert found["processor"]


def test_precisions_are_distinct():
    assert len(set(PRECISIONS)) == len(PRECISIONS) == 3
