"""Drop a spec's rules one at a time and see which properties break, each with a shortest run.

Rows are rules, columns the properties that break when some rule goes; a number is the length of the shortest run that
violates the property without the rule (--traces shows the runs). For mtpo, rules are those of the published protocol
and ours: two agents with one call each on two objects are explored with every footprint; where that is too little, one
case of three agents. For other specs and your own file, rules are the guard clauses, by id, and what is explored is as
in `mtpo explore`; lemmas and variants are columns too. Exit code 1 when a rule breaks nothing, unless the file lists it
with a reason, as for `mtpo mutate`: EQUIVALENT = {"SPEC.ACTION.CLAUSE": "because ..."}, where an entry whose rule is
gone or has changed is refused (exit code 2); 3 when nothing breaks up to the limit and there is more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.ablated import listing, matrix, summary
from mtpo_core.cli.common import counted, drawn, out, print_json, progress, sizes_of, usage, verb, writable
from mtpo_core.cli.equivalents import equivalents
from mtpo_core.cli.specs import SPEC_HELP, check_finite, find_source

RUNS_DRAWN = 3
"""Runs that a picture has of each rule, the shortest ones."""


@verb
def ablate_command(
    spec: Annotated[str, typer.Argument(help=SPEC_HELP)] = "mtpo",
    only: Annotated[str, typer.Option(help="only rules whose id contains this", metavar="RULE")] = "",
    size: Annotated[
        list[str] | None,
        typer.Option(
            help="elements of each sort, or SORT=N (repeatable; not for mtpo)  [default: as in explore]", metavar="N"
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="states to look at for each rule")] = 400_000,
    traces: Annotated[bool, typer.Option(help="show the runs")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="draw the runs, as a page in one file, a tab for each rule")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.pictures.picture import Case, write_picture

    if size and spec == "mtpo":
        raise usage("--size means nothing for mtpo: its instances have two agents with one call each")
    if picture is not None:
        writable(picture)
    of_spec = _mtpo_rows(only, limit, json) if spec == "mtpo" else _clause_rows(spec, only, size, limit, json)
    rows = [row for _, each in of_spec for row in each]
    cases = [
        Case(trace, id, tab=f"without {row.rule.id}")
        for row in rows
        for id, trace in sorted(row.broken.items(), key=lambda item: len(item[1].steps))[:RUNS_DRAWN]
    ]
    if picture is not None:
        title = "MTPO" if spec == "mtpo" else ", ".join(one.name for one, _ in of_spec)
        write_picture(cases, picture, f"What each rule of {title} is for")
    idle, unknown = [row.rule.id for row in rows if row.idle], [row.rule.id for row in rows if row.unknown]
    code = 1 if idle else 3 if unknown else 0
    if json:
        print_json({"rows": [row.as_json() for row in rows], "breaks_nothing": idle, "unknown": unknown})
        raise typer.Exit(code)
    out.print("each rule, and what breaks without it, with the steps of a shortest run that does\n")
    shown = [(not traces and matrix(one, each, out.width)) or listing(one, each, traces) for one, each in of_spec]
    out.print("\n\n".join("\n".join(lines) for lines in shown))
    if picture is not None:
        out.print(drawn(cases, picture))
    out.print(f"\n{summary(rows)}")
    raise typer.Exit(code)


def _mtpo_rows(only: str, limit: int, quiet: bool) -> list[tuple[Any, list[Any]]]:
    """What breaks without each published rule of mtpo."""
    from mtpo.proofs.mutants.ablate import RULES, ablate
    from mtpo.spec.mtpo import mtpo

    _check_known(only, [rule.id for rule in RULES])
    with progress("ablating", quiet) as tell:
        return [(mtpo, ablate(only, limit, counted(tell, "rules")))]


def _clause_rows(name: str, only: str, size: list[str] | None, limit: int, quiet: bool) -> list[tuple[Any, list[Any]]]:
    """What breaks without each guard clause of the specs that the name means; none for a spec without such clauses."""
    from mtpo.proofs.exploration.instances import is_mtpo, sizes_for
    from mtpo.proofs.mutants.dropped import ablate_clauses, clause_rules

    source = find_source(name)
    check_finite(source, name)
    listed = equivalents(name, source)
    for one in source.specs:
        if not one.role("invariant", "lemma", "step") and not one.variants:
            raise usage(f"{one.name}: no invariant, step property or variant that could break; declare one")
    rules = [(one, [rule.id for rule in clause_rules(one)]) for one in source.specs]
    if not any(ids for _, ids in rules):
        raise usage(f"{name}: no action has a guard clause to drop, require(NAME, FORMULA)")
    _check_known(only, [id for _, ids in rules for id in ids])
    found = []
    for one, ids in rules:
        if any(only in id for id in ids):
            sizes = None if is_mtpo(one) else sizes_of(size, sizes_for(one))
            with progress(f"ablating {one.name}", quiet) as tell:
                found.append((one, ablate_clauses(one, only, limit, sizes, listed, counted(tell, "rules"))))
    return found


def _check_known(only: str, ids: list[str]) -> None:
    if not any(only in id for id in ids):
        raise usage(f"no rule's id contains {only!r}; known: {', '.join(ids)}")
