"""Columns are matched by name over all shards; types meet in a wider one, or the file is named."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.types as pat

from sensorium.core.errors import InputError, listing

MEDIA = ("image", "audio", "video")
_TEXT = ("text", "lang")
_ALIASES = {
    "text": (
        "caption",
        "alt_text",
        "alt",
        "content",
        "sentence",
        "transcript",
        "transcription",
        "txt",
        "title",
    ),
    "image": ("jpg", "jpeg", "png", "webp", "img", "picture", "img_bytes", "image_bytes"),
    "audio": ("wav", "flac", "mp3", "sound", "speech", "audio_bytes"),
    "video": ("mp4", "webm", "clip", "video_bytes"),
    "label": ("cls", "class", "target", "y"),
    "lang": ("language", "locale"),
}


class _DifferError(Exception):
    """Two types have no common one."""


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type inside sensorium: no dictionaries, views, large offsets or extensions; null is string."""
    return _plain(kind, pa.string())


def _plain(kind: pa.DataType, null: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type, null)
    if pat.is_dictionary(kind):
        return _plain(kind.value_type, null)
    if pat.is_null(kind):
        return null
    if pat.is_large_string(kind) or pat.is_string_view(kind):
        return pa.string()
    if pat.is_large_binary(kind) or pat.is_binary_view(kind):
        return pa.binary()
    if pat.is_struct(kind):
        return pa.struct([pa.field(field.name, _plain(field.type, null)) for field in kind])
    if _is_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type, null)))
    return kind


def _bare(kind: pa.DataType) -> pa.DataType:
    """Like `plain_type`, but what was null so far stays open, also inside lists and structs."""
    return _plain(kind, pa.null())


def _meet(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The narrowest type that holds both; nested types meet field by field."""
    if pat.is_null(one) or one == other:
        return other
    if pat.is_null(other):
        return one
    if pat.is_struct(one) and pat.is_struct(other):
        names = dict.fromkeys([*(field.name for field in one), *(field.name for field in other)])
        return pa.struct([pa.field(name, _meet(_field(one, name), _field(other, name))) for name in names])
    if _is_list(one) and _is_list(other):
        return pa.list_(pa.field("element", _meet(one.value_type, other.value_type)))
    return _meet_numbers(one, other)


def _meet_numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pat.is_integer(one) and pat.is_integer(other):
        signed = pat.is_signed_integer(one) or pat.is_signed_integer(other)
        if not signed:
            return pa.uint64()
        if pa.uint64() in (one, other):
            raise _DifferError
        return pa.int64()
    if all(pat.is_integer(kind) or pat.is_floating(kind) for kind in (one, other)):
        return pa.float64()
    if pat.is_timestamp(one) and pat.is_timestamp(other) and one.tz == other.tz:
        return pa.timestamp("ns" if "ns" in (one.unit, other.unit) else "us", one.tz)
    raise _DifferError


def _is_list(kind: pa.DataType) -> bool:
    return bool(pat.is_list(kind) or pat.is_large_list(kind) or pat.is_fixed_size_list(kind))


def _field(kind: pa.DataType, name: str) -> pa.DataType:
    position = kind.get_field_index(name)
    return pa.null() if position < 0 else kind.field(position).type


def unify(pool: str, schemas: Iterable[tuple[str, pa.Schema]]) -> tuple[pa.Schema, list[str]]:
    """One schema for all files, and a sentence for each column that some files lack.

    Args:
        pool: the pool's name, for sentences.
        schemas: (file, schema) in stored order; columns keep the order of their first appearance.

    Raises:
        InputError: a column has types without a common one; both files are named. Or a name occurs twice in a
            file.
    """
    kinds: dict[str, pa.DataType] = {}
    first: dict[str, str] = {}
    seen: list[tuple[str, set[str]]] = []
    for file, schema in schemas:
        _refuse_twins(pool, file, schema)
        for field in schema:
            kind = _bare(field.type)
            before = kinds.get(field.name, pa.null())
            try:
                kinds[field.name] = _meet(before, kind)
            except _DifferError:
                raise InputError(
                    f"column '{field.name}' of pool {pool} is {kinds[field.name]} in {first[field.name]} "
                    f"but {kind} in {file}; the files must agree."
                ) from None
            if pat.is_null(before):
                first[field.name] = file
        seen.append((file, set(schema.names)))
    return pa.schema([pa.field(name, plain_type(kind)) for name, kind in kinds.items()]), _lacks(kinds, seen)


def _refuse_twins(pool: str, file: str, schema: pa.Schema) -> None:
    twins = (
        sorted({name for name in schema.names if schema.names.count(name) > 1})
        if len(set(schema.names)) < len(schema)
        else []
    )
    if twins:
        raise InputError(f"{file} of pool {pool} has two columns named '{twins[0]}'; rename one.")


def _lacks(kinds: dict[str, pa.DataType], seen: Sequence[tuple[str, set[str]]]) -> list[str]:
    notes = []
    for name in kinds:
        files = [file for file, names in seen if name not in names]
        if files:
            notes.append(f"column '{name}' is absent in {listing(files, 3)}; its rows have null there")
    return notes


def no_column(pool: str, name: str, has: Sequence[str]) -> InputError:
    """The error for a column that the pool lacks; it shows how to map the most likely one."""
    if not has:
        return InputError(f"pool {pool} has no column '{name}', nor any other.")
    likely = [other for other in _ALIASES.get(name, ()) if other in has]
    likely += difflib.get_close_matches(name, has, n=1, cutoff=0.6)
    near = likely[0] if likely else "THEIR_NAME"
    return InputError(f"pool {pool} has no column '{name}'; it has: {listing(has)}. Map it with columns {name}={near}.")


def check_types(pool: str, schema: pa.Schema, names: Iterable[str]) -> None:
    """Refuse columns with a fixed meaning (text, lang, image, audio, video) of a type that cannot have it."""
    for name in names:
        kind = schema.field(name).type
        if name in _TEXT and not (pat.is_string(kind) or pat.is_binary(kind)):
            raise InputError(
                f"column '{name}' of pool {pool} is {kind}; it must be text. Map another with columns {name}=..."
            )
        if name in MEDIA and not is_media(kind):
            raise InputError(
                f"column '{name}' of pool {pool} is {kind}; "
                "it must be bytes, a path, or a struct of bytes and path. "
                f"Map another with columns {name}=..."
            )


def is_media(kind: pa.DataType) -> bool:
    """Whether a type can hold media: binary, a path, or a struct with `bytes` or `path`."""
    if pat.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        return bool(
            pat.is_binary(fields.get("bytes", pa.binary()))
            and pat.is_string(fields.get("path", pa.string()))
            and ({"bytes", "path"} & set(fields))
        )
    return bool(pat.is_binary(kind) or pat.is_string(kind))
