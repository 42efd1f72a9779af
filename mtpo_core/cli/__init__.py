"""The command ``mtpo``: one module per verb.

Exit codes: 0 holds, 1 violated, 2 usage or bad input (one line on standard error), 3 unknown or incomplete.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

VERBS = (
    "demo",
    "run",
    "view",
    "log",
    "verify",
    "coverage",
    "prove",
    "explore",
    "mutate",
    "ablate",
    "explain",
    "certificate",
    "simulate",
    "calibrate",
    "paper",
    "bench",
)

_HELP = """Concurrency control for LLM agents on live state: check the protocol, run it, verify its logs.

Exit codes: 0 holds, 1 violated, 2 usage or bad input, 3 unknown or incomplete. Numbers are written in plain digits: 10,
0.5, 1e-3.
"""


_INTERRUPTED: Final = 130
"""What typer makes of an interrupt that no verb has heard."""


def main() -> None:
    """Entry point. An interrupt ends with one line and exit code 3 before a verb has begun, too."""
    _open_streams()
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("mtpo: interrupted; nothing is concluded\n")
        raise SystemExit(3) from None
    finally:
        _hear_no_more()


def _hear_no_more() -> None:
    """From now on no interrupt is heard: all is said, and another would cost the exit code."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _open_streams() -> None:
    """A standard stream that whoever started the program has closed leads nowhere from now on. Its number is taken
    then, so that no file that is opened gets it, and with it what some library prints."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - for good


def _run() -> None:
    import typer

    from mtpo_core.cli.numbers import PlainNumbers

    app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    for verb in VERBS:
        module = importlib.import_module(f"mtpo_core.cli.{verb}")
        needs = getattr(module, "NEEDS_ARGUMENTS", False)
        as_command = app.command(name=verb, cls=PlainNumbers, help=module.__doc__, no_args_is_help=needs)
        as_command(getattr(module, f"{verb}_command"))
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]  # click's, in whichever package this typer has it
    try:
        code = app(standalone_mode=False)
    except usage_error as error:
        raise SystemExit(_refused(error)) from None
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    raise SystemExit(code or 0)


def _refused(error: Any) -> int:
    """Say in one line what is wrong with a command line, or show the help where it is empty; the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return int(error.exit_code)
    verb = error.ctx.info_name if error.ctx is not None and error.ctx.parent is not None else ""
    message = " ".join(error.format_message().split()).removesuffix(".")
    command = f"mtpo {verb}".strip()
    sys.stderr.write(f"{command.replace(' ', ': ')}: {message}; `{command} --help` tells more\n")
    return int(error.exit_code)
