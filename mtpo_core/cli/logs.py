"""Opening logs for the verbs that show or judge them: what is damaged is said in one line, with exit code 1."""

from __future__ import annotations

from pathlib import Path

import typer

from mtpo_core.logfile import LogDamage, LoggedRun, read_log


def opened(path: Path) -> LoggedRun:
    """The log in a file. A damaged one ends the verb: one line, exit code 1."""
    try:
        return read_log(path)
    except LogDamage as error:
        raise damaged(str(error)) from None


def damaged(message: str) -> typer.Exit:
    """Print one line on standard error; raise what it returns: exit code 1."""
    typer.echo(f"mtpo: {one_line(message)}", err=True)
    return typer.Exit(1)


def tell_unreadable(run: LoggedRun) -> int:
    """One line on standard error for each row that is no record; how many there are."""
    count = 0
    for seq, why in run.unreadable():
        count += 1
        damaged(f"{run.path}: record {seq}: damaged: {why}")
    for name, why in run.faults:
        count += 1
        damaged(f"{run.path}: value {name[:12]}: damaged: {why}")
    return count


def one_line(text: str) -> str:
    """A text that may come out of a log as one line that a terminal can show: no control characters, nothing that has
    no form in UTF-8."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] if c not in "\r\n\t" else " " for c in shown)
