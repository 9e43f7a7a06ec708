"""Recipes: Python modules with a literal PAPER card and variants, found by name, path, module or entry point.

A variant is a plain function that builds and returns the last stage; its parameters are command-line options.
Listing reads the cards from the source text, so no recipe (and no torch) is imported for it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import inspect
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sensorium
from sensorium.core.errors import InputError, SettingError, UserError, listing, nearest, unknown
from sensorium.core.stage import Stage

GROUP = "sensorium.recipes"
FOLDER = Path(sensorium.__file__).parent / "recipes"


@dataclass(frozen=True)
class Parser:
    """Put into `Annotated[...]` by a type that reads itself from a command-line text (a pool, a model)."""

    read: Callable[[str], Any]
    what: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One recipe as it lies in a file; its module is imported by `module()` only."""

    name: str
    origin: Literal["package", "path", "module", "entry point"]
    target: str
    """A dotted module name, or the path of a file."""
    file: Path

    def paper(self) -> dict[str, Any]:
        """The PAPER card, read without importing the module."""
        return _literal(self.file, "PAPER")

    def variants(self) -> list[str]:
        """Names of the functions whose declared result is a Stage, read without importing the module."""
        found = [
            node
            for node in _statements(self.file)
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        ]
        return [node.name for node in found if node.returns is not None and _mentions_stage(node.returns)]

    def module(self) -> types.ModuleType:
        """The imported module."""
        if self.origin == "path":
            return _import_file(self.file)
        return importlib.import_module(self.target)

    def variant(self, name: str) -> Variant:
        """A variant by name, with its parameters."""
        if name not in self.variants():
            raise unknown(f"variant of {self.name}", name, self.variants())
        return Variant(recipe=self, name=name, function=getattr(self.module(), name))


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A function that builds a graph, with typed parameters."""

    recipe: Recipe
    name: str
    function: Callable[..., Stage]

    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters with evaluated annotations (forms with `Annotated` kept)."""
        try:
            hints = typing.get_type_hints(self.function, include_extras=True)
        except NameError as error:
            raise SettingError(
                f"{self.recipe.name}:{self.name} annotates a parameter with '{error.name}', which its module "
                "does not have when it runs; import it outside of TYPE_CHECKING."
            ) from error
        signature = inspect.signature(self.function)
        return {
            name: parameter.replace(annotation=hints.get(name, Any)) for name, parameter in signature.parameters.items()
        }

    def read_options(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Keyword arguments from command-line texts; each mistake is one sentence."""
        known = self.parameters()
        arguments: dict[str, Any] = {}
        for option, text in options.items():
            name = option.replace("-", "_")
            if name not in known:
                near = nearest(name, known)
                hint = f"did you mean '--{near.replace('_', '-')}'? " if near else ""
                allowed = listing((f"--{key.replace('_', '-')}" for key in known), 30)
                raise SettingError(
                    f"{self.recipe.name}:{self.name} has no option '--{option}'; {hint}It has: {allowed}."
                )
            if name in arguments:
                raise SettingError(f"--{option} is given twice; say it once.")
            arguments[name] = read_value(known[name].annotation, text, f"--{option}")
        return arguments

    def build(self, **arguments: Any) -> Stage:
        """Build the graph; nothing is read or run."""
        label, known = f"{self.recipe.name}:{self.name}", self.parameters()
        for name in arguments:
            if name not in known:
                raise unknown(f"parameter of {label}", name, known)
        for name, parameter in known.items():
            if parameter.default is parameter.empty and name not in arguments:
                raise SettingError(f"{label} needs '{name}'; on the command line: --{name.replace('_', '-')}.")
        last = self.function(**arguments)
        if not isinstance(last, Stage):
            raise UserError(f"{label} returned {type(last).__name__}; a variant returns its last stage.")
        return last


def recipes() -> list[Recipe]:
    """All recipes known by name: those of the package, then those of installed packages (entry points)."""
    found = [
        Recipe(name=path.stem, origin="package", target=f"sensorium.recipes.{path.stem}", file=path)
        for path in sorted(FOLDER.glob("*.py"))
        if not path.stem.startswith("_")
    ]
    taken = {recipe.name for recipe in found}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        module = entry.value.partition(":")[0].strip()
        file = _locate(module)
        if file and entry.name not in taken:
            taken.add(entry.name)
            found.append(Recipe(name=entry.name, origin="entry point", target=module, file=file))
    return found


def find(text: str) -> tuple[Recipe, str]:
    """A recipe and a variant name from `metaclip`, `metaclip:full`, `./mine.py:mini` or `pkg.module:mini`."""
    # A path may hold colons of its own, so the file is taken whole before the variant is split off.
    as_file = re.fullmatch(r"(.+\.py)(?::(\w*))?", text)
    target, _, variant = (as_file[1], "", as_file[2]) if as_file else text.partition(":")
    variant = variant or "mini"
    if as_file:
        path = Path(target)
        if not path.is_file():
            raise InputError(
                f"no recipe file {target}; give the path of a Python file, or a name from 'sensorium list'."
            )
        return Recipe(name=path.stem, origin="path", target=target, file=path), variant
    known = {recipe.name: recipe for recipe in recipes()}
    if target in known:
        return known[target], variant
    if "." in target and (file := _locate(target)):
        return Recipe(name=target.rsplit(".", 1)[-1], origin="module", target=target, file=file), variant
    raise unknown("recipe", target, known)


def read_value(annotation: Any, text: str, option: str) -> Any:
    """A value of the annotated type from a command-line text, or a SettingError that says what is allowed."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        for extra in inner[1:]:
            if isinstance(extra, Parser):
                return extra.read(text)
        return read_value(inner[0], text, option)
    if origin in (typing.Union, types.UnionType):
        return _read_union(inner, text, option)
    if origin is Literal:
        if text not in {str(choice) for choice in inner}:
            raise unknown(f"value for {option}", text, [str(choice) for choice in inner])
        return next(choice for choice in inner if str(choice) == text)
    if origin is tuple:
        return _read_tuple(inner, text, option)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _read_mapping(inner[1], text, option)
    return _read_scalar(annotation, text, option)


def _read_union(members: tuple[Any, ...], text: str, option: str) -> Any:
    if type(None) in members and text.lower() in ("none", ""):
        return None
    real = [member for member in members if member is not type(None)]
    if len(real) == 1:
        return read_value(real[0], text, option)
    for member in real:
        try:
            return read_value(member, text, option)
        except SettingError:
            continue
    takes = [allowed(member) for member in real]
    near = nearest(text, (name for names in takes for name in names.split(" or ")))
    hint = f"; did you mean '{near}'?" if near else "."
    raise SettingError(f"{option} takes {' or '.join(takes)}, not '{text}'{hint}")


def allowed(annotation: Any) -> str:
    """What a type takes on the command line, in words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        parsers = [extra.what for extra in inner[1:] if isinstance(extra, Parser)]
        return parsers[0] if parsers else allowed(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(allowed(member) for member in inner if member is not type(None))
    if origin is Literal:
        return " or ".join(str(choice) for choice in inner)
    if origin is tuple:
        return "several of these with commas: " + allowed(inner[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "pairs like text=caption"
    words = {int: "a whole number", float: "a number", bool: "yes or no", str: "a text", Path: "a path"}
    return words.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _read_tuple(members: tuple[Any, ...], text: str, option: str) -> tuple[Any, ...]:
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    if members[-1] is Ellipsis:
        return tuple(read_value(members[0], piece, option) for piece in pieces)
    if len(pieces) != len(members):
        raise SettingError(f"{option} takes {len(members)} values with commas between them, not '{text}'.")
    return tuple(read_value(member, piece, option) for member, piece in zip(members, pieces, strict=True))


def _read_mapping(value_type: Any, text: str, option: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = piece.partition("=")
        if not equals or not key:
            raise SettingError(f"{option} takes pairs like text=caption,image=jpg, not '{text}'.")
        if key in pairs:
            raise SettingError(f"{option} names '{key}' twice; say it once.")
        pairs[key] = read_value(value_type, value, option)
    return pairs


_YES, _NO = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def _read_scalar(annotation: Any, text: str, option: str) -> Any:
    if annotation is bool:
        if text.lower() not in _YES + _NO:
            raise SettingError(f"{option} takes yes or no, not '{text}'.")
        return text.lower() in _YES
    if annotation in (int, float):
        return _read_number(annotation, text, option)
    if annotation is Path:
        return Path(text)
    if annotation in (str, Any):
        return text
    name = getattr(annotation, "__name__", str(annotation))
    raise SettingError(f"{option} is a {name}, which cannot be given on the command line; set it from Python.")


def _read_number(kind: type[int] | type[float], text: str, option: str) -> float:
    if kind is int:
        if not re.fullmatch(r"[+-]?[0-9](_?[0-9]){0,30}", text):
            raise SettingError(f"{option} takes a whole number, not '{text:.80}'.")
        return int(text)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingError(f"{option} takes a number, not '{text:.80}'.")
    return number


def _statements(file: Path) -> list[ast.stmt]:
    try:
        return ast.parse(file.read_bytes(), filename=str(file)).body
    except (SyntaxError, ValueError) as error:
        raise SettingError(f"{file} is not a Python file that can be read: {error}.") from error


def _literal(file: Path, name: str) -> dict[str, Any]:
    for node in _statements(file):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value and any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                return dict(ast.literal_eval(value))
            except (ValueError, TypeError) as error:
                raise SettingError(
                    f"{name} in {file.name} must be a literal mapping, without calls or names."
                ) from error
    raise SettingError(
        f"{file.name} has no {name} card; a recipe begins with {name} = {{'title': ..., 'year': ..., 'room': ...}}."
    )


def _mentions_stage(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node)
    return text.rsplit(".", 1)[-1] == "Stage"


def _locate(module: str) -> Path | None:
    """The file of a module, found without importing it or the package around it."""
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    places = [Path(folder, *inner) for folder in spec.submodule_search_locations or ()]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


_IMPORTED: dict[str, tuple[Path, bytes]] = {}


def _import_file(path: Path) -> types.ModuleType:
    """Import a file under a name made of its stem, so that no machine path enters a fingerprint.

    A file that was changed is imported again: in a notebook the next run is to see what was edited. Its
    folder goes to the end of `sys.path`, so that a recipe may import a file beside it.
    """
    path = path.resolve()
    content = path.read_bytes()
    name = f"sensorium_file_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    if name in sys.modules and _IMPORTED.get(name) == (path, content):
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Not through the loader: its cache goes by the time in seconds and misses a quick second edit.
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    _IMPORTED[name] = (path, content)
    return module
