"""Drop the protocol's rules one at a time and see which properties break, each with a shortest run.

Rows are rules of the published protocol and of ours, columns the properties of mtpo; a number is the length of the
shortest run that violates the property without the rule. Two agents with one call each on two objects are explored with
every footprint; where that is too little, one case of three agents. Exit code 1 when a rule breaks nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpo_core.cli.common import counted, drawn, out, plural, print_json, progress, usage, verb, writable

RUNS_DRAWN = 3
"""Runs that a picture has of each rule, the shortest ones."""


@verb
def ablate_command(
    only: Annotated[str, typer.Option(help="only rules whose id contains this")] = "",
    limit: Annotated[int, typer.Option(min=1, help="states to look at for each rule")] = 400_000,
    traces: Annotated[bool, typer.Option(help="show the runs")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="draw the runs, as a page in one file, a tab for each rule")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.ablate import RULES, ablate, why_broken
    from mtpo.proofs.picture import Case, write_picture

    if not any(only in rule.id for rule in RULES):
        raise usage(f"no rule's id contains {only!r}; known: {', '.join(rule.id for rule in RULES)}")
    with progress("ablating", json) as tell:
        rows = ablate(only, limit, counted(tell, "rules"))
    cases = [
        Case(trace, id, tab=f"without {row.rule.id}")
        for row in rows
        for id, trace in sorted(row.broken.items(), key=lambda item: len(item[1].steps))[:RUNS_DRAWN]
    ]
    if picture is not None:
        write_picture(cases, writable(picture), "What each rule of MTPO is for")
    idle = [row for row in rows if not row.broken]
    if json:
        print_json({"rows": [row.as_json() for row in rows], "breaks_nothing": [row.rule.id for row in idle]})
        raise typer.Exit(1 if idle else 0)
    out.print("each rule, and what breaks without it, with the steps of a shortest run that does\n")
    for row in rows:
        out.print(f"{row.rule.id:<14} {row.rule.english} ({row.rule.source})")
        looked = f"{plural(row.states, 'state')}{'' if row.complete else ', not all'}"
        if not row.broken:
            out.print(f"{'':<14} BREAKS NOTHING in {looked}")
        for id, trace in sorted(row.broken.items(), key=lambda item: len(item[1].steps)):
            name = trace.instance.spec.name
            shown = "" if id.startswith(f"{name}.") else f" of {name}: {trace.instance.spec.doc}"
            out.print(f"{'':<14} {id:<36} {len(trace.steps):>2} step{'' if len(trace.steps) == 1 else 's'}{shown}")
            if traces:
                lines = (*trace.lines(), *why_broken(trace, id))
                out.print("\n".join(f"{'':<18} {line}" for line in lines))
    if picture is not None:
        out.print(drawn(cases, picture))
    out.print(f"\n{_summary(len(rows), len(idle))}")
    raise typer.Exit(1 if idle else 0)


def _summary(rules: int, idle: int) -> str:
    """How many rules there are, and whether each is for something."""
    if idle in (0, rules):
        which = "without it" if rules == 1 else "whichever goes,"
        return f"{plural(rules, 'rule')}: {which} {'nothing' if idle else 'something'} breaks"
    return f"{plural(rules, 'rule')}: {idle} for nothing, nothing breaks without {'it' if idle == 1 else 'them'}"
