"""Any catalogued set by name, with our column names: for sets that need no reader of their own."""

from __future__ import annotations

from sensorium.core.errors import InputError
from sensorium.data import catalog
from sensorium.data.sources import Files


def pool(name: str) -> Files:
    """The prepared excerpt of a set as files, with the columns of its card under our names.

    Raises:
        SettingError: there is no such set.
        InputError: its files are not here, and which ones; or it has no table.
    """
    known = catalog.card(name)
    if not known.pool_files:
        raise InputError(f"the data set '{name}' has no table; it is a folder of loose files.")
    found = catalog.find(name)
    if found is None:
        raise catalog.missing(name)
    return found
