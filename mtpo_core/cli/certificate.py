"""Show what is proven and checked for the installed sources, property by property, and of the core.

The first line, and the last again, says whether all of it stands. Then come the specs, each with the small instances
that were explored, by number, with what is so of most of its properties, and a line for each property: what shows it,
every state of those instances, a proof for any number of elements, or for SPEC.mutants that every part of the spec
matters; of that, what was not said before. Last comes the core: how far it was driven beside the spec.

Exit code 1 when a source has changed since it was shown, or a property has no evidence: then nothing that this
installation claims may be relied on until `mtpo prove --record` and the other verbs have shown it again. (The
certificate of a run is made by `mtpo verify LOG --save FILE`.)

--refine drives the core beside the spec again, instead: every plan of some small sizes, and some that are larger,
through every order of its events, with every outcome of a tool, and in each state whatever must be refused there; then
bugs are planted in the core, and each must be noticed. It takes some minutes. Exit code 1 where the core leaves the
spec, which is shown with the events that lead there, or where nothing notices a bug. --record writes what holds into a
ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mtpo_core.cli.common import out, plural, print_json, progress, usage, verb
from mtpo_core.cli.specs import check_ledger, find_specs
from mtpo_core.problems import MEANINGS

if TYPE_CHECKING:
    from mtpo.proofs.evidence import Evidence, Standing

NAMED = 6
"""Properties that a verdict names, of those that are not shown."""

_ALIKE: Final = frozenset({"exhaustive", "inductive"})
"""Methods of which one sentence is told once, of most properties of a spec; others tell little, and all of it."""

_UNLESS: Final = ", where a property says nothing else"


@verb
def certificate_command(
    refine: Annotated[bool, typer.Option("--refine", help="drive the core beside the spec again")] = False,
    record: Annotated[Path | None, typer.Option(help="with --refine: write what holds into this ledger")] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo.proofs.evidence import standing

    if record is not None and not refine:
        raise usage("--record writes what --refine comes to: give both")
    if refine:
        raise typer.Exit(_refine(record, json))

    found = standing(find_specs(None))
    if json:
        print_json(found.as_json())
        raise typer.Exit(0 if found.holds else 1)
    for line in (_verdict(found), *_lines(found), "", _verdict(found)):
        out.print(line)
    raise typer.Exit(0 if found.holds else 1)


def _refine(record: Path | None, json: bool) -> int:
    """Drive the core; tell what came of it, and keep it."""
    from mtpo.proofs.evidence import interleavings, planted
    from mtpo.proofs.ledger import REFINES, entry_of
    from mtpo.proofs.ledger import record as write
    from mtpo.proofs.refinement.refined import refine
    from mtpo.proofs.refinement.sides import Divergence

    check_ledger(record, None)
    try:
        with progress("driving the core beside the spec", json) as tell:
            detail = refine(tell=tell).as_json()
    except Divergence as found:
        if json:
            print_json({"property": found.property, "status": "FAILED", "trace": list(map(str, found.trace))})
        else:
            out.print(f"FAILED   {found}")
        return 1
    escaped = detail["escaped"]
    if record is not None and not escaped:
        write(record, [entry_of(REFINES, "refinement", MEANINGS[REFINES].english, detail)])
    if json:
        print_json({"property": REFINES, "status": "FAILED" if escaped else "CHECKED", **detail})
        return 1 if escaped else 0
    for size in detail["explored"]:
        out.print(f"CHECKED  {REFINES}   {interleavings(size)}")
    unseen = f"; nothing catches {', '.join(escaped)}" if escaped else ""
    out.print(f"{'FAILED ' if escaped else 'CHECKED'}  {REFINES}   {planted(detail)}{unseen}")
    return 1 if escaped else 0


def _verdict(found: Standing) -> str:
    shown = f"{len(found.rows) - len(found.missing)} of {len(found.rows)} properties have evidence"
    are = "is" if len(found.changed) == 1 else "are"
    other = f"{plural(len(found.changed), 'piece')} of it {are} for other sources than those installed"
    which = [*found.missing, *found.changed]
    named = f": {', '.join(which[:NAMED])}{', ...' if len(which) > NAMED else ''}" if which else ""
    return f"{'yes' if found.holds else 'NO'}: {shown}, {other}{named}"


def _lines(found: Standing) -> Iterator[str]:
    """Spec by spec, a line for each property; what is the same of many of them is told first, and left out there. An
    instance is told once, and has a number from there on."""
    for name, rows in groupby(found.rows, lambda row: row[0].partition(".")[0]):
        listed = list(rows)
        every = [e for _, evidence in listed for e in evidence]
        numbers = {text: n for n, text in enumerate(dict.fromkeys(text for e in every for text in e.instances), 1)}
        same = _same(every, numbers)
        yield f"\n{name}"
        yield from (f"  instance {n}: {text}" for text, n in numbers.items())
        yield from (f"  {status:<8} {said}{_UNLESS}" for (_, status), said in same.items())
        width = max(len(id) for id, _ in listed)
        for id, evidence in listed:
            told = " | ".join(_told(e, numbers, same) for e in evidence) or "NOT SHOWN"
            yield f"  {id:<{width}}  {told}"


def _same(every: Sequence[Evidence], numbers: Mapping[str, int]) -> dict[tuple[str, str], str]:
    """The last part of what is told of most evidence of a method, by that and by its status."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for e in every:
        if e.method in _ALIKE:
            found.setdefault((e.method, e.status), Counter())[_parts(e, numbers)[-1]] += 1
    most = {key: said.most_common(1)[0] for key, said in found.items()}
    return {key: said for key, (said, times) in most.items() if times > 1}


def _told(evidence: Evidence, numbers: Mapping[str, int], same: Mapping[tuple[str, str], str]) -> str:
    """What is to be told of one property's evidence besides what is the same."""
    *parts, last = _parts(evidence, numbers)
    if same.get((evidence.method, evidence.status)) != last:
        parts.append(last)
    return f"{' '.join([evidence.status, '; '.join(parts)]).rstrip()}{'' if evidence.fresh else ' CHANGED SINCE'}"


def _parts(evidence: Evidence, numbers: Mapping[str, int]) -> list[str]:
    """Its sentence, with the instances by number, part by part."""
    said = evidence.sentence
    if evidence.instances:
        own = sorted(numbers[text] for text in evidence.instances)
        whole = len(own) > 2 and own[-1] - own[0] == len(own) - 1
        which = f"{own[0]} to {own[-1]}" if whole else ", ".join(map(str, own))
        said = said.replace("; ".join(evidence.instances), f"instance{'s' if len(own) > 1 else ''} {which}")
    return said.split("; ")
