"""`python -m sensorium` and the `sensorium` command: the one place where errors become sentences and exit codes."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sensorium.cli import output
from sensorium.core.errors import StageFailedError, UserError

DONE, FAILED, MISTAKE, STOPPED = 0, 1, 2, 130
AGAIN = "stopped; run the same command again to go on where it stopped."
_OUTSIDE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EISDIR,
    errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE, errno.ESTALE,
}  # fmt: skip
"""Errors of the system that are nobody's bug: rights, full disks, odd paths."""


def main() -> None:
    """Run the command line; 0 done, 1 a stage failed, 2 the user's mistake, 130 stopped by Ctrl-C."""
    code = call(sys.argv[1:])
    # What runs from here on is Python's own end; a second Ctrl-C may cut it short without a traceback.
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def call(words: list[str]) -> int:
    """Run one command in this process and return its exit code; every error is one sentence on standard error.

    Args:
        words: the command line without the program's name; `--debug` anywhere adds tracebacks.
    """
    debug, as_json = "--debug" in words, "--json" in words
    with _patient_streams(), output.document_only() if as_json else contextlib.nullcontext():
        try:
            code = _run([word for word in words if word != "--debug"])
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            # The reader of our output left (`sensorium list | head`): not an error of ours.
            _drop_stdout()
            return DONE
        except BaseException as error:  # also Ctrl-C, and what nobody foresaw
            if isinstance(error, SystemExit | GeneratorExit):
                raise
            if debug:
                traceback.print_exception(error)
            return _report(*_explain(error, words), as_json)


def _run(words: list[str]) -> int:
    import typer
    from typer.main import get_command

    from sensorium.cli.app import app

    command = get_command(app)
    try:
        # Not `command.main`: it has ways of its own with Ctrl-C and closed pipes.
        with command.make_context("sensorium", list(words)) as context:
            command.invoke(context)
    except typer.Exit as error:
        return int(error.exit_code)
    return DONE


def _explain(error: BaseException, words: list[str]) -> tuple[str, int]:
    """The sentence and the exit code of an error."""
    if isinstance(error, UserError):
        return str(error), MISTAKE
    if isinstance(error, StageFailedError):
        return str(error), FAILED
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return AGAIN, STOPPED
    # Newer typer carries a click of its own, so its errors are known by what they can do.
    if callable(say := getattr(error, "format_message", None)):
        return _usage(say(), words), MISTAKE
    if isinstance(error, MemoryError):
        return "there is not enough memory; use fewer --workers or smaller batches.", FAILED
    if isinstance(error, OSError) and error.errno in _OUTSIDE:
        place = f"{error.filename}: " if error.filename else "could not write: "
        return f"{place}{(error.strerror or str(error)).lower()}.", MISTAKE
    return _blame(error), FAILED


def _usage(message: str, words: list[str]) -> str:
    """A sentence of the option parser, with the place where more is said."""
    if message.startswith("Usage:"):
        return message
    known = [word for word in words if not word.startswith("-")][: 2 if words[:1] in (["data"], ["models"]) else 1]
    if message.startswith("No such command"):
        known = known[:-1]
    message = re.sub(r": Input should be a valid integer.*", ": it takes a whole number", message)
    hint = f"{'S' if message.endswith('?') else 's'}ee: {' '.join(['sensorium', *known, '--help'])}."
    return f"{message} {hint}" if message.endswith("?") else f"{message.rstrip('.')}; {hint}"


def _blame(error: BaseException) -> str:
    """A bug: ours, or one in a recipe, stage or step of the user's, with its place."""
    what = f"{type(error).__name__}: {error}".strip(": ").split("\n")[0][:300]
    remote = error.__cause__ if type(error.__cause__).__name__ == "_RemoteTraceback" else None
    text = str(remote) if remote else "".join(traceback.format_exception(error))
    ours, python = str(Path(__file__).parent), (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
    for path, line in reversed(re.findall(r'File "(.+?)", line (\d+)', text)):
        if path.startswith(ours):
            break
        if not path.startswith(python) and os.path.isfile(path):
            return f"{path}, line {line}: {what} (--debug shows the traceback)."
    return f"this is a bug ({what}); run the same command with --debug and report what it says."


def _report(sentence: str, code: int, as_json: bool) -> int:
    shown = output.printable(sentence)
    print(shown if shown.startswith("Usage:") else f"sensorium: {shown}", file=sys.stderr)
    try:
        if as_json:
            output.emit_json({"error": sentence, "code": code})
        output.real_stdout().flush()
    except OSError:
        _drop_stdout()
    return code


def _drop_stdout() -> None:
    """Let what is still unwritten go nowhere, or Python complains about it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.real_stdout().fileno())


@contextlib.contextmanager
def _patient_streams() -> Iterator[None]:
    """Streams that never end a run: closed ones are replaced, letters a terminal does not know are escaped."""
    before = sys.stdout, sys.stderr
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (for the whole run)
            continue
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")
    sys.stderr = _Patient(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Patient:
    """Standard error whose reader may leave (`2>&1 | head`): a long run goes on without being watched."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


if __name__ == "__main__":
    main()
