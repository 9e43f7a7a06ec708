"""The Hub's cache: only whole snapshots count, and nothing is fetched while offline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from sensorium.core.errors import InputError
from sensorium.models import huggingface

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def snapshot(name="owner/model", commit=COMMIT, ref="main", weights=True) -> Path:
    """A snapshot as the Hub's client leaves it: links into a folder of blobs."""
    repo = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    folder = repo / "snapshots" / commit
    folder.mkdir(parents=True)
    (repo / "blobs").mkdir(exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / ref).write_text(commit)
    for file, content in {"config.json": "{}", **({"model.safetensors": "w"} if weights else {})}.items():
        (repo / "blobs" / f"{commit[:4]}{file}").write_text(content)
        (folder / file).symlink_to(f"../../blobs/{commit[:4]}{file}")
    return folder


def test_a_whole_snapshot_is_found():
    folder = snapshot()
    assert huggingface.cached("owner/model") == folder
    assert huggingface.cached("owner/model", COMMIT) == folder
    assert huggingface.cached("owner/model", "main") == folder
    assert huggingface.cached("owner/model", "f" * 40) is None
    assert huggingface.cached("owner/other") is None


def test_a_snapshot_without_weights_does_not_count():
    snapshot(weights=False)
    assert huggingface.cached("owner/model") is None


def test_offline_nothing_is_fetched():
    with pytest.raises(InputError, match=r"owner/model .*(HF_HUB_OFFLINE|could not be fetched)"):
        huggingface.download("owner/model")


def test_only_this_file_imports_the_hub():
    code = (
        "import sys, sensorium.models.hub, sensorium.models.card, sensorium.models.apply; "
        "print(sorted({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
