"""The commands' own kind of parsing: an option is given once, and a recipe's options are in the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from sensorium.core.errors import SettingError

if TYPE_CHECKING:
    from sensorium.core.recipe import Variant


class Command(TyperCommand):
    """A command that refuses an option given twice: which of two values counts, nobody should have to know."""

    words: dict[str, Any]
    """What the words of the command line say, by parameter; read before anything is converted."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after a look at what is there twice."""
        self.words, _, order = self.make_parser(ctx).parse_args(list(args))
        seen: set[int] = set()
        for parameter in order:
            single = not (getattr(parameter, "is_flag", False) or parameter.multiple or parameter.nargs != 1)
            if single and id(parameter) in seen:
                raise SettingError(f"{parameter.opts[0]} is given twice; say it once.")
            seen.add(id(parameter))
        return list(super().parse_args(ctx, args))


class RecipeCommand(Command):
    """A command that takes the options of the recipe it is given, and shows them behind its own."""

    def variant(self, name: str) -> Variant:
        """The variant whose options the command takes."""
        from sensorium.cli.parameters import find_variant

        return find_variant(name)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The options of the recipe, or where to find them."""
        name = str(self.words.get("name") or "")
        if not name or name.startswith("-"):
            with formatter.indentation():
                formatter.write_paragraph()
                formatter.write_text(f"A recipe's own options: sensorium {self.name} NAME --help.")
            return
        from sensorium.cli.parameters import parameters

        variant = self.variant(name)
        rows = [(row.term(), row.text()) for row in parameters(variant)]
        if rows:
            with formatter.section(f"Options of {variant.recipe.name}:{variant.name}"):
                formatter.write_dl(rows)


class ClaimCommand(RecipeCommand):
    """The same for a claim, whose name may end in the name of a second claim."""

    def variant(self, name: str) -> Variant:
        """The variant that builds the claim's arms."""
        from sensorium.cli.claim import find_claim

        recipe, wanted, _ = find_claim(name)
        return recipe.variant(wanted.variant)
