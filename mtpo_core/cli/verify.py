"""Judge a run by its log alone: the chain of records, an independent checker, and a replay against the spec.

Names every property that is violated; of the violations the cause, and how many more were found, which may follow from
it (--all names each): damage to the log itself, each kind of it once, or else what is wrong at the first record. A
value that is short is shown, a longer one named by its digest.

With --certificate the log is held against a run certificate saved before, which detects a cut tail, a rewritten log,
and values that were redacted since. Where the log stops being a run of the spec, the clauses that are false are told
with the elements, the facts, the record since which they are, and the nearest steps that would make them true, here or
before an earlier record; then the steps that are possible, and of the others of that call and agent what refuses each.
The cores share the replay of a long log, so many of them as --jobs says; what is found is the same. With --shrink a log
that violates a property is made smaller and written as lines of JSON: fewer agents, calls, objects and records with
which the same is wrong first, by the same clause at the same kind of record, and nothing that is not with the whole.
These are numbered and chained anew: if that mends damage, as a gap, it is said. LOG may be such lines, too. Where a
file can't be written that is said first. The last line is the verdict: yes (exit code 0), no (1), or not known (3: the
run did not come to its end, or something can't be checked any more). Interrupted (Ctrl-C) it says in one line how far
it came; the exit code is 3 then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import out, plural, print_json, progress, same_place, usage, verb, writable

NEEDS_ARGUMENTS = True


@verb
def verify_command(
    log: Annotated[Path, typer.Argument(help="the log of a run, or one as lines of JSON")],
    certificate: Annotated[Path | None, typer.Option(help="a certificate saved before, to compare with")] = None,
    save: Annotated[Path | None, typer.Option(help="write the run certificate here")] = None,
    shrunk: Annotated[Path | None, typer.Option("--shrink", help="write a smaller log that fails the same")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="each violation, also those that may follow from the first")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, help="processes for a long log; by default the cores, up to four")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    import attrs

    from mtpo.proofs.replay.judge import judge
    from mtpo.proofs.runs.certificate import RunCertificate
    from mtpo_core.cli.judged import named, rows, told_once, violations
    from mtpo_core.cli.logs import one_line, opened

    _check_places(log, certificate, save, shrunk)
    expected = RunCertificate.load(certificate) if certificate else None
    stage = ["reading it"]
    try:
        with progress(f"judging {log}", json) as tell:

            def told(text: str) -> None:
                stage[0] = text
                tell(text)

            run = opened(log)
            found = judge(run, expected, told, jobs)
    except KeyboardInterrupt:
        raise _interrupted(f"{log}: interrupted: {stage[0]}; no verdict") from None
    if save is not None:
        if found.differences:
            raise usage(f"{save}: not written: {log} is not the log that {certificate} is for")
        found.certificate.save(save)
    try:
        why = _why(run, found, log, json)
        smaller = _shrunk(run, shrunk, json) if shrunk is not None else ""
    except KeyboardInterrupt:
        raise _interrupted(f"{log}: interrupted after the verdict: {found.verdict}") from None
    if json:
        data = found.certificate.as_json() | {
            "status": {0: "holds", 1: "violated", 3: "incomplete"}[found.exit_code],
            "verdict": found.verdict,
            "violated": [attrs.asdict(p) for p in found.problems],
            "checks": found.report.as_json()["checks"],
            "replayed_steps": found.replay.steps if found.replay else None,
            "unmatched": why.as_json() if why else None,
            "shrunk": smaller or None,
        }
        print_json(data)
        raise typer.Exit(found.exit_code)
    lines = rows(found.certificate.properties, every)
    violated = violations(found.problems, found.report.unfinished, every)
    lines += [named(line, run) for line in violated]
    if why is not None:
        lines += ["", *why.lines()]
    lines += ["", smaller] if smaller else []
    for line in lines:
        out.print(one_line(line), markup=False)
    out.print("\nThe verdict rests on", markup=False)
    verdict = told_once(found.verdict, found.problems, violated)
    for sentence in (*found.certificate.assumed(), named(verdict, run)):
        out.print(one_line(sentence), markup=False)
    raise typer.Exit(found.exit_code)


def _check_places(log: Path, certificate: Path | None, save: Path | None, shrunk: Path | None) -> None:
    """That what is to be written can be, before the log is judged, which may take minutes."""
    if save is not None and shrunk is not None and same_place(save, shrunk):
        raise usage(f"--save {save} and --shrink {shrunk} are one file; choose another name for one of them")
    if save is not None:
        writable(save, [log])  # a certificate that the log agrees with may be replaced by its newer one
    if shrunk is not None:
        writable(shrunk, [log, certificate] if certificate else [log])


def _shrunk(run: Any, path: Path, quiet: bool) -> str:
    """Write a smaller log with which the same is wrong; what to say of it."""
    from mtpo.proofs.replay.shrink import NothingToShrink, shrink
    from mtpo_core.loglines import export_jsonl

    try:
        with progress(f"shrinking {run.path}", quiet) as tell:
            found = shrink(run, tell)
    except NothingToShrink as error:
        return f"{path}: not written: {error}"
    path.write_text("".join(f"{line}\n" for line in export_jsonl(found.run)), encoding="utf-8")
    size = f"{len(run.records)} records to {len(found.run.records)}"
    same = "; as the whole it violates"
    if found.mended:
        more = f", and {len(found.mended) - 1} more" if found.mended[1:] else ""
        mended = f"{found.mended[0]}{more}"
        same = f", numbered and chained anew, which mends {mended}; beside that it violates, as the whole does,"
    return (
        f"{path}: the log shrunk from {size}{same} {found.trouble} "
        f"({plural(found.checks, 'log')} judged); `mtpo verify {path}` says so"
    )


def _why(run: Any, found: Any, log: Path, quiet: bool) -> Any:
    from mtpo.proofs.replay.unmatched import unmatched
    from mtpo.spec.records import value_digest

    if found.replay is None or found.replay.refused is None or found.readable is None:
        return None
    with progress(f"looking for the reason in {log}", quiet) as tell:
        return unmatched(
            found.readable.records,
            found.replay.refused,
            value_digest(run.salt, None),
            lambda done, total: tell(f"{done:,} of {total:,} records"),
            found.readable.beside,
        )


def _interrupted(what: str) -> typer.Exit:
    """Print one line on standard error; raise what it returns: exit code 3, not known."""
    from mtpo_core.cli.logs import one_line

    typer.echo(f"mtpo: {one_line(what)}", err=True)
    return typer.Exit(3)
