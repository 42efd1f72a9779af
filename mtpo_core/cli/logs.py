"""Opening logs for the verbs that show or judge them: what is damaged is said in one line, with exit code 1."""

from __future__ import annotations

from pathlib import Path

import typer

from mtpo_core.logchain import check_chain
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


def tell_damaged(run: LoggedRun) -> int:
    """One line on standard error for each row that is no record, and one for what was altered or is missing besides;
    how many."""
    told = dict[str, str]()
    for seq, why in run.unreadable():
        told[f"record {seq}"] = why
    for name, why in run.faults:
        told[f"value {name[:12]}"] = why
    # That a run has no close, or a certificate's head is another, is no damage; what it says is for `verify` to judge.
    altered = [p for p in check_chain(run) if p.property in ("log.chain", "log.gap", "log.value")]
    besides = {p.where: p.what for p in altered if p.where not in told}
    if besides:
        (where, what), *others = besides.items()
        more = f" (and {len(others)} more: {_listed([where for where, _ in others])})" if others else ""
        told[where] = f"{what}{more}; `mtpo verify` judges it"
    for where, why in told.items():
        damaged(f"{run.path}: {where}: damaged: {why}")
    return len(told)


def _listed(places: list[str], most: int = 5) -> str:
    return ", ".join(places[:most]) + (", ..." if len(places) > most else "")


def one_line(text: str) -> str:
    """A text that may come out of a log as one line that a terminal can show: no control characters, nothing that has
    no form in UTF-8."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] if c not in "\r\n\t" else " " for c in shown)
