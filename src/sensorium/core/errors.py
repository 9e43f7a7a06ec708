"""Errors a user can act on: one sentence that says what was given, what is allowed, and the nearest name."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in a setting or an input. The command line prints its one sentence and exits with code 2."""


class SettingError(UserError):
    """A setting has a value, type or name that is not allowed."""


class InputError(UserError):
    """An input as a whole cannot be used: it is missing, empty, or lacks a declared column."""


class BusyError(UserError):
    """A folder is being written by another process, or holds something else."""


class StorageError(UserError):
    """The disk refused to take what was written: it is full, or a file size limit was reached."""


class MissingExtraError(UserError):
    """An optional part of the installation is needed and absent."""


class StageFailedError(RuntimeError):
    """A stage stopped for a reason that is not the user's setting; exit code 1."""


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like the given one, or None when none is close."""
    names = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.5)
    return names[found[0]] if found else None


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Names for a sentence, cut after `limit` with the count of the rest."""
    shown = list(names)
    if not shown:
        return "none"
    rest = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {rest} more" if rest > 0 else "")


def unknown(what: str, given: str, allowed: Iterable[str]) -> SettingError:
    """The error for a name nobody knows: `unknown recipe 'metclip'; did you mean 'metaclip'? ...`."""
    names = sorted(set(allowed))
    near = nearest(given, names)
    hint = f"did you mean '{near}'? " if near else ""
    return SettingError(f"unknown {what} '{given}'; {hint}Known: {listing(names)}.")


def need(module: str, extra: str, what: str) -> None:
    """Raise one sentence that names the extra when a module is not installed.

    Args:
        module: an importable name, looked for without importing it.
        extra: the extra of sensorium that brings it.
        what: what the user wanted, to begin the sentence with.
    """
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise MissingExtraError(
            f"{what} needs the package '{module}'; install it with: pip install 'sensorium[{extra}]'."
        )
