"""Carriers: found by metadata, never imported, counted only with the pinned bytes, inside their package."""

from __future__ import annotations

import hashlib
import sys

import pytest

from sensorium.core.errors import InputError, SettingError
from sensorium.models import carriers
from sensorium.models.carriers import CarriedFile, Carrier, Part

HALVES = (b"first half|", b"second half")
CONTENT = b"".join(HALVES)
WHOLE = hashlib.sha256(CONTENT).hexdigest()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages whose code must never run."""
    root = tmp_path / "site-packages"
    for package in ("tiny_model", "tiny_half"):
        (root / package / "model").mkdir(parents=True)
        (root / package / "__init__.py").write_text("raise RuntimeError('a carrier was imported')")
        info = root / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
    (root / "tiny_model" / "model" / "model.safetensors").write_bytes(CONTENT)
    (root / "tiny_model" / "model" / "config.json").write_text("{}")
    (root / "tiny_model" / "part1").write_bytes(HALVES[0])
    (root / "tiny_half" / "part2").write_bytes(HALVES[1])
    monkeypatch.syspath_prepend(str(root))
    return root


def carrier(*carried: CarriedFile, form="folder") -> Carrier:
    return Carrier(
        name="tiny",
        what="a test",
        packages={"tiny-model": "1.0"},
        carried=carried,
        form=form,
        licence="MIT",
        provenance="unchecked",
        quality="none",
    )


def whole(path="tiny_model/model/model.safetensors", sha=WHOLE, name="model.safetensors") -> CarriedFile:
    return CarriedFile(name=name, sha256=sha, parts=(Part(package="tiny-model", path=path),))


CONFIG = whole("tiny_model/model/config.json", digest(b"{}"), "config.json")


def test_found_without_importing_the_package(site):
    assert carriers.folder(carrier(whole(), CONFIG)) == site / "tiny_model" / "model"
    assert "tiny_model" not in sys.modules


def test_a_package_that_is_not_installed_is_none():
    absent = carrier(CarriedFile(name="x", sha256="0" * 64, parts=(Part(package="no-such-package-here", path="x/y"),)))
    assert carriers.find(absent) is None
    assert carriers.folder(absent) is None
    assert carriers.row(absent)["installed"] is False
    assert carriers.row(absent)["verified"] is None


def test_a_file_missing_from_its_package_is_none(site):
    assert carriers.find(carrier(whole("tiny_model/model/absent.bin"))) is None


def test_another_hash_is_refused(site):
    broken = carrier(whole(sha="0" * 64), CONFIG)
    with pytest.raises(InputError, match=r"not the released 000000000000\.\.\..*--force-reinstall"):
        carriers.verified(broken)
    assert carriers.row(broken)["verified"] is False


def test_a_changed_byte_is_refused(site):
    good = carrier(whole(), CONFIG)
    assert carriers.row(good)["verified"] is True
    (site / "tiny_model" / "model" / "model.safetensors").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(InputError, match="sha256"):
        carriers.folder(good)


def test_a_file_slipped_in_beside_the_model_is_refused(site):
    (site / "tiny_model" / "model" / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"also holds adapter_config\.json"):
        carriers.folder(carrier(whole(), CONFIG))


def test_parts_are_joined_once_and_checked(site):
    parts = (
        Part(package="tiny-model", path="tiny_model/part1"),
        Part(package="tiny-half", path="tiny_half/part2"),
    )
    cut = carrier(CarriedFile(name="model.bin", sha256=digest(CONTENT), parts=parts), form="ctranslate2")
    joined = carriers.verified(cut)["model.bin"]
    assert joined.read_bytes() == CONTENT
    times = joined.stat().st_mtime_ns
    assert carriers.verified(cut)["model.bin"].stat().st_mtime_ns == times
    joined.write_bytes(b"spoiled in the cache")
    assert carriers.verified(cut)["model.bin"].read_bytes() == CONTENT
    (site / "tiny_half" / "part2").write_bytes(b"another half")
    joined.unlink()
    with pytest.raises(InputError, match="sha256"):
        carriers.verified(cut)


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/etc/passwd", "a\\..\\b", ""])
def test_a_path_that_leads_out_of_the_package_cannot_be_written_down(path):
    with pytest.raises(SettingError, match="leads out of its package"):
        Part(package="tiny-model", path=path)


def test_a_link_that_leads_out_of_the_packages_is_not_followed(site, tmp_path):
    (tmp_path / "outside").write_bytes(CONTENT)
    (site / "tiny_model" / "link").symlink_to(tmp_path / "outside")
    assert carriers.find(carrier(whole("tiny_model/link"))) is None


def test_what_to_install_names_the_versions(site):
    assert carrier(whole()).requirement() == "tiny-model==1.0"
    assert carriers.row(carrier(whole()), verify=False)["verified"] is None
