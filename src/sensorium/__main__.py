"""`python -m sensorium` and the `sensorium` command: the one place where errors become sentences and exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys


def main() -> None:
    """Run the command line; 0 done, 1 a stage failed, 2 the user's mistake, 130 stopped by Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows escapes; it never ends a run.
        with contextlib.suppress(AttributeError, OSError):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = _run(arguments, debug)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output left (`sensorium list | head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _run(arguments: list[str], debug: bool) -> int:
    import typer
    from typer.main import get_command

    from sensorium.cli.app import app
    from sensorium.core.errors import StageFailedError, UserError

    clicks = _click_errors(typer)
    try:
        result = get_command(app).main(args=arguments, prog_name="sensorium", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (UserError, StageFailedError) as error:
        if debug:
            raise
        return _say(str(error), arguments, 2 if isinstance(error, UserError) else 1)
    except (KeyboardInterrupt, clicks.abort):
        return _say("stopped; run the same command again to go on where it stopped.", arguments, 130)
    except clicks.usage as error:
        return _say(error.format_message(), arguments, 2)


class _ClickErrors:
    """Click's errors; newer typer carries a click of its own."""

    def __init__(self, abort: type[BaseException], usage: type[BaseException]) -> None:
        self.abort, self.usage = abort, usage


def _click_errors(typer: object) -> _ClickErrors:
    abort = getattr(typer, "Abort")  # noqa: B009  (typer is only known at run time here)
    usage = getattr(typer, "BadParameter")  # noqa: B009
    bases = [base for base in usage.__mro__ if base.__name__ == "ClickException"]
    return _ClickErrors(abort, bases[0])


def _say(sentence: str, arguments: list[str], code: int) -> int:
    if "--json" in arguments:
        print(json.dumps({"error": sentence, "code": code}))
    print(f"sensorium: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
