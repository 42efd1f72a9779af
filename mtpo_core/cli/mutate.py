"""Weaken a spec rule by rule and see which property catches each mutant.

Every guard conjunct and every update is dropped in turn; what is written is altered, a conjunct, disjunct or case left
out; every quantifier ranges over all elements but one. A mutant is killed when exploration finds a run that violates a
property, or z3 a step out of an allowed state that does (--traces shows it, and what was weakened; --picture draws it);
also when an action can't be taken any more. A lemma serves the proof: where lemmas alone break it is looked on, until a
property does. Survivors that are not listed as equivalent are failures, and so are those that a lemma alone catches;
your own file lists them as EQUIVALENT = {"SPEC.ACTION.CLAUSE": "reason"}. An id with a number is listed with its
digest, as a survivor shows it. One that is listed and killed is a failure too, and one whose rule has changed since. An
id is SPEC.ACTION.CLAUSE, with /0, /1 ... for the conjuncts of a clause of several, or SPEC.ACTION.VARIABLE:= for an
update; ~0, ~1 ... is what is weakened within. Ctrl-C ends with what was decided up to there (exit code 3).

First it is asked whether the spec itself holds where mutants are tried, since any mutant of one that fails is killed
for that: with --only in small instances and in steps of the actions that are weakened, and not at all where the ledger
has it that all mutants of a built-in spec were tried with its sources as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import counted, drawn, out, plural, print_json, progress, usage, verb, writable
from mtpo_core.cli.equivalents import equivalents
from mtpo_core.cli.specs import BUILT_IN, SPEC_HELP, check_finite, check_ledger, find_source

_HOW = {
    "action never taken": "the action can't be taken any more",
    "never reached": "what must be reachable is not, or an action is never taken",
    "inductive": "by a step that z3 found",
}


@verb
def mutate_command(
    spec: Annotated[str, typer.Argument(help=SPEC_HELP)] = "mtpo",
    only: Annotated[str, typer.Option(help="only mutants whose id contains this")] = "",
    size: Annotated[
        int | None,
        typer.Option(
            min=1, max=6, help="elements of each sort explored (not for mtpo)  [default: 2; fair: 3; recovery: Call=3]"
        ),
    ] = None,
    traces: Annotated[bool, typer.Option(help="show the trace that killed each mutant")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="draw the run that killed each mutant, as a page in one file")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="write the count into this ledger (built-in specs only)")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.children import Interrupted
    from mtpo.proofs.evidence import held_before
    from mtpo.proofs.mutants.listed import key_of
    from mtpo.proofs.mutants.mutate import mutate
    from mtpo.proofs.pictures.picture import Case, violations_of, write_picture

    if size is not None and spec == "mtpo":
        raise usage("--size means nothing for mtpo: its instances have two agents with one call each")
    source = find_source(spec)
    check_finite(source, spec)
    specs = source.specs
    listed = equivalents(spec, source)
    if picture is not None:
        writable(picture)
    if record is not None and only:
        raise usage("--record is for all mutants of a spec: leave out --only")
    if record is not None and size is not None:
        raise usage("--record is for the sizes that are the default: leave out --size")
    check_ledger(record, spec)
    fates: list[Any] = []
    stopped = ""
    held = bool(only) and spec in BUILT_IN and size is None and held_before(spec)

    def line(f: Any) -> None:
        how = f" ({_HOW[f.how]})" if f.how in _HOW else ""
        remark = ", ".join(f.killed_by) or f.why or f.reason or f.mutant.what
        out.print(f"{word_of(f):<10} {f.mutant.id:<38} {remark}{how}")
        if f.by_lemma_alone:
            out.print(f"           ({f.reason})")
        if f.survived:
            but = "; lemmas serve the proof, and tell nothing of the system" if f.killed_by else ""
            out.print(f"           (if it changes nothing else, list it as {key_of(f.mutant)}{but})")
        if traces and f.trace:
            lines = (_weakened(f), *f.trace.lines(), *violations_of(f.trace, f.killed_by))
            out.print("\n".join(f"           {line}" for line in lines))

    at_once = not json and not sys.stderr.isatty()  # a terminal shows how far it is, and the lines when that is over
    for one in specs:
        with progress(f"trying mutants of {one.name}", json) as tell:
            try:
                fates += mutate(
                    one,
                    only=only,
                    equivalent=listed,
                    size=size,
                    progress=counted(tell, "mutants"),
                    decided=line if at_once else lambda fate: None,
                    held=held,
                )
            except Interrupted as stop:
                fates += stop.found
                stopped = str(stop)
                break
    if not fates:
        raise usage(f"no mutant's id contains {only!r}; an id is SPEC.ACTION.CLAUSE or SPEC.ACTION.VARIABLE:=")
    survived = [f for f in fates if f.survived]
    not_known = [f for f in fates if f.why]
    mislisted = [f.mutant.id for f in fates if f.mislisted]
    if record is not None and not not_known:
        _record(record, specs[0], fates)
    cases = [Case(f.trace, f.killed_by[0], tab=f.mutant.id) for f in fates if f.killed_by and f.trace]
    if picture is not None:
        write_picture(cases, picture, f"{spec}: what its rules are for")
    if json:
        print_json(
            {
                "mutants": [f.as_json() for f in fates],
                "survived": [f.mutant.id for f in survived],
                "spec_holds": "by the ledger" if held else "asked of what these mutants need" if only else "asked",
            }
        )
        raise typer.Exit(1 if survived or mislisted else 3 if not_known else 0)
    unknown = (n for n, f in enumerate(fates) if stopped and f.why == stopped)
    told = next(unknown, len(fates)) if at_once else 0
    for f in fates[told:]:
        if not stopped or f.why != stopped:
            line(f)
    head = f"{stopped}: " if stopped else ""
    if picture is not None:
        out.print(drawn(cases, picture))
    out.print(f"\n{head}{summary(fates)}")
    if held:
        out.print(f"that {spec} itself holds is in the ledger, for the sources as they are, and was not asked again")
    if mislisted:
        out.print(f"listed as equivalent, and killed: {', '.join(mislisted)}")
    if record is not None and not_known:
        out.print(f"not recorded in {record}: something is unknown")
    raise typer.Exit(1 if survived or mislisted else 3 if not_known else 0)


def word_of(fate: Any) -> str:
    """What became of a mutant, in a word."""
    if fate.why:
        return "UNKNOWN"
    if fate.by_lemma_alone:
        return "by a lemma"
    return (
        "MISLISTED" if fate.mislisted else "SURVIVED" if fate.survived else "killed" if fate.told_by else "equivalent"
    )


def summary(fates: Sequence[Any]) -> str:
    """How many mutants there are, and what became of them."""
    killed, alone = sum(bool(f.told_by) for f in fates), sum(f.by_lemma_alone for f in fates)
    survived, unknown = sum(f.survived for f in fates), sum(bool(f.why) for f in fates)
    equivalent = len(fates) - killed - alone - survived - unknown
    rest = ((alone, "by a lemma alone"), (equivalent, "equivalent"), (unknown, "unknown"))
    tail = "".join(f", {count} {what}" for count, what in rest if count)
    return f"{plural(len(fates), 'mutant')}, {killed} killed, {survived} survived{tail}"


def _weakened(fate: Any) -> str:
    """What the mutant does otherwise than the spec, before the run that shows it."""
    skips = any("skipped=" in fate.trace.step_text(step) for step in fate.trace.steps)
    return f"weakened: {fate.mutant.what}{' (skipped, in a step)' if skips else ''}"


def _record(ledger: Path, spec: Any, fates: list[Any]) -> None:
    """Write what became of all mutants of a spec into a ledger."""
    from mtpo.proofs.ledger import MODULES, Entry, record, sources_hash

    killed = {f.mutant.id: list(f.killed_by) for f in fates if f.told_by}
    alone = {f.mutant.id: f.reason for f in fates if f.by_lemma_alone}
    equivalent = {f.mutant.id: f.reason for f in fates if f.reason and not f.killed_by}
    survived = sorted(f.mutant.id for f in fates if f.survived)
    detail = {"mutants": len(fates), "killed": len(killed), "equivalent": equivalent, "survived": survived}
    detail["by_a_lemma_alone"] = alone
    detail["killed_by"] = killed | {f.mutant.id: list(f.killed_by) for f in fates if f.by_lemma_alone}
    status = "FAILED" if survived or any(f.mislisted for f in fates) else "CHECKED"
    english = "every guard, every update and every part of them matters to a named property"
    hash = sources_hash(MODULES.get(spec.name, spec.name), "mutants")
    record(ledger, [Entry(f"{spec.name}.mutants", "mutants", status, english, hash, detail)])
