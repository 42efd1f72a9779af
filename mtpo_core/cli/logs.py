"""Opening logs for the verbs that show or judge them, in either form, the file of a run or lines of JSON: what is
damaged is said in one line, with exit code 1."""

from __future__ import annotations

from pathlib import Path

import typer

from mtpo_core.logchain import check_chain
from mtpo_core.logfile import LogDamage, LoggedRun, read_log
from mtpo_core.loglines import is_jsonl, read_jsonl


def opened(path: Path) -> LoggedRun:
    """The log in a file. A damaged one ends the verb: one line, exit code 1."""
    try:
        return read_jsonl(path) if is_jsonl(path) else read_log(path)
    except LogDamage as error:
        raise damaged(str(error)) from None


def damaged(message: str) -> typer.Exit:
    """Print one line on standard error; raise what it returns: exit code 1."""
    typer.echo(f"mtpo: {one_line(message)}", err=True)
    return typer.Exit(1)


def tell_damaged(run: LoggedRun) -> int:
    """One line on standard error if there are rows that are no records, or something was altered or is missing: the
    first place, and how many more; how many in all."""
    told = {f"record {seq}": why for seq, why in run.unreadable()}
    told |= {f"value {name[:12]}": why for name, why in run.faults}
    # That a run has no close, or a certificate's head is another, is no damage; what it says is for `verify` to judge.
    altered = [p for p in check_chain(run) if p.property in ("log.chain", "log.gap", "log.value")]
    besides = {p.where: p.what for p in altered if p.where not in told}
    if not (told or besides):
        return 0
    (where, what), *others = (told | besides).items()
    more = f" (and {len(others)} more: {_listed([where for where, _ in others])})" if others else ""
    damaged(f"{run.path}: {where}: damaged: {what}{more}; `mtpo verify` judges it")
    return 1 + len(others)


def _listed(places: list[str], most: int = 5) -> str:
    return ", ".join(places[:most]) + (", ..." if len(places) > most else "")


def one_line(text: str) -> str:
    """A text that may come out of a log as one line that a terminal can show: no control characters, nothing that has
    no form in UTF-8."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] if c not in "\r\n\t" else " " for c in shown)
