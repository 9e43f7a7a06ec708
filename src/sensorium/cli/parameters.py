"""What a recipe's variant takes: its parameters as options, with what each is for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sensorium.core.errors import SettingError, nearest
from sensorium.core.recipe import Variant, allowed, find
from sensorium.core.stage import plain


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a variant as people see it."""

    option: str
    takes: str
    default: Any
    required: bool
    about: str

    def term(self) -> str:
        """The option and what it takes."""
        return f"{self.option} <{self.takes}>"

    def text(self) -> str:
        """What it is for, and its default."""
        if self.required:
            return f"{self.about} [required]".strip()
        return self.about if self.default is None else f"{self.about} [default: {_typed(self.default)}]".strip()

    def as_json(self) -> dict[str, Any]:
        """For `show --json`."""
        return {"takes": self.takes, "default": self.default, "required": self.required, "about": self.about}


def _typed(value: Any) -> str:
    """A default as one would type it."""
    if isinstance(value, dict):
        return ",".join(f"{key}={inner}" for key, inner in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def find_variant(name: str) -> Variant:
    """The variant of `metaclip`, `metaclip:full`, `./mine.py:mini` or `pkg.module:mini`."""
    if name.startswith("-"):
        raise SettingError(f"name the recipe first and its options behind it, as in: run NAME {name} VALUE.")
    recipe, variant = find(name)
    return recipe.variant(variant)


def parameters(variant: Variant) -> list[Parameter]:
    """The parameters in their order; what they are for is read from the docstring."""
    about = read_arguments(variant.function)
    return [
        Parameter(
            option=f"--{name.replace('_', '-')}",
            takes=allowed(parameter.annotation),
            default=None if parameter.default is parameter.empty else plain(parameter.default),
            required=parameter.default is parameter.empty,
            about=about.get(name, ""),
        )
        for name, parameter in variant.parameters().items()
    ]


def read_arguments(function: Callable[..., Any]) -> dict[str, str]:
    """Name -> text from the section `Args:` of a docstring in Google's form; `t, seed: text` counts for both."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in (inspect.getdoc(function) or "").splitlines():
        if not line.startswith(" "):
            inside = line.strip() == "Args:" or (inside and not line.strip())
        elif inside and (entry := re.match(r" {4}(\w+(?:, *\w+)*): *(.*)", line)):
            names = re.split(r", *", entry[1])
            found.update(dict.fromkeys(names, entry[2]))
        elif inside and names:
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def read_options(variant: Variant, pairs: Mapping[str, str], own: Collection[str] = ()) -> dict[str, Any]:
    """Keyword arguments from options.

    Args:
        variant: what takes them.
        pairs: option without dashes -> text.
        own: options of the command itself, without dashes: a mistyped one is named as well.
    """
    known = {name.replace("_", "-") for name in variant.parameters()}
    for option in pairs:
        name = option.replace("_", "-")
        if name not in known and (near := nearest(name, [*known, *own])) in own:
            raise SettingError(f"there is no option '--{option}'; did you mean '--{near}'?")
    return variant.read_options(pairs)
